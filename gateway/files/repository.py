import time
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.db import Repository, cut_slices
from gateway.files.tables import FileRow, UploadPartRow, UploadRow

__all__ = [
    "FileRepository",
    "UploadPartRepository",
    "UploadRepository",
    "delete_old_uploads",
    "list_expired_files",
    "list_expired_uploads",
    "list_referenced",
    "select_referenced",
]


class FileRepository(Repository[FileRow]):
    """A tenant's files, without those that have expired."""

    table = FileRow
    noun = "file"

    def select(self, *where: ColumnElement[bool]) -> Select[FileRow]:
        return super().select(or_(FileRow.expires_at.is_(None), FileRow.expires_at > int(time.time())), *where)

    async def get_all(self, ids: Sequence[str], *, param: str) -> dict[str, FileRow]:
        """Return the files by id, or raise `NotFound` for the first that isn't one."""
        rows: dict[str, FileRow] = {}
        for some in cut_slices(ids):
            rows.update({row.id: row for row in await self.list_all(FileRow.id.in_(some))})
        for id in ids:
            if id not in rows:
                await self.get(id, param=param)
        return rows

    async def delete_all(self, ids: Collection[str]) -> None:
        for some in cut_slices(ids):
            await self.delete_rows(FileRow.id.in_(some))


class UploadRepository(Repository[UploadRow]):
    table = UploadRow
    noun = "upload"

    async def sum_pending(self) -> tuple[int, int]:
        """Return the number of the tenant's pending uploads, and of the bytes that they will have."""
        query = self.select(UploadRow.status == "pending").with_only_columns(func.count(), func.sum(UploadRow.bytes))
        number, size = (await self.session.execute(query)).one()
        return number, int(size or 0)


class UploadPartRepository(Repository[UploadPartRow]):
    table = UploadPartRow
    noun = "part"

    async def list_of(self, upload: str) -> Sequence[UploadPartRow]:
        return await self.list_all(UploadPartRow.upload_id == upload)

    async def delete_of(self, upload: str) -> set[str]:
        """Delete the parts of an upload, and return the digests of their bytes."""
        digests = {part.digest for part in await self.list_of(upload)}
        await self.delete_rows(UploadPartRow.upload_id == upload)
        return digests


async def list_expired_uploads(session: AsyncSession, now: int, limit: int) -> Sequence[UploadRow]:
    """List pending uploads of all tenants that nobody completed in time: a worker ends them for everybody."""
    query = select(UploadRow).where(UploadRow.status == "pending", UploadRow.expires_at <= now)
    return (await session.scalars(query.order_by(UploadRow.expires_at).limit(limit))).all()


async def delete_old_uploads(session: AsyncSession, before: int) -> None:
    """Delete uploads of all tenants that ended, one way or another, and would have expired before a Unix time."""
    await session.execute(delete(UploadRow).where(UploadRow.status != "pending", UploadRow.expires_at < before))


async def list_expired_files(session: AsyncSession, now: int, limit: int) -> Sequence[FileRow]:
    """List files of all tenants whose time has come, held: a worker deletes them for everybody."""
    query = select(FileRow).where(FileRow.expires_at <= now).order_by(FileRow.expires_at).limit(limit)
    return (await session.scalars(query.with_for_update())).all()


async def select_referenced(
    session: AsyncSession,
    columns: Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]],
    digests: Collection[str],
) -> set[Any]:
    """Return the digests that a row of any tenant still has in one of the columns: equal bytes are kept once."""
    digests_in_use: set[Any] = set()
    for column in columns:
        for some in cut_slices(digests):
            digests_in_use.update((await session.scalars(select(column).where(column.in_(some)))).all())
    return digests_in_use


async def list_referenced(
    session: AsyncSession, columns: Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]]
) -> set[str]:
    """Return every digest that a row of any tenant has in one of the columns: a backup has to have all of them."""
    digests: set[str] = set()
    for column in columns:
        digests.update(digest for digest in await session.scalars(select(column).distinct()) if digest is not None)
    return digests
