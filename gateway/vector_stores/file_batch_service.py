"""Files that are added to a store at once, and may be given up at once."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import NotFound
from gateway.files import FileRow
from gateway.files.service import get_files
from gateway.ids import new_id
from gateway.jobs import cancel
from gateway.pages import PageRequest
from gateway.vector_stores.file_addition_service import describe_promptly
from gateway.vector_stores.file_batch_repository import BatchFileRepository, FileBatchRepository
from gateway.vector_stores.file_batch_schemas import VectorStoreFileBatch, VectorStoreFileBatchCreate
from gateway.vector_stores.file_service import VectorStoreFileService
from gateway.vector_stores.repository import StoreRepository
from gateway.vector_stores.schemas import FileCounts, Status, VectorStoreFileCreate, VectorStoreFileList
from gateway.vector_stores.service import find_chunk_sizes
from gateway.vector_stores.tables import BatchFileRow, FileBatchRow
from gateway.vector_stores.versions import Content, put_version
from retrieval.client import Retriever
from retrieval.messages import RetrieverInfo

__all__ = ["FileBatchService"]

_AT_ONCE = 50
"""Files of one unit of work: 2,000 in one would keep every other writer waiting for seconds."""


class FileBatchService:
    """One tenant's file batches. Each method makes its own units of work, large ones more than one."""

    def __init__(self, database: Database, retriever: Retriever, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant

    async def create(self, store_id: str, request: VectorStoreFileBatchCreate) -> VectorStoreFileBatch:
        """Add files to a store; where this is cut off, those that were added so far are in the store."""
        each = sorted(request.each, key=lambda one: one.file_id)  # of two such none ever waits for the other
        param = "file_ids" if request.files is None else "files"
        async with self._database.begin() as session:
            store = await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
            files = await get_files(session, self._tenant, [one.file_id for one in each], param=param)
            batch = FileBatchRow(id=new_id("vsfb_"), created_at=int(time.time()), store_id=store_id)
            FileBatchRepository(session, self._tenant).add(batch)
        present = None
        if store.index_identity is not None:  # else nothing of it is in any index
            present = await describe_promptly(self._retriever, store.index_identity)
        for start in range(0, len(each), _AT_ONCE):
            async with self._database.begin() as session:
                await self._add(session, batch, each[start : start + _AT_ONCE], files, present)
        return await self.get(store_id, batch.id)

    async def _add(
        self,
        session: AsyncSession,
        batch: FileBatchRow,
        some: Sequence[VectorStoreFileCreate],
        files: dict[str, FileRow],
        present: RetrieverInfo | None,
    ) -> None:
        store = await StoreRepository(session, self._tenant).get(batch.store_id, param="vector_store_id")
        members = BatchFileRepository(session, self._tenant)
        for one in some:
            file = files[one.file_id]
            document, version = await put_version(
                session,
                store,
                file.id,
                Content(file.filename, file.digest, file.bytes, file.id),
                attributes=one.attributes,
                chunking=find_chunk_sizes(one.chunking_strategy),
                present=present,
            )
            await session.flush()
            members.add(
                BatchFileRow(
                    id=new_id("bf_"),
                    created_at=batch.created_at,
                    batch_id=batch.id,
                    document_id=document.id,
                    version_id=version.id,
                )
            )

    async def get(self, store_id: str, batch_id: str) -> VectorStoreFileBatch:
        async with self._database.read() as session:
            return await self._schema(session, await self._batch(session, store_id, batch_id))

    async def list_files(
        self, store_id: str, batch_id: str, page: PageRequest, status: str | None
    ) -> VectorStoreFileList:
        async with self._database.read() as session:
            await self._batch(session, store_id, batch_id)
            files = VectorStoreFileService(session, self._tenant)
            return await files.list(store_id, **asdict(page), status=status, batch=batch_id)

    async def cancel(self, store_id: str, batch_id: str) -> VectorStoreFileBatch:
        """Give up the files that aren't ready; one that is being read ends within seconds, unless it gets done before.

        Files that were in the store before stay there as they were, and a batch that is done stays as it is.
        """
        async with self._database.begin() as session:
            batch = await self._batch(session, store_id, batch_id)
            counts = await BatchFileRepository(session, self._tenant).count_by_outcome(batch)
            if batch.cancelled_at is None and counts.get("in_progress"):
                batch.cancelled_at = int(time.time())
        while True:
            async with self._database.begin() as session:
                if not await self._cancel_some(session, batch_id):
                    break
        return await self.get(store_id, batch_id)

    async def _cancel_some(self, session: AsyncSession, batch_id: str) -> int:
        """Cancel some that wait and return their number; those that run are asked to stop."""
        waiting = await BatchFileRepository(session, self._tenant).list_waiting(batch_id, _AT_ONCE)
        cancelled = 0
        for document, version in waiting:
            if version.job_id is None or await cancel(session, self._tenant, version.job_id) != "cancelled":
                continue
            version.status = "cancelled"
            if document.latest == version.version:
                document.status = "cancelled"
            cancelled += 1
        return cancelled

    async def _batch(self, session: AsyncSession, store_id: str, batch_id: str) -> FileBatchRow:
        await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
        row = await FileBatchRepository(session, self._tenant).find(batch_id)
        if row is None or row.store_id != store_id:
            raise NotFound(
                f"The vector store {store_id!r} has no file batch {batch_id!r}. Use the id that its creation returned.",
                param="batch_id",
            )
        return row

    async def _schema(self, session: AsyncSession, row: FileBatchRow) -> VectorStoreFileBatch:
        counts = await BatchFileRepository(session, self._tenant).count_by_outcome(row)
        return VectorStoreFileBatch(
            id=row.id,
            created_at=row.created_at,
            vector_store_id=row.store_id,
            status=_status(row, counts),
            file_counts=FileCounts(**counts, total=sum(counts.values())),
        )


def _status(row: FileBatchRow, counts: Mapping[str, int]) -> Status:
    if counts.get("in_progress"):
        return "in_progress"
    if row.cancelled_at is not None:
        return "cancelled"
    return "failed" if counts.get("failed") and not counts.get("completed") else "completed"
