"""A tenant's vector stores."""

import time
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.files.repository import FileRepository
from gateway.ids import new_id
from gateway.jobs import enqueue
from gateway.vector_stores.chunking import AUTO, Chunking
from gateway.vector_stores.repository import StoreRepository
from gateway.vector_stores.schemas import (
    ChunkingStrategy,
    ExpiresAfter,
    FileCounts,
    StaticChunkingStrategy,
    VectorStore,
    VectorStoreCreate,
    VectorStoreDeleted,
    VectorStoreList,
    VectorStoreUpdate,
)
from gateway.vector_stores.search import expires_at
from gateway.vector_stores.tables import StoreRow
from gateway.vector_stores.versions import DROP, Content, lane_of, put_version

__all__ = ["VectorStoreService", "sizes_of"]


class VectorStoreService:
    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session = session
        self._tenant = tenant
        self._stores = StoreRepository(session, tenant)

    async def create(self, request: VectorStoreCreate) -> VectorStore:
        now = int(time.time())
        sizes = sizes_of(request.chunking_strategy) or AUTO
        row = StoreRow(
            id=new_id("vs_"),
            created_at=now,
            name=request.name or "",
            description=request.description,
            meta=request.metadata or {},
            epoch=0,
            last_active_at=now,
            expires_after=request.expires_after and request.expires_after.model_dump(),
            max_chunk_tokens=sizes.max_tokens,
            overlap_tokens=sizes.overlap_tokens,
        )
        self._stores.add(row)
        await self._session.flush()
        files = FileRepository(self._session, self._tenant)
        for id in dict.fromkeys(request.file_ids or ()):
            file = await files.get(id, param="file_ids")
            content = Content(file.filename, file.digest, file.bytes, file.id)
            await put_version(self._session, row, file.id, content)
        return await self._shown(row)

    async def list(self, *, limit: int, order: str, after: str | None, before: str | None) -> VectorStoreList:
        page = await self._stores.page(limit=limit, order=order, after=after, before=before)
        counts = await self._stores.counts([row.id for row in page.rows])
        return VectorStoreList(
            data=[_show(row, counts[row.id]) for row in page.rows],
            first_id=page.rows[0].id if page.rows else None,
            last_id=page.rows[-1].id if page.rows else None,
            has_more=page.has_more,
        )

    async def get(self, id: str) -> VectorStore:
        return await self._shown(await self._stores.get(id, param="vector_store_id"))

    async def modify(self, id: str, request: VectorStoreUpdate) -> VectorStore:
        """Change what the request names; null clears it. A store that is used again after it expired starts anew."""
        row = await self._stores.get(id, param="vector_store_id")
        given = request.model_fields_set
        if "name" in given:
            row.name = request.name or ""
        if "metadata" in given:
            row.meta = request.metadata or {}
        if "expires_after" in given:
            row.expires_after = request.expires_after and request.expires_after.model_dump()
        row.last_active_at = int(time.time())
        return await self._shown(row)

    async def delete(self, id: str) -> VectorStoreDeleted:
        """Hide a store at once, and have it removed."""
        row = await self._stores.get(id, param="vector_store_id")
        row.deleted_at = int(time.time())
        await enqueue(self._session, self._tenant, kind=DROP, lane=lane_of(id), subject=id, payload={"store": id})
        return VectorStoreDeleted(id=id)

    async def _shown(self, row: StoreRow) -> VectorStore:
        return _show(row, (await self._stores.counts([row.id]))[row.id])


def sizes_of(request: ChunkingStrategy | None) -> Chunking | None:
    """The sizes that a request asks for; None where it leaves them to the store."""
    if request is None:
        return None
    if not isinstance(request, StaticChunkingStrategy):
        return AUTO
    return Chunking(request.static.max_chunk_size_tokens, request.static.chunk_overlap_tokens)


def _show(row: StoreRow, counts: Mapping[str, tuple[int, int]]) -> VectorStore:
    numbers = {status: number for status, (number, _) in counts.items()}
    end = expires_at(row)
    status = "in_progress" if numbers.get("in_progress") else "completed"
    return VectorStore(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        description=row.description,
        usage_bytes=sum(size for _, size in counts.values()),
        file_counts=FileCounts(**numbers, total=sum(numbers.values())),
        status="expired" if end is not None and end <= time.time() else status,
        expires_after=None if row.expires_after is None else ExpiresAfter(**row.expires_after),
        expires_at=end,
        last_active_at=row.last_active_at,
        metadata=row.meta,
    )
