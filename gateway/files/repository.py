from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.db import Repository
from gateway.files.tables import FileRow

__all__ = ["FileRepository", "referred"]


class FileRepository(Repository[FileRow]):
    table = FileRow
    noun = "file"

    async def delete_all(self, ids: Collection[str]) -> None:
        await self.session.execute(delete(FileRow).where(FileRow.tenant_id == self.tenant, FileRow.id.in_(ids)))


async def referred(
    session: AsyncSession, columns: Sequence[InstrumentedAttribute[str]], digests: Collection[str]
) -> set[Any]:
    """Which digests a row still has in one of the columns: of any tenant, since equal bytes are kept once for all."""
    found: set[Any] = set()
    for column in columns:
        found.update((await session.scalars(select(column).where(column.in_(digests)))).all())
    return found
