from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.db import Repository, slices
from gateway.files.tables import FileRow

__all__ = ["FileRepository", "select_referenced"]


class FileRepository(Repository[FileRow]):
    table = FileRow
    noun = "file"

    async def delete_all(self, ids: Collection[str]) -> None:
        for some in slices(ids):
            await self.delete_rows(FileRow.id.in_(some))


async def select_referenced(
    session: AsyncSession,
    columns: Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]],
    digests: Collection[str],
) -> set[Any]:
    """Return the digests that a row of any tenant still has in one of the columns: equal bytes are kept once."""
    digests_in_use: set[Any] = set()
    for column in columns:
        for some in slices(digests):
            digests_in_use.update((await session.scalars(select(column).where(column.in_(some)))).all())
    return digests_in_use
