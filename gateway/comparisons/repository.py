from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.comparisons.tables import ComparisonItemRow, ComparisonRow, ComparisonVoteRow
from gateway.db import Repository, cut_slices, delete_listed, take_fitting

__all__ = ["ComparisonItemRepository", "ComparisonRepository", "ComparisonVoteRepository", "delete_comparisons"]


class ComparisonRepository(Repository[ComparisonRow]):
    table = ComparisonRow
    noun = "comparison"


class ComparisonItemRepository(Repository[ComparisonItemRow]):
    table = ComparisonItemRow
    noun = "item"

    async def list_numbers(self, comparison_id: str) -> set[int]:
        """Return the numbers of the prompts that have their items."""
        query = self.select(ComparisonItemRow.comparison_id == comparison_id)
        numbers = await self.session.scalars(query.with_only_columns(ComparisonItemRow.number))
        return set(cast("Collection[int]", numbers.all()))

    async def list_next(self, comparison_id: str, number: int, limit: int) -> Sequence[ComparisonItemRow]:
        """List the next items behind a number."""
        query = self.select(ComparisonItemRow.comparison_id == comparison_id, ComparisonItemRow.number > number)
        return (await self.session.scalars(query.order_by(ComparisonItemRow.number).limit(limit))).all()

    async def find_orders(self, ids: Collection[str]) -> dict[str, bool]:
        """Return of some items, by id, whether side b stands left."""
        orders: dict[str, bool] = {}
        for some in cut_slices(ids):
            query = self.select(ComparisonItemRow.id.in_(some))
            rows = await self.session.execute(query.with_only_columns(ComparisonItemRow.id, ComparisonItemRow.swapped))
            orders |= {id: swapped for id, swapped in rows}
        return orders

    async def list_orders(self, comparison_id: str) -> dict[str, bool]:
        """Return of all answered items of a comparison, by id, whether side b stands left."""
        columns = (ComparisonItemRow.id, ComparisonItemRow.swapped, ComparisonItemRow.error)
        query = self.select(ComparisonItemRow.comparison_id == comparison_id).with_only_columns(*columns)
        return {id: swapped for id, swapped, error in await self.session.execute(query) if error is None}


class ComparisonVoteRepository(Repository[ComparisonVoteRow]):
    table = ComparisonVoteRow
    noun = "vote"

    async def lock_of(self, item_id: str, voter: str) -> ComparisonVoteRow | None:
        """Find a voter's vote on an item, and keep others from changing it until the unit of work ends."""
        return await self.lock_one(ComparisonVoteRow.item_id == item_id, ComparisonVoteRow.voter == voter)

    async def count_of(self, item_id: str) -> int:
        return await self.count_rows(ComparisonVoteRow.item_id == item_id)

    async def count_by_item(self, comparison_id: str) -> dict[str, Counter[str]]:
        """Count the votes for `a`, `b` and `tie` on each item of a comparison, by its id."""
        columns = (ComparisonVoteRow.item_id, ComparisonVoteRow.preferred)
        query = self.select(ComparisonVoteRow.comparison_id == comparison_id)
        rows = await self.session.execute(query.with_only_columns(*columns, func.count()).group_by(*columns))
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for item_id, preferred, number in rows:
            counts[item_id][preferred] = number
        return dict(counts)

    async def count_voters(self, comparison_id: str) -> int:
        query = self.select(ComparisonVoteRow.comparison_id == comparison_id)
        return await self.session.scalar(query.with_only_columns(func.count(ComparisonVoteRow.voter.distinct()))) or 0

    async def choose_corrections(self, comparison_id: str, most: int, most_characters: int) -> tuple[list[str], int]:
        """Return the ids of the newest votes with corrections, as many as fit, and the number of the others."""
        where = (ComparisonVoteRow.comparison_id == comparison_id, ComparisonVoteRow.corrected_reply.is_not(None))
        total = await self.count_rows(*where)
        sizes = self.select(*where).with_only_columns(
            ComparisonVoteRow.id, func.length(ComparisonVoteRow.corrected_reply)
        )
        newest = sizes.order_by(ComparisonVoteRow.created_at.desc(), ComparisonVoteRow.id.desc()).limit(most)
        ids = take_fitting(cast("list[tuple[str, int]]", (await self.session.execute(newest)).all()), most_characters)
        return ids, total - len(ids)

    async def list_corrections(self, ids: Collection[str]) -> list[tuple[str, str, str]]:
        """Return of some votes the item's id, the side that was preferred, and the correction."""
        columns = (ComparisonVoteRow.item_id, ComparisonVoteRow.preferred, ComparisonVoteRow.corrected_reply)
        corrections: list[tuple[str, str, str]] = []
        for some in cut_slices(ids):
            query = self.select(ComparisonVoteRow.id.in_(some)).with_only_columns(*columns)
            rows = await self.session.execute(query)
            corrections += [(item_id, preferred, text) for item_id, preferred, text in rows if text is not None]
        return corrections


async def delete_comparisons(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` rows of comparisons that ended, and had their last vote, before a Unix time.

    Retention is of all tenants. Returns the number; a comparison goes when its votes and items are gone.
    """
    votes, items = ComparisonVoteRow, ComparisonItemRow
    young = select(votes.id).where(votes.comparison_id == ComparisonRow.id, votes.updated_at >= before)
    old = select(ComparisonRow.id).where(ComparisonRow.finished_at < before, ~young.exists())
    ids = (await session.scalars(old.order_by(ComparisonRow.finished_at).limit(limit))).all()
    deleted = 0
    for table, of in ((votes, votes.comparison_id), (items, items.comparison_id), (ComparisonRow, ComparisonRow.id)):
        if deleted < limit:
            some = select(table.id).where(of.in_(ids)).limit(limit - deleted)
            deleted += await delete_listed(session, table, some)
    return deleted
