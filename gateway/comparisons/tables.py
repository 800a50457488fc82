from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["ComparisonItemRow", "ComparisonRow", "ComparisonVoteRow"]


class ComparisonRow(OwnedRow):
    """Prompts that two models answer; the durable work behind it is `job_id`.

    `models` are the sides a and b, releases by their numbers. The prompts are in the artifacts (`prompts_digest`), and
    `bytes` are theirs and those of the items and votes so far. Of the `total` prompts `answered` and `errored` have
    their items. `key` is the id of the key that asked for it. The order of the sides is drawn from `seed`.
    """

    __tablename__ = "comparisons"

    name: Mapped[str]
    meta: Mapped[dict[str, Any]]
    status: Mapped[str]
    models: Mapped[list[str]]
    sampling: Mapped[dict[str, Any]]
    source: Mapped[dict[str, Any]]
    seed: Mapped[int]
    prompts_digest: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
    total: Mapped[int]
    answered: Mapped[int] = mapped_column(default=0)
    errored: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    finished_at: Mapped[int | None]
    key: Mapped[str]
    job_id: Mapped[str | None]


class ComparisonItemRow(OwnedRow):
    """The answers to prompt `number`, that of side a first; `swapped` says that side b stands left.

    `answers` are `gateway.comparisons.sides.SideAnswer`s, none where a side gave none: then there is an `error`.
    """

    __tablename__ = "comparison_items"
    # A prompt has one item, whatever two workers thought.
    __table_args__ = (
        UniqueConstraint("comparison_id", "number"),
        Index("ix_comparison_items_of_a_comparison", "comparison_id", "created_at", "id"),
    )

    comparison_id: Mapped[str] = mapped_column(ForeignKey("comparisons.id"))
    number: Mapped[int]
    swapped: Mapped[bool]
    messages: Mapped[list[Any]]
    answers: Mapped[list[Any]]
    error: Mapped[dict[str, Any] | None]


class ComparisonVoteRow(OwnedRow):
    """One voter's vote on an item: `preferred` is `a`, `b` or `tie`; a later one stands in its place."""

    __tablename__ = "comparison_votes"
    __table_args__ = (
        UniqueConstraint("item_id", "voter"),
        Index("ix_comparison_votes_of_a_comparison", "comparison_id", "created_at", "id"),
    )

    comparison_id: Mapped[str] = mapped_column(ForeignKey("comparisons.id"))
    item_id: Mapped[str] = mapped_column(ForeignKey("comparison_items.id"))
    voter: Mapped[str]
    updated_at: Mapped[int]
    preferred: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)
    corrected_reply: Mapped[str | None] = mapped_column(Text)
