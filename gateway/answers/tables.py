from typing import Any

from sqlalchemy.orm import Mapped

from gateway.db import Owned

__all__ = ["AnswerRow"]


class AnswerRow(Owned):
    """What one answer was made of; the id is the chat completion's."""

    __tablename__ = "answers"

    model: Mapped[str]
    fingerprint: Mapped[str | None]
    release: Mapped[str | None]
    record: Mapped[dict[str, Any]]
