from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answers.tables import AnswerRow
from gateway.db import Repository

__all__ = ["AnswerRepository", "delete_answers"]


class AnswerRepository(Repository[AnswerRow]):
    table = AnswerRow
    noun = "answer"


async def delete_answers(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` records from before a Unix time and return the number; retention is of all tenants."""
    old = select(AnswerRow.id).where(AnswerRow.created_at < before).order_by(AnswerRow.created_at).limit(limit)
    statement = delete(AnswerRow).where(AnswerRow.id.in_(old)).execution_options(synchronize_session=False)
    return cast(CursorResult[Any], await session.execute(statement)).rowcount
