"""The documents below a prefix of a store, by what became of what was put last."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, func

from gateway.db import Repository
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow

__all__ = ["FedRepository"]

_MOST_NAMED = 10_000
"""The most keys that are told; what follows from them goes into statements, whose parameters are bounded."""


class FedRepository(Repository[DocumentRow]):
    table = DocumentRow
    noun = "document"

    async def list_newest(
        self, store: str, prefix: str, keys: Collection[str] | None = None
    ) -> Sequence[tuple[str, DocumentVersionRow]]:
        """List the documents whose keys begin with `prefix` (of these `keys`), each with the version put last."""
        where = _below(store, prefix)
        if keys is not None:
            where = (*where, DocumentRow.live_key.in_(keys))
        query = (
            self.select(*where)
            .join(DocumentVersionRow, DocumentVersionRow.document_id == DocumentRow.id)
            .where(DocumentVersionRow.version == DocumentRow.latest)
            .with_only_columns(DocumentRow.key, DocumentVersionRow)
        )
        return [(key, version) for key, version in (await self.session.execute(query)).all()]

    async def count_reading(self, store: str, keys: Select[str]) -> int:
        """Count the documents that are still being read, of those whose keys are selected."""
        query = self.select(*_of(store, keys), DocumentRow.status == "in_progress")
        return await self.session.scalar(query.with_only_columns(func.count(DocumentRow.id))) or 0

    async def list_failed(self, store: str, keys: Select[str]) -> list[str]:
        """List the keys of the documents that couldn't be read, of those that are selected."""
        query = self.select(*_of(store, keys), DocumentRow.status == "failed").order_by(DocumentRow.key)
        return list((await self.session.scalars(query.with_only_columns(DocumentRow.key).limit(_MOST_NAMED))).all())


def _below(store: str, prefix: str) -> tuple[ColumnElement[bool], ...]:
    return DocumentRow.store_id == store, DocumentRow.live_key.startswith(prefix, autoescape=True)


def _of(store: str, keys: Select[str]) -> tuple[ColumnElement[bool], ...]:
    return DocumentRow.store_id == store, DocumentRow.live_key.in_(keys)
