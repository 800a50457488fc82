"""Documents under the tenant's own keys: a key's new bytes are its next version, which answers when it is whole."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, aclosing
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.errors import BadRequest, NotFound
from gateway.files.upload import check_length, limit_bytes
from gateway.jobs import find_delay, wait_for
from gateway.pages import PageRequest
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.document_schemas import Document, DocumentDeleted, DocumentList
from gateway.vector_stores.file_addition_service import describe_promptly
from gateway.vector_stores.file_service import last_error_of
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.schemas import ATTRIBUTES
from gateway.vector_stores.store_queue import queue_key_of
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow
from gateway.vector_stores.versions import Content, delete_document, put_version
from retrieval.client import Retriever

__all__ = ["DocumentService", "name_file"]

_KEY_LENGTH = 512
_NAME_LENGTH = 255


class DocumentService:
    """One tenant's documents. Each method is its own unit of work: a put outlasts one, and waiting must hold none."""

    def __init__(
        self, database: Database, artifacts: Artifacts, retriever: Retriever, storage: TenantStorage, tenant: str
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._retriever = retriever
        self._storage = storage
        self._tenant = tenant

    async def put(
        self,
        store_id: str,
        key: str,
        body: AsyncIterator[bytes],
        *,
        attributes: str | None,
        length: int | None,
        wait: float,
        bulk: bool,
        presence: AbstractContextManager[object],
    ) -> Document:
        """Put a document's bytes; the same bytes, name and attributes again change nothing where they are indexed.

        Args:
            store_id: The vector store.
            key: The document's path; its last part is the file name, which with the bytes tells the format.
            body: The bytes.
            attributes: A JSON object; None leaves those of the version before.
            length: The body's, where the client said it.
            wait: Seconds from the body's end to wait for the version to be ready (or to fail).
            bulk: It is one of many: it waits for its turn, also where it is an edit.
            presence: The block in which it waits; one that ends it when the client leaves.

        Raises:
            BadRequest: The key or the attributes are no good, or the body is empty.
            NotFound: There is no such store.
            PayloadTooLarge: More than a file may have, or than the tenant has room for.
        """
        filename = name_file(key)
        values = None if attributes is None else _attributes(attributes)
        check_length(length, self._storage.file_limit)
        async with self._database.read() as session:
            store = await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
            document = await DocumentRepository(session, self._tenant).by_key(store_id, key)
        parts = limit_bytes(body, self._storage.file_limit)
        if document is None:  # else they may be the same, and take no more room
            parts = self._storage.pass_on(self._tenant, parts, announced=length or 1)
        async with aclosing(parts):
            artifact = await self._artifacts.put(parts)
        deadline = time.monotonic() + wait
        present = None
        if document is not None:  # else there is nothing that could be in another index
            present = await describe_promptly(self._retriever, store.index_identity)
        async with self._database.begin() as session:
            store = await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
            content = Content(filename, artifact.digest, artifact.size)
            document, version = await put_version(
                *(session, store, key, content),
                attributes=values,
                present=present,
                storage=self._storage,
                bulk=bulk,
            )
        if not wait:  # many come one after the other: none asks what all of them wait for
            return _to_schema(document, version, None)
        return await self._after(document, version, deadline - time.monotonic(), presence)

    async def get(self, store_id: str, key: str, wait: float, presence: AbstractContextManager[object]) -> Document:
        async with self._database.read() as session:
            document = await self._document(session, store_id, key)
            version = (await VersionRepository(session, self._tenant).find_newest([document]))[document.id]
        return await self._after(document, version, wait, presence)

    async def list(self, store_id: str, request: PageRequest) -> DocumentList:
        async with self._database.read() as session:
            await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
            documents = DocumentRepository(session, self._tenant)
            page = await documents.list_page(DocumentRow.store_id == store_id, **asdict(request))
            newest = await VersionRepository(session, self._tenant).find_newest(page.rows)
            delay = await self._find_delay(session, store_id, *newest.values())
        return DocumentList.of([_to_schema(row, newest[row.id], delay) for row in page.rows], page)

    async def delete(self, store_id: str, key: str) -> DocumentDeleted:
        """Delete a document: it answers nothing from this call on."""
        async with self._database.begin() as session:
            document = await self._document(session, store_id, key)
            job = await delete_document(session, document)
            if job is None:
                raise _miss_document(store_id, key)
        return DocumentDeleted(document_id=document.id, key=key, job=job)

    async def _document(self, session: AsyncSession, store_id: str, key: str) -> DocumentRow:
        await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
        row = await DocumentRepository(session, self._tenant).by_key(store_id, key)
        if row is None:
            raise _miss_document(store_id, key)
        return row

    async def _after(
        self, document: DocumentRow, version: DocumentVersionRow, wait: float, presence: AbstractContextManager[object]
    ) -> Document:
        if version.status != "in_progress":
            return _to_schema(document, version, None)
        if wait > 0 and version.job_id is not None:
            with presence:
                await wait_for(self._database, self._tenant, version.job_id, wait)
        async with self._database.read() as session:
            version = await VersionRepository(session, self._tenant).get(version.id)
            document = await DocumentRepository(session, self._tenant).get(version.document_id)
            delay = await self._find_delay(session, document.store_id, version)
        return _to_schema(document, version, delay)

    async def _find_delay(self, session: AsyncSession, store_id: str, *versions: DocumentVersionRow) -> str | None:
        """Return the reason why those of a store that aren't read yet wait, if a part is away."""
        if all(version.status != "in_progress" for version in versions):
            return None
        return await find_delay(session, self._tenant, queue_key_of(store_id))


def name_file(key: str) -> str:
    """Return the file name of a document by its key, or raise `BadRequest` if it can't be one."""
    name = key.rsplit("/", 1)[-1]
    # U+FFFD stands for bytes that aren't UTF-8: under other such bytes another document would replace this one.
    unreadable = not key.isprintable() or "\ufffd" in key
    if not name.strip() or len(key) > _KEY_LENGTH or len(name) > _NAME_LENGTH or unreadable:
        raise BadRequest(
            f"A document's key is a path of at most {_KEY_LENGTH} printable characters, in UTF-8, whose last part, its "
            f"file name, has 1 to {_NAME_LENGTH}. Choose another key.",
            param="key",
        )
    return name


def _miss_document(store_id: str, key: str) -> NotFound:
    return NotFound(
        f"The vector store {store_id!r} has no document {key!r}. List its documents to see their keys.", param="key"
    )


def _attributes(text: str) -> dict[str, Any]:
    try:
        return ATTRIBUTES.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        # Behind the name stand pydantic's own for what a value may be.
        where = f" at {str(first['loc'][0])[:64]!r}" if first["loc"] else ""
        raise BadRequest(
            f"The header braid-attributes can't be used: {first['msg']}{where}. It is a JSON object of "
            "at most 16 names (64 characters) with strings (512 characters), numbers or booleans.",
            param="braid-attributes",
        ) from None


def _to_schema(document: DocumentRow, version: DocumentVersionRow, delay: str | None) -> Document:
    return Document.model_validate(
        {
            "document_id": document.id,
            "vector_store_id": document.store_id,
            "key": document.key,
            "version": version.version,
            "live_version": document.version,
            "index_epoch": version.index_epoch,
            "file_id": version.file_id,
            "filename": version.filename,
            "bytes": version.bytes,
            "sha256": version.digest,
            "chunks": version.chunks,
            "embedded": version.embedded,
            "attributes": version.attributes,
            "status": version.status,
            "error": last_error_of(version),
            "warnings": version.warnings or [],
            "waits_for": delay if version.status == "in_progress" else None,
            "job": version.job_id,
            "created_at": version.created_at,
        }
    )
