from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["AnswerDocumentRow", "AnswerRow"]


class AnswerRow(OwnedRow):
    """One answer's record; the id is the one that its client got."""

    __tablename__ = "answers"
    __table_args__ = (Index(None, "created_at"),)

    model: Mapped[str]
    fingerprint: Mapped[str | None]
    release: Mapped[str | None]
    record: Mapped[dict[str, Any]]


class AnswerDocumentRow(OwnedRow):
    """A document of which an answer's prompt had passages: those with `numbers`; `cited` if the answer marks one."""

    __tablename__ = "answer_documents"

    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), index=True)
    document_id: Mapped[str] = mapped_column(index=True)
    version: Mapped[int]
    index_epoch: Mapped[int]
    numbers: Mapped[list[Any]]
    cited: Mapped[bool]
