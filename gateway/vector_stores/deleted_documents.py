"""Deleted documents of which bytes are still kept: until their removal, and where their file is the tenant's own.

A file that a client uploaded stays its file when it is taken out of a store. Of all others nothing is left but their
places in the stores' lists, for a day, by which they are counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.files.service import list_files
from gateway.vector_stores.repository import (
    DeletedDocumentRepository,
    DocumentRepository,
    RemovedFileRepository,
    VersionRepository,
)

__all__ = ["DeletedContent", "DeletedDocuments", "list_deleted", "list_successors"]

_MOST_DOCUMENTS = 200
_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class DeletedContent:
    """The bytes of a version that a document had before it was deleted; `deleted_at` is in Unix seconds."""

    store: str
    document: str
    key: str
    version: int
    deleted_at: int
    filename: str
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class DeletedDocuments:
    """The rest of some stores' deleted documents, the last deleted first.

    `times` are when each one was deleted, of those that are still known, by their ids.
    """

    contents: Sequence[DeletedContent]
    times: dict[str, int]


async def list_deleted(session: AsyncSession, tenant: str, stores: Sequence[str]) -> DeletedDocuments:
    """List the two hundred documents of some stores that were deleted last, and those whose removal is under way."""
    contents: list[DeletedContent] = []
    hidden = await DeletedDocumentRepository(session, tenant).list_newest(stores, _MOST_DOCUMENTS)
    times = {document.id: document.deleted_at or 0 for document in hidden}
    for document in hidden:
        versions = await VersionRepository(session, tenant).list_earlier(document.id, document.latest + 1, _VERSIONS)
        contents += [
            DeletedContent(
                *(document.store_id, document.id, document.key, one.version, times[document.id]),
                *(one.filename, one.digest, one.bytes),
            )
            for one in versions
        ]
    removed_files = await RemovedFileRepository(session, tenant).list_newest(stores, _MOST_DOCUMENTS)
    files = {file.id: file for file in await list_files(session, tenant, {one.file_id for one in removed_files})}
    for place in removed_files:
        times[place.id] = place.removed_at
        if file := files.get(place.file_id):
            contents.append(
                DeletedContent(
                    *(place.store_id, place.id, file.id, 1, place.removed_at),
                    *(file.filename, file.digest, file.bytes),
                )
            )
    return DeletedDocuments(contents, times)


async def list_successors(
    session: AsyncSession, tenant: str, stores: Sequence[str], keys: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Return the documents of some stores that answer under some keys now, as store and id, by key."""
    rows = await DocumentRepository(session, tenant).list_of_keys(stores, keys)
    return {row.key: (row.store_id, row.id) for row in rows if row.version}
