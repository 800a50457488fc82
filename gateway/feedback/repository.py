from collections.abc import Sequence
from typing import cast

from sqlalchemy import ColumnElement

from gateway.db import Repository, take_fitting
from gateway.feedback.tables import FeedbackRow

__all__ = ["FeedbackRepository"]


class FeedbackRepository(Repository[FeedbackRow]):
    table = FeedbackRow
    noun = "feedback"

    async def lock_of(self, answer_id: str, voter: str) -> FeedbackRow | None:
        """Find a voter's feedback on an answer, and keep others from changing it until the unit of work ends."""
        return await self.lock_one(FeedbackRow.answer_id == answer_id, FeedbackRow.voter == voter)

    async def choose_newest(
        self, *where: ColumnElement[bool], most: int, most_bytes: int
    ) -> tuple[list[tuple[str, int]], int]:
        """Return ids and bytes of the newest feedback, newest first, as much as fits; and the number of the rest."""
        total = await self.count_rows(*where)
        newest = self.select(*where).order_by(FeedbackRow.created_at.desc(), FeedbackRow.id.desc()).limit(most)
        rows = await self.session.execute(newest.with_only_columns(FeedbackRow.id, FeedbackRow.bytes))
        sizes = cast("list[tuple[str, int]]", rows.all())
        newest_sizes = sizes[: len(take_fitting(sizes, most_bytes))]
        return newest_sizes, total - len(newest_sizes)

    async def list_some(self, ids: Sequence[str]) -> list[FeedbackRow]:
        """List feedback in the order of its ids; what was deleted meanwhile is left out."""
        rows = {row.id: row for row in await self.session.scalars(self.select(FeedbackRow.id.in_(ids)))}
        return [rows[id] for id in ids if id in rows]
