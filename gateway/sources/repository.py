from collections.abc import Collection, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Select, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Repository, cut_slices
from gateway.jobs import CLOCK_SKEW_SECONDS
from gateway.sources.tables import SourceItemRow, SourceRow

__all__ = [
    "SourceItemRepository",
    "SourceRepository",
    "list_by_kind",
    "list_due",
    "match_failed",
    "take_turn",
    "wake_sources",
]


class SourceRepository(Repository[SourceRow]):
    table = SourceRow
    noun = "source"

    async def erase(self, id: str) -> None:
        """Delete a source whose items are gone."""
        await self.delete_rows(SourceRow.id == id)


class SourceItemRepository(Repository[SourceItemRow]):
    table = SourceItemRow
    noun = "item"

    async def by_key(self, source: str, key: str) -> SourceItemRow | None:
        return await self.find_one(SourceItemRow.source_id == source, SourceItemRow.key == key)

    async def count(self, sources: Collection[str]) -> dict[str, tuple[int, int]]:
        """Count the items of each source, and those of them that failed last."""
        query = (
            self.select(SourceItemRow.source_id.in_(sources))
            .with_only_columns(SourceItemRow.source_id, func.count(), func.count(SourceItemRow.error_message))
            .group_by(SourceItemRow.source_id)
        )
        rows = (await self.session.execute(query)).all()
        return dict.fromkeys(sources, (0, 0)) | {source: (items, failed) for source, items, failed in rows}

    async def count_failed(self, source: str, failed: Collection[str]) -> int:
        """Count the items that failed last, and those whose documents `failed`, by their keys."""
        query = self.select(SourceItemRow.source_id == source, match_failed(failed))
        return await self.session.scalar(query.with_only_columns(func.count(SourceItemRow.id))) or 0

    def select_keys(self, source: str, prefix: str) -> Select[str]:
        """Return the statement that selects the keys of a source's documents: those of its items behind `prefix`."""
        return self.select(SourceItemRow.source_id == source).with_only_columns(
            literal(prefix).concat(SourceItemRow.key)
        )

    async def find_with_failed_document(self, source: str, failed: Collection[str]) -> SourceItemRow | None:
        """Find an item whose document `failed`, the first by its key."""
        query = self.select(SourceItemRow.source_id == source, SourceItemRow.key.in_(failed))
        return (await self.session.scalars(query.order_by(SourceItemRow.key).limit(1))).one_or_none()

    async def find_failed(self, source: str) -> SourceItemRow | None:
        """Find an item that couldn't be read last, the first by its key."""
        failed = self.select(SourceItemRow.source_id == source, SourceItemRow.error_message.is_not(None))
        return (await self.session.scalars(failed.order_by(SourceItemRow.key).limit(1))).one_or_none()

    async def find_next_retry(self, source: str) -> float | None:
        """Return when the first of the items that failed may be tried again."""
        query = self.select(SourceItemRow.source_id == source).with_only_columns(func.min(SourceItemRow.retry_at))
        return await self.session.scalar(query)

    async def erase(self, source: str, keys: Collection[str]) -> None:
        for some in cut_slices(keys):
            await self.delete_rows(SourceItemRow.source_id == source, SourceItemRow.key.in_(some))


def match_failed(failed: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that an item couldn't be read last, or that its document `failed`."""
    return or_(SourceItemRow.error_message.is_not(None), SourceItemRow.key.in_(failed))


async def list_due(session: AsyncSession, now: float, limit: int) -> Sequence[SourceRow]:
    """List the sources, of all tenants, whose time for a sync has come: the schedule serves every tenant."""
    query = select(SourceRow).where(SourceRow.next_at <= now).order_by(SourceRow.next_at).limit(limit)
    return (await session.scalars(query)).all()


async def list_by_kind(session: AsyncSession, kind: str) -> Sequence[SourceRow]:
    """List the sources of a kind, of all tenants: a worker watches every tenant's folders."""
    query = select(SourceRow).where(SourceRow.kind == kind, SourceRow.live_name.is_not(None))
    return (await session.scalars(query)).all()


async def take_turn(session: AsyncSession, row: SourceRow) -> bool:
    """Take a source's turn as it was read, so that one of several schedules asks for it; false: another one did."""
    turn: tuple[ColumnElement[bool], ...] = (SourceRow.id == row.id, SourceRow.next_at == row.next_at)
    statement = update(SourceRow).where(*turn).values(next_at=None).execution_options(synchronize_session=False)
    return cast(CursorResult[Any], await session.execute(statement)).rowcount == 1


async def wake_sources(session: AsyncSession, now: float) -> int:
    """Have sources of all tenants be synchronised now whose next time was set by a clock that is set back since.

    Returns the number.
    """
    late = now + CLOCK_SKEW_SECONDS
    # One that is being removed is tried again each minute, and notes no start.
    where = (SourceRow.next_at > late, or_(SourceRow.started_at > late, SourceRow.live_name.is_(None)))
    statement = update(SourceRow).where(*where).values(next_at=now).execution_options(synchronize_session=False)
    return cast(CursorResult[Any], await session.execute(statement)).rowcount
