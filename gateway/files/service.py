"""A tenant's files."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.artifacts import Artifacts
from gateway.db import cut_slices
from gateway.files.garbage_collection import collect_later
from gateway.files.repository import FileRepository, list_referenced
from gateway.files.schemas import FileDeleted, FileObject, FileObjectList
from gateway.files.tables import FileRow
from gateway.ids import new_id

__all__ = [
    "FileService",
    "FileUses",
    "StoredFile",
    "add_file",
    "delete_files",
    "find_file",
    "get_file",
    "get_files",
    "hold_file",
    "list_digests",
    "list_files",
    "make_file",
    "to_file_object",
]


async def get_file(session: AsyncSession, tenant: str, id: str, *, param: str = "file_id") -> FileRow:
    """Return a tenant's file, or raise `NotFound` naming the request's `param`."""
    return await FileRepository(session, tenant).get(id, param=param)


async def get_files(session: AsyncSession, tenant: str, ids: Sequence[str], *, param: str) -> dict[str, FileRow]:
    """Return a tenant's files by id, or raise `NotFound` naming the request's `param` and the first that isn't one."""
    return await FileRepository(session, tenant).get_all(ids, param=param)


async def hold_file(session: AsyncSession, tenant: str, id: str) -> FileRow:
    """Return a tenant's file, which nobody else deletes until the unit of work ends, or raise `NotFound`.

    Whoever builds on a file holds it: its deletion is told to those that it knows of (`FileUses`), and to no others.
    """
    return await FileRepository(session, tenant).hold(id, param="file_id")


async def find_file(session: AsyncSession, tenant: str, id: str) -> FileRow | None:
    """Find a tenant's file."""
    return await FileRepository(session, tenant).find(id)


async def list_files(session: AsyncSession, tenant: str, ids: Collection[str]) -> Sequence[FileRow]:
    """List those of some files that the tenant has."""
    return [
        row for some in cut_slices(ids) for row in await FileRepository(session, tenant).list_all(FileRow.id.in_(some))
    ]


async def list_digests(
    session: AsyncSession, columns: Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]]
) -> set[str]:
    """Return every digest in some columns, of all tenants: the bytes that a backup has to have."""
    return await list_referenced(session, columns)


def make_file(filename: str, purpose: str, digest: str, size: int, *, id: str | None = None) -> FileRow:
    """Return a new file's row, of bytes that are in the artifacts; `add_file` adds it."""
    row = FileRow(id=id or new_id("file-"), created_at=int(time.time()), filename=filename, purpose=purpose)
    row.digest, row.bytes = digest, size
    return row


def add_file(session: AsyncSession, tenant: str, row: FileRow) -> FileRow:
    """Add the row of a file whose bytes are in the artifacts."""
    return FileRepository(session, tenant).add(row)


async def delete_files(session: AsyncSession, tenant: str, *, ids: Collection[str], digests: Collection[str]) -> None:
    """Delete a tenant's files; bytes of these digests that no row refers to any more are collected later."""
    await FileRepository(session, tenant).delete_all(ids)
    await collect_later(session, tenant, digests)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The place of a file's bytes, and their type by the file's name."""

    path: Path
    media_type: str
    filename: str


@dataclass(frozen=True, slots=True)
class FileUses:
    """The nouns above that stand on files: `let_go` (session, tenant, file's id) is called by the deletion of one."""

    let_go: Callable[[AsyncSession, str, str], Awaitable[None]]


class FileService:
    """Lists, gives back and deletes one tenant's files; `Uploads` takes them."""

    def __init__(self, session: AsyncSession, tenant: str, artifacts: Artifacts, uses: FileUses) -> None:
        self._session = session
        self._tenant = tenant
        self._uses = uses
        self._files = FileRepository(session, tenant)
        self._artifacts = artifacts

    async def list(
        self, *, limit: int, order: str, after: str | None, before: str | None, purpose: str | None
    ) -> FileObjectList:
        where = () if purpose is None else (FileRow.purpose == purpose,)
        page = await self._files.list_page(*where, limit=limit, order=order, after=after, before=before)
        return FileObjectList.of([to_file_object(row) for row in page.rows], page)

    async def get(self, id: str) -> FileObject:
        return to_file_object(await self._files.get(id, param="file_id"))

    async def find_content(self, id: str) -> StoredFile:
        row = await self._files.get(id, param="file_id")
        media_type = guess_type(row.filename)[0] or "application/octet-stream"
        return StoredFile(self._artifacts.locate_file(row.digest), media_type, row.filename)

    async def delete(self, id: str) -> FileDeleted:
        """Delete a file. It leaves every store that it was in, at once."""
        row = await self._files.hold(id, param="file_id")
        await self._uses.let_go(self._session, self._tenant, row.id)
        await self._files.delete(row)
        await collect_later(self._session, self._tenant, [row.digest])
        return FileDeleted(id=row.id)


def to_file_object(row: FileRow) -> FileObject:
    return FileObject(
        id=row.id,
        bytes=row.bytes,
        created_at=row.created_at,
        filename=row.filename,
        purpose=row.purpose,
        expires_at=row.expires_at,
    )
