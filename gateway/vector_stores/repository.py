from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Repository, cut_slices
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, RemovedFileRow, StoreRow

__all__ = [
    "DeletedDocumentRepository",
    "DocumentRepository",
    "RemovedFileRepository",
    "StoreRepository",
    "VersionRepository",
    "list_filled_stores",
]


class StoreRepository(Repository[StoreRow]):
    """A tenant's stores, without those that are deleted."""

    table = StoreRow
    noun = "vector store"

    def select(self, *where: ColumnElement[bool]) -> Select[StoreRow]:
        return super().select(StoreRow.deleted_at.is_(None), *where)

    async def find_anew(self, id: str) -> StoreRow | None:
        """Find a store as it is now, though the unit of work has read it before."""
        query = self.select(StoreRow.id == id).execution_options(populate_existing=True)
        return (await self.session.scalars(query)).one_or_none()

    async def find_present(self, ids: Collection[str]) -> set[str]:
        """Return those of some ids that are stores."""
        present: set[str] = set()
        for some in cut_slices(ids):
            query = self.select(StoreRow.id.in_(some)).with_only_columns(StoreRow.id)
            present.update((await self.session.scalars(query)).all())
        return present

    async def move_index_epoch(self, store: StoreRow, *, mirrored: bool) -> bool:
        """Make the index epoch after the store's visible; false when it is gone, or has other indexes or epochs by now.

        Args:
            store: As it was when its next index epoch was begun.
            mirrored: Whether that was written to the second index as well.
        """
        where = (
            StoreRow.id == store.id,
            StoreRow.index_epoch == store.index_epoch,
            StoreRow.index_identity.is_not_distinct_from(store.index_identity),
            StoreRow.mirror_identity.is_not_distinct_from(store.mirror_identity),
            StoreRow.deleted_at.is_(None),
        )
        values = {"index_epoch": store.index_epoch + 1}
        if mirrored:
            values["mirror_epoch"] = store.index_epoch + 1
        return await self.update_rows(*where, **values) == 1

    async def find_deleted(self, id: str) -> StoreRow | None:
        """Find a store that was deleted and isn't removed yet."""
        query = super().select(StoreRow.id == id, StoreRow.deleted_at.is_not(None))
        return (await self.session.scalars(query)).one_or_none()

    async def take_fence(self, id: str) -> StoreRow | None:
        """Return a store with the fence of its next writer; None where it is gone."""
        row = await self.lock(id)
        if row is not None:
            row.index_fence += 1
        return row

    async def list_idle(self, ids: Collection[str], since: int, until: int) -> Sequence[str]:
        """List those of the stores that weren't noted as used since then, or only by a clock that was ahead."""
        idle = or_(StoreRow.last_active_at < since, StoreRow.last_active_at > until)
        query = self.select(StoreRow.id.in_(ids), idle)
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
        return await self.find_one(DocumentRow.store_id == store, DocumentRow.live_key == key)

    async def lock_key(self, store: str, key: str) -> DocumentRow | None:
        """Find the document of a key as it is now, and keep others from changing it until the unit of work ends."""
        return await self.lock_one(DocumentRow.store_id == store, DocumentRow.live_key == key)

    async def by_file(self, store: str, file_id: str, *, for_update: bool = False) -> DocumentRow | None:
        """Find the document that an OpenAI client means: added as this file, or put from these bytes; maybe locked."""
        find, where = self.lock_one if for_update else self.find_one, DocumentRow.store_id == store
        return await find(where, DocumentRow.live_key == file_id) or await find(where, self._is_from(file_id))

    async def find_place(self, store: str, file_id: str) -> str | None:
        """Find the id of the document that a file is or was in a store, as long as there is a row of it."""
        was = (DocumentRow.store_id == store, or_(DocumentRow.key == file_id, self._is_from(file_id)))
        query = super().select(*was).order_by(DocumentRow.deleted_at.is_(None).desc(), DocumentRow.created_at.desc())
        return await self.session.scalar(query.with_only_columns(DocumentRow.id).limit(1))

    async def list_of(self, ids: Collection[str]) -> Sequence[DocumentRow]:
        """List those of some documents that are there, however many are named."""
        rows: list[DocumentRow] = []
        for some in cut_slices(ids):
            rows += (await self.session.scalars(self.select(DocumentRow.id.in_(some)))).all()
        return rows

    async def list_of_keys(self, stores: Collection[str], keys: Collection[str]) -> Sequence[DocumentRow]:
        """List the documents of some stores that are there under some keys."""
        rows: list[DocumentRow] = []
        for some in cut_slices(keys):
            rows += await self.list_all(DocumentRow.store_id.in_(stores), DocumentRow.live_key.in_(some))
        return rows

    async def lock_by_file(self, file_id: str) -> Sequence[DocumentRow]:
        """List the documents of a file in all stores, which nobody else changes until the unit of work ends."""
        # In one order: of two such, none has what the other waits for.
        query = self.select_for_update(or_(DocumentRow.live_key == file_id, self._is_from(file_id)))
        return (await self.session.scalars(query.order_by(DocumentRow.store_id, DocumentRow.id))).all()

    def _is_from(self, file_id: str) -> ColumnElement[bool]:
        newest = VersionRepository(self.session, self.tenant).select(
            DocumentVersionRow.document_id == DocumentRow.id,
            DocumentVersionRow.version == DocumentRow.latest,
            DocumentVersionRow.file_id == file_id,
        )
        return newest.exists()

    async def list_live_versions(self, store: str) -> Sequence[tuple[str, DocumentVersionRow]]:
        """List the keys of a store's documents that have a live version, each with that, whatever was put since."""
        query = (
            self.select(DocumentRow.store_id == store)
            .join(DocumentVersionRow, DocumentVersionRow.document_id == DocumentRow.id)
            .where(DocumentVersionRow.version == DocumentRow.version)
            .with_only_columns(DocumentRow.key, DocumentVersionRow)
        )
        return [(key, version) for key, version in (await self.session.execute(query)).all()]

    async def find_live(self, ids: Collection[str]) -> set[str]:
        """Return those of some ids that are documents in stores, neither of which is deleted."""
        stores = StoreRepository(self.session, self.tenant).select().with_only_columns(StoreRow.id)
        query = self.select(DocumentRow.id.in_(ids), DocumentRow.store_id.in_(stores))
        return set((await self.session.scalars(query.with_only_columns(DocumentRow.id))).all())

    async def count_by_store(self, stores: Collection[str]) -> Mapping[str, Mapping[str, tuple[int, int]]]:
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

    async def count_live(self, store: str) -> int:
        """Count a store's documents that have a live version."""
        query = self.select(DocumentRow.store_id == store, DocumentRow.version > 0)
        return await self.session.scalar(query.with_only_columns(func.count(DocumentRow.id))) or 0

    async def list_live_keys(self, store: str) -> Sequence[tuple[str, str]]:
        """List id and key of a store's documents that have a live version, by id."""
        query = self.select(DocumentRow.store_id == store, DocumentRow.version > 0).order_by(DocumentRow.id)
        rows = await self.session.execute(query.with_only_columns(DocumentRow.id, DocumentRow.key))
        return [(id, key) for id, key in rows.all()]

    async def list_live(self, documents: Collection[str]) -> Sequence[str]:
        """List those of the documents that exist: neither deleted nor erased."""
        query = self.select(DocumentRow.id.in_(documents)).with_only_columns(DocumentRow.id)
        return (await self.session.scalars(query)).all()

    async def list_all_ids(self, store: str, limit: int) -> Sequence[str]:
        """List the ids of at most so many documents of a store, deleted ones too."""
        query = super().select(DocumentRow.store_id == store).with_only_columns(DocumentRow.id).limit(limit)
        return (await self.session.scalars(query)).all()

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

    async def list_ids(self, stores: Collection[str], limit: int | None) -> Sequence[str]:
        """List the ids of those that were in one of the stores, at most `limit`."""
        query = self.select(DocumentRow.store_id.in_(stores)).limit(limit)
        return (await self.session.scalars(query.with_only_columns(DocumentRow.id))).all()

    async def list_newest(self, stores: Collection[str], limit: int) -> Sequence[DocumentRow]:
        """List those of some stores, the last deleted first."""
        query = self.select(DocumentRow.store_id.in_(stores)).order_by(DocumentRow.deleted_at.desc(), DocumentRow.id)
        return (await self.session.scalars(query.limit(limit))).all()


class VersionRepository(Repository[DocumentVersionRow]):
    table = DocumentVersionRow
    noun = "document version"

    async def get_version(self, document: str, version: int) -> DocumentVersionRow | None:
        return await self.find_one(DocumentVersionRow.document_id == document, DocumentVersionRow.version == version)

    async def list_earlier(self, document: str, version: int, limit: int) -> Sequence[DocumentVersionRow]:
        """List the versions of a document before this one that were read, newest first."""
        where = (DocumentVersionRow.document_id == document, DocumentVersionRow.version < version)
        query = self.select(*where, DocumentVersionRow.status == "completed")
        return (await self.session.scalars(query.order_by(DocumentVersionRow.version.desc()).limit(limit))).all()

    async def list_times(self, documents: Collection[str]) -> dict[str, list[int]]:
        """List when the versions that were read were put, oldest first, by document id."""
        times: dict[str, list[int]] = {}
        for some in cut_slices(sorted(documents)):
            query = self.select(DocumentVersionRow.document_id.in_(some), DocumentVersionRow.status == "completed")
            columns = (DocumentVersionRow.document_id, DocumentVersionRow.created_at)
            rows = await self.session.execute(query.order_by(DocumentVersionRow.version).with_only_columns(*columns))
            for document, created_at in rows.all():
                times.setdefault(document, []).append(created_at)
        return times

    async def find_newest(self, documents: Sequence[DocumentRow]) -> dict[str, DocumentVersionRow]:
        """Find the version that was put last, by document id."""
        ids = [document.id for document in documents]
        query = (
            self.select(DocumentVersionRow.document_id.in_(ids))
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .where(DocumentVersionRow.version == DocumentRow.latest)
        )
        return {row.document_id: row for row in (await self.session.scalars(query)).all()}

    async def find_unindexed(
        self, store: StoreRow, chunkers: Collection[str] = ()
    ) -> tuple[DocumentRow, DocumentVersionRow] | None:
        """Find a live version that isn't in the store's index, or, if some are named, was cut by another chunker."""
        query = (
            self._select_unindexed(store, chunkers).add_columns(DocumentRow).order_by(DocumentVersionRow.id).limit(1)
        )
        row = (await self.session.execute(query)).first()
        return None if row is None else (row[1], row[0])

    async def count_unindexed(self, store: StoreRow, chunkers: Collection[str] = ()) -> int:
        """Count what `find_unindexed` would find, one after another."""
        query = self._select_unindexed(store, chunkers).with_only_columns(func.count(DocumentVersionRow.id))
        return await self.session.scalar(query) or 0

    async def find_unmirrored(self, store: StoreRow) -> tuple[DocumentRow, DocumentVersionRow] | None:
        """Find a live version of the store that isn't in its second index, and for all that is known could be."""
        missing = DocumentVersionRow.mirror_identity.is_distinct_from(store.mirror_identity)
        query = self._select_live(store, missing & DocumentVersionRow.mirror_error.is_(None)).add_columns(DocumentRow)
        row = (await self.session.execute(query.order_by(DocumentVersionRow.id).limit(1))).first()
        return None if row is None else (row[1], row[0])

    def _select_unindexed(self, store: StoreRow, chunkers: Collection[str]) -> Select[DocumentVersionRow]:
        elsewhere = DocumentVersionRow.index_identity.is_distinct_from(store.index_identity)
        if chunkers:
            chunker = DocumentVersionRow.chunker
            elsewhere = or_(elsewhere, chunker.is_(None), chunker.not_in(chunkers))
        return self._select_live(store, elsewhere)

    def _select_live(self, store: StoreRow, where: ColumnElement[bool]) -> Select[DocumentVersionRow]:
        return (
            self.select(where, DocumentRow.store_id == store.id, DocumentRow.deleted_at.is_(None))
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .where(DocumentVersionRow.version == DocumentRow.version)
        )

    async def set_index(self, store_id: str, index_identity: str | None) -> None:
        """Note of every version of a store's documents in which index its points are."""
        documents = DocumentRepository(self.session, self.tenant).select(DocumentRow.store_id == store_id)
        ids = documents.with_only_columns(DocumentRow.id)
        await self.update_rows(DocumentVersionRow.document_id.in_(ids), index_identity=index_identity)

    async def clear_mirror(self, store_id: str) -> None:
        """Note of every version of a store's documents that it isn't in the second index."""
        documents = DocumentRepository(self.session, self.tenant).select(DocumentRow.store_id == store_id)
        ids = documents.with_only_columns(DocumentRow.id)
        values = {"mirror_identity": None, "mirror_chunker": None, "mirror_error": None}
        await self.update_rows(DocumentVersionRow.document_id.in_(ids), **values)

    async def find_horizon(self, store_id: str, before: int) -> int:
        """Return the index epoch that readers had at a moment in Unix seconds, or one before it; 0 where none is known.

        Erased versions aren't counted, so that it may be lower than it was, never higher.
        """
        query = (
            self.select(DocumentVersionRow.published_at <= before, DocumentRow.store_id == store_id)
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .with_only_columns(func.max(DocumentVersionRow.index_epoch))
        )
        return await self.session.scalar(query) or 0

    async def list_waiting(self, document: str) -> Sequence[DocumentVersionRow]:
        return await self.list_all(
            DocumentVersionRow.document_id == document, DocumentVersionRow.status == "in_progress"
        )

    async def list_next(
        self, store_id: str, after: str, limit: int
    ) -> Sequence[tuple[DocumentRow, DocumentVersionRow]]:
        """List versions of a store that wait to be ingested, made after another one, oldest first."""
        query = (
            self.select(DocumentVersionRow.status == "in_progress", DocumentVersionRow.id > after)
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .where(DocumentRow.store_id == store_id, DocumentRow.deleted_at.is_(None))
            .add_columns(DocumentRow)
            .order_by(DocumentVersionRow.id)
            .limit(limit)
        )
        return [(document, version) for version, document in (await self.session.execute(query)).all()]

    async def find_used(self, file_ids: Collection[str]) -> set[str]:
        """Return those of some files that a version of any document has."""
        ids: set[str] = set()
        for some in cut_slices(sorted(file_ids)):
            query = self.select(DocumentVersionRow.file_id.in_(some)).with_only_columns(DocumentVersionRow.file_id)
            ids.update((await self.session.scalars(query)).all())
        return ids

    async def list_contents(self, *where: ColumnElement[bool]) -> Sequence[tuple[str, str, str]]:
        """List key, file id and digest of every version of the documents that `where` selects, deleted ones too."""
        query = (
            self.select(*where)
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .with_only_columns(DocumentRow.key, DocumentVersionRow.file_id, DocumentVersionRow.digest)
        )
        return [(key, file_id, digest) for key, file_id, digest in (await self.session.execute(query)).all()]


class RemovedFileRepository(Repository[RemovedFileRow]):
    table = RemovedFileRow
    noun = "removed file"

    async def note(self, documents: Sequence[DocumentRow], now: int) -> None:
        """Keep the places of documents that are about to be erased, by the files that clients know them as."""
        newest = await VersionRepository(self.session, self.tenant).find_newest(documents)
        rows = [
            {
                "id": document.id,
                "created_at": document.created_at,
                "store_id": document.store_id,
                "file_id": newest[document.id].file_id if document.id in newest else document.key,
                "removed_at": now,
            }
            for document in documents
        ]
        if rows:
            await self.add_rows(rows)

    async def list_newest(self, stores: Collection[str], limit: int) -> Sequence[RemovedFileRow]:
        """List the places of some stores' files, the last removed first."""
        query = self.select(RemovedFileRow.store_id.in_(stores))
        query = query.order_by(RemovedFileRow.removed_at.desc(), RemovedFileRow.id)
        return (await self.session.scalars(query.limit(limit))).all()

    async def find_place(self, store: str, file_id: str) -> str | None:
        """Find the id of the document that a file was in a store, the last one where it was there again and again."""
        query = self.select(RemovedFileRow.store_id == store, RemovedFileRow.file_id == file_id)
        query = query.order_by(RemovedFileRow.created_at.desc(), RemovedFileRow.id.desc()).limit(1)
        return await self.session.scalar(query.with_only_columns(RemovedFileRow.id))


async def list_filled_stores(session: AsyncSession) -> Sequence[StoreRow]:
    """List the stores of all tenants that have been written to: the index is one for all, and so are its changes."""
    query = select(StoreRow).where(StoreRow.deleted_at.is_(None), StoreRow.index_epoch > 0).order_by(StoreRow.id)
    return (await session.scalars(query)).all()
