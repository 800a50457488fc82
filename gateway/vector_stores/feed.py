"""Documents that another noun keeps in a store, in that noun's unit of work: a source's items."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts.folder import StoredBytes
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.document_service import name_file
from gateway.vector_stores.fed_repository import FedRepository
from gateway.vector_stores.repository import DocumentRepository, StoreRepository
from gateway.vector_stores.versions import Content, delete_document, put_version
from retrieval.messages import RetrieverInfo

__all__ = [
    "FedDocument",
    "FedStates",
    "NamedDocument",
    "delete_fed",
    "list_fed",
    "list_live",
    "name_file",
    "put_fed",
    "read_states",
]


@dataclass(frozen=True, slots=True)
class FedDocument:
    """A document's newest version: its attributes and status, and why it failed, if it did."""

    key: str
    document_id: str
    attributes: dict[str, Any]
    status: str
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class FedStates:
    """The number of the documents that are still being read, and the keys, without their prefix, of those that failed.

    Of those that failed the first ten thousand are listed.
    """

    reading: int
    failed: Sequence[str]


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A document as it answers now: that of a client's file goes by the file's name, others by their keys."""

    name: str
    attributes: dict[str, Any]


async def put_fed(
    session: AsyncSession,
    tenant: str,
    store_id: str,
    key: str,
    artifact: StoredBytes,
    *,
    attributes: dict[str, Any],
    present: RetrieverInfo | None,
    storage: TenantStorage,
) -> None:
    """Put a version of a document whose bytes are in the artifacts; the same again changes nothing.

    Raises:
        NotFound: The tenant has no such store.
        BadRequest: The key can't be one.
        PayloadTooLarge: The tenant has no room for it.
    """
    store = await StoreRepository(session, tenant).get(store_id, param="vector_store_id")
    content = Content(name_file(key), artifact.digest, artifact.size)
    more: dict[str, Any] = {"present": present, "storage": storage, "bulk": True}
    await put_version(session, store, key, content, attributes=attributes, **more)


async def delete_fed(session: AsyncSession, tenant: str, store_id: str, keys: Sequence[str]) -> None:
    """Delete documents by their keys; those that aren't there are no matter, nor is a store that is gone."""
    documents = DocumentRepository(session, tenant)
    for key in keys:
        row = await documents.by_key(store_id, key)
        if row is not None:
            await delete_document(session, row)


async def list_fed(
    session: AsyncSession, tenant: str, store_id: str, prefix: str, keys: Collection[str] | None = None
) -> Sequence[FedDocument]:
    """List a store's documents whose keys begin with `prefix`; only those of some keys, if they are given."""
    newest = await FedRepository(session, tenant).list_newest(store_id, prefix, keys)
    return [
        FedDocument(
            *(key, version.document_id, version.attributes),
            *(version.status, version.error_code, version.error_message),
        )
        for key, version in newest
    ]


async def read_states(session: AsyncSession, tenant: str, store_id: str, prefix: str, keys: Select[str]) -> FedStates:
    """Return what has become of a store's documents, as they were put last, whose keys are `prefix` and one of `keys`.

    Others may put documents below the same prefix, which are no concern of who has put these.
    """
    fed = FedRepository(session, tenant)
    failed = [key.removeprefix(prefix) for key in await fed.list_failed(store_id, prefix, keys)]
    return FedStates(await fed.count_reading(store_id, prefix, keys), failed)


async def list_live(session: AsyncSession, tenant: str, store_id: str) -> Sequence[NamedDocument]:
    """List a store's documents that answer, with the live version's attributes, whatever was put since."""
    live = await DocumentRepository(session, tenant).list_live_versions(store_id)
    return [
        NamedDocument(version.filename if key == version.file_id else key, version.attributes) for key, version in live
    ]
