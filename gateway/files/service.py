"""A tenant's files."""

from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.files.garbage_collection import forget
from gateway.files.repository import FileRepository
from gateway.files.schemas import FileDeleted, FileObject, FileObjectList
from gateway.files.tables import FileRow

__all__ = ["FileContent", "FileService", "show_file"]


@dataclass(frozen=True, slots=True)
class FileContent:
    """Where a file's bytes are, and what they are by the file's name."""

    path: Path
    media_type: str
    filename: str


class FileService:
    """Lists, gives back and deletes files; `Uploads` takes them."""

    def __init__(self, session: AsyncSession, tenant: str, artifacts: Artifacts) -> None:
        self._session = session
        self._tenant = tenant
        self._files = FileRepository(session, tenant)
        self._artifacts = artifacts

    async def list(self, *, limit: int, order: str, after: str | None, purpose: str | None) -> FileObjectList:
        where = () if purpose is None else (FileRow.purpose == purpose,)
        page = await self._files.page(*where, limit=limit, order=order, after=after)
        return FileObjectList(
            data=[show_file(row) for row in page.rows],
            first_id=page.rows[0].id if page.rows else None,
            last_id=page.rows[-1].id if page.rows else None,
            has_more=page.has_more,
        )

    async def get(self, id: str) -> FileObject:
        return show_file(await self._files.get(id, param="file_id"))

    async def content(self, id: str) -> FileContent:
        row = await self._files.get(id, param="file_id")
        media_type = guess_type(row.filename)[0] or "application/octet-stream"
        return FileContent(self._artifacts.file(row.digest), media_type, row.filename)

    async def delete(self, id: str) -> FileDeleted:
        """Delete a file. Where it was added to a store, the store's document stays until it is removed there."""
        row = await self._files.get(id, param="file_id")
        await self._files.delete(row)
        await forget(self._session, self._tenant, [row.digest])
        return FileDeleted(id=row.id)


def show_file(row: FileRow) -> FileObject:
    return FileObject(id=row.id, bytes=row.bytes, created_at=row.created_at, filename=row.filename, purpose=row.purpose)
