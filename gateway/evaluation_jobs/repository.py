from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Repository
from gateway.evaluation_jobs.tables import EvaluationRow

__all__ = ["EvaluationRepository", "delete_evaluations"]


class EvaluationRepository(Repository[EvaluationRow]):
    table = EvaluationRow
    noun = "evaluation"

    async def lock(self, id: str) -> EvaluationRow | None:
        """Find an evaluation as it is now, and keep others from changing it until the unit of work ends."""
        return (await self.session.scalars(self.select_for_update(EvaluationRow.id == id))).one_or_none()


async def delete_evaluations(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` evaluations from before a Unix time and return the number; retention is of all tenants."""
    old = (
        select(EvaluationRow.id)
        .where(EvaluationRow.finished_at < before)
        .order_by(EvaluationRow.finished_at)
        .limit(limit)
    )
    statement = delete(EvaluationRow).where(EvaluationRow.id.in_(old)).execution_options(synchronize_session=False)
    return cast(CursorResult[Any], await session.execute(statement)).rowcount
