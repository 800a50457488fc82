"""The documents of a store as OpenAI's vector store files."""

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.errors import NotFound
from gateway.files.service import get_file
from gateway.vector_stores.file_batch_repository import BatchFileRepository
from gateway.vector_stores.repository import (
    DocumentRepository,
    RemovedFileRepository,
    StoreRepository,
    VersionRepository,
)
from gateway.vector_stores.schemas import (
    LastError,
    StaticChunkingSizes,
    StaticChunkingStrategy,
    VectorStoreFile,
    VectorStoreFileCreate,
    VectorStoreFileDeleted,
    VectorStoreFileList,
)
from gateway.vector_stores.service import find_chunk_sizes
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow
from gateway.vector_stores.versions import Content, delete_document, put_version
from retrieval.messages import RetrieverInfo

__all__ = ["VectorStoreFileService", "get_document", "last_error_of", "to_file_schema"]


class VectorStoreFileService:
    """One tenant's vector store files.

    A file's id in a store is the file's own; a document that was put under a key goes by its last version's file.
    """

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session = session
        self._tenant = tenant
        self._stores = StoreRepository(session, tenant)
        self._documents = DocumentRepository(session, tenant)
        self._versions = VersionRepository(session, tenant)

    async def add(
        self, store_id: str, request: VectorStoreFileCreate, present: RetrieverInfo | None = None
    ) -> VectorStoreFile:
        """Add a file; the same again changes nothing, see `put_version`."""
        store = await self._stores.get(store_id, param="vector_store_id")
        file = await get_file(self._session, self._tenant, request.file_id, param="file_id")
        document, version = await put_version(
            self._session,
            store,
            file.id,
            Content(file.filename, file.digest, file.bytes, file.id),
            attributes=request.attributes,
            chunking=find_chunk_sizes(request.chunking_strategy),
            present=present,
        )
        return to_file_schema(document, version)

    async def list(
        self,
        store_id: str,
        *,
        limit: int,
        order: str,
        after: str | None,
        before: str | None,
        status: str | None,
        batch: str | None = None,
    ) -> VectorStoreFileList:
        """List a store's files, or only those of a batch that is known to be the store's."""
        await self._stores.get(store_id, param="vector_store_id")
        where = [DocumentRow.store_id == store_id]
        if status is not None:
            where.append(DocumentRow.status == status)
        if batch is not None:
            documents = BatchFileRepository(self._session, self._tenant).select_documents(batch)
            where.append(DocumentRow.id.in_(documents))
        first = after and await self._find_place(store_id, after, "after")
        last = before and await self._find_place(store_id, before, "before")
        page = await self._documents.list_page(*where, limit=limit, order=order, after=first, before=last)
        newest = await self._versions.find_newest(page.rows)
        data = [to_file_schema(row, newest[row.id]) for row in page.rows]
        return VectorStoreFileList(
            data=data,
            first_id=data[0].id if data else None,  # the files' ids, not the documents'
            last_id=data[-1].id if data else None,
            has_more=page.has_more,
        )

    async def get(self, store_id: str, file_id: str) -> VectorStoreFile:
        document = await get_document(self._session, self._tenant, store_id, file_id)
        return to_file_schema(document, (await self._versions.find_newest([document]))[document.id])

    async def delete(self, store_id: str, file_id: str) -> VectorStoreFileDeleted:
        """Take a file out of the store; the file itself stays."""
        # Held: bytes that are put under its key meanwhile aren't those of this file.
        document = await get_document(self._session, self._tenant, store_id, file_id, for_update=True)
        await delete_document(self._session, document)
        return VectorStoreFileDeleted(id=file_id)

    async def _find_place(self, store_id: str, file_id: str, param: str) -> str:
        removed_files = RemovedFileRepository(self._session, self._tenant)
        place = await self._documents.find_place(store_id, file_id) or await removed_files.find_place(store_id, file_id)
        if place is None:
            raise NotFound(
                f"The cursor {file_id!r} is no file of the vector store {store_id!r}, or was removed more than a day "
                "ago. List the files from the beginning.",
                param=param,
            )
        return place


async def get_document(
    session: AsyncSession, tenant: str, store_id: str, file_id: str, *, for_update: bool = False
) -> DocumentRow:
    """Return the document that a file is in a tenant's store, maybe locked until the unit of work ends.

    Raises:
        NotFound: The tenant has no such store, or the store no such file.
    """
    await StoreRepository(session, tenant).get(store_id, param="vector_store_id")
    row = await DocumentRepository(session, tenant).by_file(store_id, file_id, for_update=for_update)
    if row is None:
        raise NotFound(
            f"The vector store {store_id!r} has no file {file_id!r}. List its files to see their ids.",
            param="file_id",
        )
    return row


def last_error_of(version: DocumentVersionRow) -> LastError | None:
    """Return the reason why a version isn't readable in OpenAI's words; None where there is none."""
    if version.error_code is None:
        return None
    return LastError(code=version.error_code, message=version.error_message or "")


def to_file_schema(document: DocumentRow, version: DocumentVersionRow) -> VectorStoreFile:
    """Return a document as the file that it is in its store."""
    sizes = StaticChunkingSizes.model_construct(
        max_chunk_size_tokens=version.max_chunk_tokens, chunk_overlap_tokens=version.overlap_tokens
    )
    return VectorStoreFile.model_validate(
        {
            "id": version.file_id,
            "created_at": document.created_at,
            "vector_store_id": document.store_id,
            "usage_bytes": document.usage_bytes,
            "status": version.status,
            "last_error": last_error_of(version),
            "attributes": version.attributes,
            "chunking_strategy": StaticChunkingStrategy(static=sizes),
            "warnings": version.warnings or [],
        }
    )
