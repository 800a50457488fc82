"""The documents below a prefix of a store, by what became of what was put last."""

from sqlalchemy import ColumnElement, func

from gateway.db import Repository
from gateway.vector_stores.tables import DocumentRow

__all__ = ["FedRepository"]

_MOST_NAMED = 10_000
"""The most keys that are told; what follows from them goes into statements, whose parameters are bounded."""


class FedRepository(Repository[DocumentRow]):
    table = DocumentRow
    noun = "document"

    async def count_reading(self, store: str, prefix: str) -> int:
        """Count the documents that are still being read."""
        query = self.select(*_below(store, prefix), DocumentRow.status == "in_progress")
        return await self.session.scalar(query.with_only_columns(func.count(DocumentRow.id))) or 0

    async def list_failed(self, store: str, prefix: str) -> list[str]:
        """List the keys of the documents that couldn't be read."""
        query = self.select(*_below(store, prefix), DocumentRow.status == "failed").order_by(DocumentRow.key)
        return list((await self.session.scalars(query.with_only_columns(DocumentRow.key).limit(_MOST_NAMED))).all())


def _below(store: str, prefix: str) -> tuple[ColumnElement[bool], ...]:
    return DocumentRow.store_id == store, DocumentRow.live_key.startswith(prefix, autoescape=True)
