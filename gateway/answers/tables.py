from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from gateway.db import Owned

__all__ = ["AnswerRow"]


class AnswerRow(Owned):
    """One answer's record; the id is the one that its client got."""

    __tablename__ = "answers"
    __table_args__ = (Index(None, "created_at"),)

    model: Mapped[str]
    fingerprint: Mapped[str | None]
    release: Mapped[str | None]
    record: Mapped[dict[str, Any]]
