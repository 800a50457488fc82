"""A tenant's vector stores."""

import time
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.errors import BadRequest
from gateway.files.service import get_file
from gateway.ids import new_id
from gateway.vector_stores.repository import DocumentRepository, StoreRepository
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
from gateway.vector_stores.store_queue import DROP, ask_for_work
from gateway.vector_stores.tables import StoreRow
from gateway.vector_stores.versions import AUTO_CHUNK_SIZES, ChunkSizes, Content, put_version

__all__ = ["VectorStoreService", "check_filled_stores", "check_stores", "find_chunk_sizes", "find_live"]


async def check_stores(session: AsyncSession, tenant: str, ids: Sequence[str], *, param: str) -> None:
    """Raise `NotFound` unless all the stores are the tenant's."""
    stores = StoreRepository(session, tenant)
    for id in ids:
        await stores.get(id, param=param)


async def check_filled_stores(session: AsyncSession, tenant: str, ids: Sequence[str], *, param: str) -> None:
    """Raise `NotFound` unless all the stores are the tenant's, and `BadRequest` where one can't answer anything yet."""
    await check_stores(session, tenant, ids, param=param)
    documents = DocumentRepository(session, tenant)
    for id in ids:
        if not await documents.count_live(id):
            raise BadRequest(
                f"The vector store {id!r} has no document that can be searched yet. Add documents to it, wait until "
                "they are completed, and try again.",
                param=param,
                code="empty_vector_store",
            )


async def find_live(session: AsyncSession, tenant: str, documents: Collection[str]) -> set[str]:
    """Return those of some documents that are there: neither they nor their stores were deleted."""
    return await DocumentRepository(session, tenant).find_live(documents)


class VectorStoreService:
    """One tenant's vector stores."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session = session
        self._tenant = tenant
        self._stores = StoreRepository(session, tenant)
        self._documents = DocumentRepository(session, tenant)

    async def create(self, request: VectorStoreCreate) -> VectorStore:
        now = int(time.time())
        sizes = find_chunk_sizes(request.chunking_strategy) or AUTO_CHUNK_SIZES
        row = StoreRow(
            id=new_id("vs_"),
            created_at=now,
            name=request.name or "",
            description=request.description,
            meta=request.metadata or {},
            index_epoch=0,
            last_active_at=now,
            expires_after=request.expires_after and request.expires_after.model_dump(),
            max_chunk_tokens=sizes.max_tokens,
            overlap_tokens=sizes.overlap_tokens,
        )
        self._stores.add(row)
        await self._session.flush()
        for id in dict.fromkeys(request.file_ids or ()):
            file = await get_file(self._session, self._tenant, id, param="file_ids")
            content = Content(file.filename, file.digest, file.bytes, file.id)
            await put_version(self._session, row, file.id, content)
        return await self._with_counts(row)

    async def list(self, *, limit: int, order: str, after: str | None, before: str | None) -> VectorStoreList:
        page = await self._stores.list_page(limit=limit, order=order, after=after, before=before)
        counts = await self._documents.count_by_store([row.id for row in page.rows])
        return VectorStoreList.of([_schema(row, counts[row.id]) for row in page.rows], page)

    async def get(self, id: str) -> VectorStore:
        return await self._with_counts(await self._stores.get(id, param="vector_store_id"))

    async def modify(self, id: str, request: VectorStoreUpdate) -> VectorStore:
        """Change what the request names; null clears it. A store that is used again after it expired starts anew."""
        row = await self._stores.hold(id, param="vector_store_id")
        members = request.model_fields_set
        if "name" in members:
            row.name = request.name or ""
        if "metadata" in members:
            row.meta = request.metadata or {}
        if "expires_after" in members:
            row.expires_after = request.expires_after and request.expires_after.model_dump()
        row.last_active_at = int(time.time())
        return await self._with_counts(row)

    async def delete(self, id: str) -> VectorStoreDeleted:
        """Hide a store at once, and have it removed."""
        row = await self._stores.hold(id, param="vector_store_id")
        row.deleted_at = int(time.time())
        await ask_for_work(self._session, self._tenant, DROP, id)
        return VectorStoreDeleted(id=id)

    async def _with_counts(self, row: StoreRow) -> VectorStore:
        return _schema(row, (await self._documents.count_by_store([row.id]))[row.id])


def find_chunk_sizes(request: ChunkingStrategy | None) -> ChunkSizes | None:
    """Return the sizes that a request asks for; None where it leaves them to the store."""
    if request is None:
        return None
    if not isinstance(request, StaticChunkingStrategy):
        return AUTO_CHUNK_SIZES
    return ChunkSizes(request.static.max_chunk_size_tokens, request.static.chunk_overlap_tokens)


def _schema(row: StoreRow, counts: Mapping[str, tuple[int, int]]) -> VectorStore:
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
