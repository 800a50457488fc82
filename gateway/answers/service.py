"""The look-up of what an answer was made of."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answers.record import AnswerRecord, CitedPassage
from gateway.answers.repository import AnswerRepository
from gateway.errors import NotFound

__all__ = ["AnswerService"]


class AnswerService:
    """One tenant's answers."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._answers = AnswerRepository(session, tenant)

    async def get(self, id: str) -> AnswerRecord:
        """Return an answer's record.

        Raises:
            NotFound: The tenant has no such answer.
        """
        row = await self._answers.get(id, param="answer_id")
        return msgspec.convert(row.record, AnswerRecord)

    async def citation(self, id: str, number: int) -> CitedPassage:
        """Return the passage that the mark `[number]` of an answer stands for, as it was then.

        Raises:
            NotFound: The tenant has no such answer, or no passage of this number was in its prompt.
        """
        answer = await self.get(id)
        for passage in answer.passages:
            if passage.number == number:
                return passage
        raise NotFound(f"The answer {id!r} had no passage {number}.", param="number")
