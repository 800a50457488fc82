from typing import Any

from sqlalchemy import Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["FeedbackRow"]


class FeedbackRow(OwnedRow):
    """One voter's feedback on an answer; a later one stands in its place.

    `answer_id` may name an answer whose record is gone by now; `model` and `release` are copied from it. `messages`,
    `reply` and `other_reply` (of `preferred_over`) are texts that the client sent, since answers' records have none.
    `key` is the id of the key that the vote was sent with; votes from before it was kept have none.
    `bytes` are those of all texts.
    """

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("tenant_id", "answer_id", "voter"),)

    answer_id: Mapped[str]
    voter: Mapped[str]
    key: Mapped[str | None]
    updated_at: Mapped[int]
    model: Mapped[str]
    release: Mapped[str | None]
    rating: Mapped[str | None]
    preferred_over: Mapped[str | None]
    reason: Mapped[str | None] = mapped_column(Text)
    corrected_reply: Mapped[str | None] = mapped_column(Text)
    messages: Mapped[list[Any] | None]
    reply: Mapped[str | None] = mapped_column(Text)
    other_reply: Mapped[str | None] = mapped_column(Text)
    bytes: Mapped[int]
