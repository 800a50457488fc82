from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["AssistantRow", "ReleaseRow", "RolloutRow"]


class AssistantRow(OwnedRow):
    __tablename__ = "assistants"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]


class ReleaseRow(OwnedRow):
    """One immutable version of an assistant: `spec` is everything that its fingerprint covers."""

    __tablename__ = "releases"
    __table_args__ = (UniqueConstraint("assistant_id", "number"),)

    assistant_id: Mapped[str] = mapped_column(ForeignKey("assistants.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(index=True)
    spec: Mapped[dict[str, Any]]
    gate: Mapped[dict[str, Any] | None]
    """The `GateResult` of its last gate that came to an end; null where it has had none. What counts is the verdict on
    its content, see `gate_verdict`."""


class RolloutRow(OwnedRow):
    """One revision of an assistant's rollout; the newest counts. Two writers of one revision: the second loses."""

    __tablename__ = "rollouts"
    __table_args__ = (UniqueConstraint("assistant_id", "revision"),)

    assistant_id: Mapped[str] = mapped_column(ForeignKey("assistants.id", ondelete="CASCADE"), index=True)
    revision: Mapped[int]
    stages: Mapped[list[Any]]
    previous: Mapped[int | None]
    """The revision that a roll back returns to."""
    forced: Mapped[list[Any] | None]
    """The keys that sent traffic to releases in it in spite of their gates, and why, see `gate_block`; null where none
    did. A revision takes over what was said of releases that still serve in it."""
