from collections.abc import Collection, Sequence
from typing import cast

from sqlalchemy import func

from gateway.comparisons.tables import ComparisonItemRow, ComparisonRow, ComparisonVoteRow
from gateway.db import Repository

__all__ = ["ComparisonItemRepository", "ComparisonRepository", "ComparisonVoteRepository"]


class ComparisonRepository(Repository[ComparisonRow]):
    table = ComparisonRow
    noun = "comparison"

    async def lock(self, id: str) -> ComparisonRow | None:
        """Find a comparison as it is now, and keep others from changing it until the unit of work ends."""
        return (await self.session.scalars(self.select_for_update(ComparisonRow.id == id))).one_or_none()

    async def count(self) -> int:
        return await self.session.scalar(self.select().with_only_columns(func.count())) or 0


class ComparisonItemRepository(Repository[ComparisonItemRow]):
    table = ComparisonItemRow
    noun = "item"

    async def list_numbers(self, comparison_id: str) -> set[int]:
        """Return the numbers of the prompts that have their items."""
        query = self.select(ComparisonItemRow.comparison_id == comparison_id)
        numbers = await self.session.scalars(query.with_only_columns(ComparisonItemRow.number))
        return set(cast("Collection[int]", numbers.all()))


class ComparisonVoteRepository(Repository[ComparisonVoteRow]):
    table = ComparisonVoteRow
    noun = "vote"

    async def lock_of(self, item_id: str, voter: str) -> ComparisonVoteRow | None:
        """Find a voter's vote on an item, and keep others from changing it until the unit of work ends."""
        query = self.select_for_update(ComparisonVoteRow.item_id == item_id, ComparisonVoteRow.voter == voter)
        return (await self.session.scalars(query)).one_or_none()

    async def count_of(self, item_id: str) -> int:
        query = self.select(ComparisonVoteRow.item_id == item_id).with_only_columns(func.count())
        return await self.session.scalar(query) or 0

    async def list_of(self, comparison_id: str) -> Sequence[ComparisonVoteRow]:
        return await self.all(ComparisonVoteRow.comparison_id == comparison_id)
