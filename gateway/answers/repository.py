from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from gateway.answers.tables import AnswerRow
from gateway.db import Repository

__all__ = ["AnswerRepository"]


class AnswerRepository(Repository[AnswerRow]):
    table = AnswerRow
    noun = "answer"

    async def add_all(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows by their values, in one statement: every answer gets one, so their cost counts."""
        await self.session.execute(insert(AnswerRow), [{**row, "tenant_id": self.tenant} for row in rows])
