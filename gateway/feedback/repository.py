from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_

from gateway.db import Repository
from gateway.feedback.tables import FeedbackRow

__all__ = ["FeedbackRepository"]


class FeedbackRepository(Repository[FeedbackRow]):
    table = FeedbackRow
    noun = "feedback"

    async def lock_of(self, answer_id: str, voter: str) -> FeedbackRow | None:
        """Find a voter's feedback on an answer, and keep others from changing it until the unit of work ends."""
        query = self.select_for_update(FeedbackRow.answer_id == answer_id, FeedbackRow.voter == voter)
        return (await self.session.scalars(query)).one_or_none()

    async def count(self) -> int:
        return await self.session.scalar(self.select().with_only_columns(func.count())) or 0

    async def list_newest(self, *where: ColumnElement[bool], limit: int) -> Sequence[FeedbackRow]:
        """List at most so many, newest first."""
        query = self.select(*where).order_by(FeedbackRow.created_at.desc(), FeedbackRow.id.desc()).limit(limit)
        return (await self.session.scalars(query)).all()

    async def list_bad(self, since: int, limit: int) -> Sequence[FeedbackRow]:
        """List votes that say that an answer was no good, or that another was better, newest first."""
        bad = or_(
            FeedbackRow.rating == "down",
            FeedbackRow.corrected_reply.is_not(None),
            FeedbackRow.preferred_over.is_not(None),
        )
        return await self.list_newest(bad, FeedbackRow.updated_at >= since, limit=limit)
