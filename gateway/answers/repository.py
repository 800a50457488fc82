from collections.abc import Collection
from dataclasses import dataclass

from gateway.answers.tables import AnswerDocumentRow, AnswerRow
from gateway.db import Repository

__all__ = ["AnswerDocumentRepository", "AnswerName", "AnswerRepository"]


@dataclass(frozen=True, slots=True)
class AnswerName:
    """The part of an answer that a list shows: its model, and the release that answered."""

    model: str
    release: str | None
    fingerprint: str | None


class AnswerRepository(Repository[AnswerRow]):
    table = AnswerRow
    noun = "answer"

    async def list_names(self, ids: Collection[str]) -> dict[str, AnswerName]:
        """Return of some answers, by id, what stands beside their records."""
        columns = (AnswerRow.id, AnswerRow.model, AnswerRow.release, AnswerRow.fingerprint)
        rows = await self.session.execute(self.select(AnswerRow.id.in_(ids)).with_only_columns(*columns))
        return {id: AnswerName(model, release, fingerprint) for id, model, release, fingerprint in rows}


class AnswerDocumentRepository(Repository[AnswerDocumentRow]):
    table = AnswerDocumentRow
    noun = "answer of the document"
