from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Select, func, or_

from gateway.db import Repository
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow

__all__ = ["DeletedDocumentRepository", "DocumentRepository", "StoreRepository", "VersionRepository"]


class StoreRepository(Repository[StoreRow]):
    """A tenant's stores, without those that are deleted."""

    table = StoreRow
    noun = "vector store"

    def select(self, *where: ColumnElement[bool]) -> Select[StoreRow]:
        return super().select(StoreRow.deleted_at.is_(None), *where)

    async def move_index_epoch(self, id: str, index_epoch: int) -> bool:
        """Make the index epoch after this one visible; false when the store is gone or has another one by now."""
        where = (StoreRow.id == id, StoreRow.index_epoch == index_epoch, StoreRow.deleted_at.is_(None))
        return await self.update_rows(*where, index_epoch=index_epoch + 1) == 1

    async def list_idle(self, ids: Collection[str], since: int) -> Sequence[str]:
        """List those of the stores that weren't noted as used since then."""
        query = self.select(StoreRow.id.in_(ids), StoreRow.last_active_at < since)
        return (await self.session.scalars(query.with_only_columns(StoreRow.id))).all()

    async def touch(self, ids: Collection[str], now: int) -> None:
        await self.update_rows(StoreRow.id.in_(ids), last_active_at=now)

    async def list_states(self, ids: Collection[str]) -> Sequence[tuple[StoreRow, bool]]:
        """List the stores, each with whether deleted documents of it may still be indexed: one query for a search."""
        deleted = DeletedDocumentRepository(self.session, self.tenant).select(DocumentRow.store_id == StoreRow.id)
        query = self.select(StoreRow.id.in_(ids)).add_columns(deleted.exists())
        return [(store, there) for store, there in (await self.session.execute(query)).all()]

    async def erase(self, id: str) -> None:
        """Delete the row of a store whose documents are gone."""
        await self.delete_rows(StoreRow.id == id)


class DocumentRepository(Repository[DocumentRow]):
    """A tenant's documents, without those that are deleted."""

    table = DocumentRow
    noun = "document"

    def select(self, *where: ColumnElement[bool]) -> Select[DocumentRow]:
        return super().select(DocumentRow.deleted_at.is_(None), *where)

    async def by_key(self, store: str, key: str) -> DocumentRow | None:
        return await self.one(DocumentRow.store_id == store, DocumentRow.live_key == key)

    async def by_file(self, store: str, file_id: str) -> DocumentRow | None:
        """Find the document that an OpenAI client means: added as this file, or put from these bytes."""
        where = DocumentRow.store_id == store
        added = await self.one(where, DocumentRow.live_key == file_id)
        return added or await self.one(where, self._is_from(file_id))

    async def list_by_file(self, file_id: str) -> Sequence[DocumentRow]:
        """List the documents of all stores that were added as this file, or put from these bytes."""
        query = self.select(or_(DocumentRow.live_key == file_id, self._is_from(file_id)))
        return (await self.session.scalars(query)).all()

    def _is_from(self, file_id: str) -> ColumnElement[bool]:
        newest = VersionRepository(self.session, self.tenant).select(
            DocumentVersionRow.document_id == DocumentRow.id,
            DocumentVersionRow.version == DocumentRow.latest,
            DocumentVersionRow.file_id == file_id,
        )
        return newest.exists()

    async def find_live(self, ids: Collection[str]) -> set[str]:
        """Return those of some ids that are documents in stores, neither of which is deleted."""
        stores = StoreRepository(self.session, self.tenant).select().with_only_columns(StoreRow.id)
        query = self.select(DocumentRow.id.in_(ids), DocumentRow.store_id.in_(stores))
        return set((await self.session.scalars(query.with_only_columns(DocumentRow.id))).all())

    async def counts(self, stores: Collection[str]) -> Mapping[str, Mapping[str, tuple[int, int]]]:
        """Count documents and their bytes, by store and status."""
        query = (
            self.select(DocumentRow.store_id.in_(stores))
            .with_only_columns(
                DocumentRow.store_id, DocumentRow.status, func.count(), func.sum(DocumentRow.usage_bytes)
            )
            .group_by(DocumentRow.store_id, DocumentRow.status)
        )
        counts: dict[str, dict[str, tuple[int, int]]] = {store: {} for store in stores}
        for store, status, number, size in (await self.session.execute(query)).all():
            counts[store][status] = (number, int(size))
        return counts

    async def erase(self, *where: ColumnElement[bool]) -> None:
        """Delete rows, also of documents that are marked as deleted, with all their versions."""
        ids = super().select(*where).with_only_columns(DocumentRow.id)
        await VersionRepository(self.session, self.tenant).delete_rows(DocumentVersionRow.document_id.in_(ids))
        await self.delete_rows(*where)


class DeletedDocumentRepository(Repository[DocumentRow]):
    """A tenant's deleted documents whose points may still be in the index."""

    table = DocumentRow
    noun = "document"

    def select(self, *where: ColumnElement[bool]) -> Select[DocumentRow]:
        return super().select(DocumentRow.deleted_at.is_not(None), *where)

    async def list_ids(self, stores: Collection[str]) -> Sequence[str]:
        """List the ids of those that were in one of the stores."""
        query = self.select(DocumentRow.store_id.in_(stores))
        return (await self.session.scalars(query.with_only_columns(DocumentRow.id))).all()


class VersionRepository(Repository[DocumentVersionRow]):
    table = DocumentVersionRow
    noun = "document version"

    async def get_version(self, document: str, version: int) -> DocumentVersionRow | None:
        return await self.one(DocumentVersionRow.document_id == document, DocumentVersionRow.version == version)

    async def newest(self, documents: Sequence[DocumentRow]) -> dict[str, DocumentVersionRow]:
        """Find the version that was put last, by document id."""
        ids = [document.id for document in documents]
        query = (
            self.select(DocumentVersionRow.document_id.in_(ids))
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .where(DocumentVersionRow.version == DocumentRow.latest)
        )
        return {row.document_id: row for row in (await self.session.scalars(query)).all()}

    async def waiting(self, document: str) -> Sequence[DocumentVersionRow]:
        return await self.all(DocumentVersionRow.document_id == document, DocumentVersionRow.status == "in_progress")

    async def list_contents(self, *where: ColumnElement[bool]) -> Sequence[tuple[str, str, str]]:
        """List key, file id and digest of every version of the documents that `where` selects, deleted ones too."""
        query = (
            self.select(*where)
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .with_only_columns(DocumentRow.key, DocumentVersionRow.file_id, DocumentVersionRow.digest)
        )
        return [(key, file_id, digest) for key, file_id, digest in (await self.session.execute(query)).all()]
