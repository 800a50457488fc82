"""Changes of a document in the database: another version of it, or its end."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import lock
from gateway.errors import NotFound
from gateway.files.service import add_file, hold_file, make_file
from gateway.ids import new_id
from gateway.jobs import cancel, enqueue
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.remove import ask_for_removal
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.store_queue import INGEST, queue_key_of
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow
from retrieval.messages import RetrieverInfo

__all__ = [
    "AUTO_CHUNK_SIZES",
    "ChunkSizes",
    "Content",
    "delete_document",
    "delete_documents_of",
    "lock_document",
    "put_version",
]


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """The size of a document's chunks, in the embedder's tokens.

    `overlap_tokens` are repeated from the chunk before, at most half of `max_tokens`.
    """

    max_tokens: int
    overlap_tokens: int


AUTO_CHUNK_SIZES = ChunkSizes(160, 0)
"""OpenAI's `auto`. Hosted, it is 800 with 400 repeated; the packaged embedder reads 256 tokens and would not see the
rest of such a chunk. Chunks begin at headings, so nothing is gained by repeating text."""

_SMALL_BYTES = 256 * 1024
"""Read in well under a second, so that an edit may go before others that wait."""


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are in the artifacts already; `file_id` is None where they have no file yet."""

    filename: str
    digest: str
    bytes: int
    file_id: str | None = None


async def lock_document(session: AsyncSession, store_id: str, key: str) -> None:
    """Let nobody else put a version of a document until the unit of work ends; what is read before may be stale."""
    await lock(session, f"document {store_id} {key}")


async def put_version(
    session: AsyncSession,
    store: StoreRow,
    key: str,
    content: Content,
    *,
    attributes: dict[str, Any] | None = None,
    chunking: ChunkSizes | None = None,
    present: RetrieverInfo | None = None,
    storage: TenantStorage | None = None,
    bulk: bool = False,
) -> tuple[DocumentRow, DocumentVersionRow]:
    """Put a version of a document under its key, and have it ingested.

    The same again changes nothing, unless the version isn't in the `present` index or was cut by another chunker: then
    it is indexed anew. Attributes and chunk sizes that are None stay as they were. Bytes that have no file yet have to
    find room in the tenant's `storage`. A small document's edit is ingested before what waits, unless it is one of
    many (`bulk`).

    Raises:
        PayloadTooLarge: There is none.
        NotFound: The content's file was deleted, or has expired, or the store was deleted.
    """
    # Of clients that put the same key at the same time each makes the version after the other's.
    await lock_document(session, store.id, key)
    if content.file_id is not None:
        await hold_file(session, store.tenant_id, content.file_id)
    documents = DocumentRepository(session, store.tenant_id)
    document = await documents.lock_key(store.id, key)
    newest = None
    if document is not None:
        newest = await VersionRepository(session, store.tenant_id).get_version(document.id, document.latest)
    # It may have been indexed since the store was read, as part of what the other clients put.
    if await StoreRepository(session, store.tenant_id).find_anew(store.id) is None:
        raise NotFound(f"The vector store {store.id!r} was deleted meanwhile.", param="vector_store_id")
    row = _new_version(store, newest, content, attributes, chunking)
    if document is not None and newest is not None and _same(newest, row) and not _is_lost(store, newest, present):
        return document, newest
    if document is None:
        document = DocumentRow(
            id=new_id("doc_"),
            created_at=row.created_at,
            store_id=store.id,
            key=key,
            live_key=key,
            version=0,
            latest=0,
            status="in_progress",
            usage_bytes=0,
        )
        documents.add(document)
        await session.flush()
    if content.file_id is None:
        file = make_file(row.filename, "assistants", row.digest, row.bytes, id=row.file_id)
        add_file(session, store.tenant_id, file)
    await _append(session, document, row, urgent=document.version > 0 and row.bytes <= _SMALL_BYTES and not bulk)
    if storage is not None and content.file_id is None:
        await storage.admit(session, store.tenant_id, row.bytes)
    return document, row


async def delete_document(session: AsyncSession, document: DocumentRow) -> str | None:
    """Hide a document at once and have it removed; return the id of the job that does.

    It is None where somebody else has deleted it since it was read.
    """
    if await DocumentRepository(session, document.tenant_id).lock(document.id) is None:
        return None
    await _supersede(session, document)
    document.deleted_at = int(time.time())
    document.live_key = None
    return await ask_for_removal(session, document.tenant_id, document.store_id)


async def delete_documents_of(session: AsyncSession, tenant: str, file_id: str) -> None:
    """Delete a file's documents in all stores, as OpenAI's contract has it for the deletion of a file."""
    for document in await DocumentRepository(session, tenant).lock_by_file(file_id):
        await delete_document(session, document)


def _new_version(
    store: StoreRow,
    newest: DocumentVersionRow | None,
    content: Content,
    attributes: dict[str, Any] | None,
    chunking: ChunkSizes | None,
) -> DocumentVersionRow:
    before = store if newest is None else newest
    sizes = chunking or ChunkSizes(before.max_chunk_tokens, before.overlap_tokens)
    if attributes is None:
        attributes = {} if newest is None else newest.attributes
    return DocumentVersionRow(
        id=new_id("dv_"),
        created_at=int(time.time()),
        file_id=content.file_id or new_id("file-"),
        filename=content.filename,
        digest=content.digest,
        bytes=content.bytes,
        attributes=attributes,
        max_chunk_tokens=sizes.max_tokens,
        overlap_tokens=sizes.overlap_tokens,
        status="in_progress",
        chunks=0,
    )


def _same(newest: DocumentVersionRow, row: DocumentVersionRow) -> bool:
    """Tell whether a put says nothing new; one that failed is always tried anew."""
    compared = ("filename", "digest", "attributes", "max_chunk_tokens", "overlap_tokens")
    return newest.status in ("in_progress", "completed") and all(
        getattr(newest, name) == getattr(row, name) for name in compared
    )


def _is_lost(store: StoreRow, newest: DocumentVersionRow, present: RetrieverInfo | None) -> bool:
    """Tell whether a version that was indexed isn't there as it would be now."""
    if newest.status != "completed":
        return False
    if present is None or store.mirror_identity is not None:  # of two indexes, `present` may be the other one
        return newest.index_identity != store.index_identity
    return newest.index_identity != present.index or newest.chunker not in present.present_chunkers


async def _append(session: AsyncSession, document: DocumentRow, row: DocumentVersionRow, *, urgent: bool) -> None:
    await _supersede(session, document, running=False)
    row.document_id = document.id
    row.version = document.latest = document.latest + 1
    document.status = row.status
    job = await enqueue(
        session,
        document.tenant_id,
        kind=INGEST,
        queue_key=queue_key_of(document.store_id),
        subject=row.id,
        payload={"store": document.store_id, "document": document.id, "version": row.version},
        urgent=urgent,
    )
    row.job_id = job.id
    VersionRepository(session, document.tenant_id).add(row)


async def _supersede(session: AsyncSession, document: DocumentRow, *, running: bool = True) -> None:
    """Cancel the versions that wait; one that is being read goes on unless `running`, so that something gets done."""
    for row in await VersionRepository(session, document.tenant_id).list_waiting(document.id):
        if (
            row.job_id is not None
            and await cancel(session, document.tenant_id, row.job_id, running=running) == "cancelled"
        ):
            row.status = "cancelled"
