from typing import Any

from sqlalchemy import Float, Index
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import Base, OwnedRow

__all__ = ["DELAYED", "FINAL_STATUSES", "ClockRow", "JobRow"]

FINAL_STATUSES = frozenset({"succeeded", "failed", "cancelled"})
"""The states in which a job stays for good; a fine-tuning job has the same."""


DELAYED = "delayed"
"""The code in the error of a job that waits for a part; a `pause` in seconds and `words` for its owner stand
beside it."""


class JobRow(OwnedRow):
    """Durable work: `queued` → `running` → `succeeded` | `failed` | `cancelled`.

    A worker holds a running job under a lease; `fence` counts the claims, and a write with an older fence is refused.
    Of jobs with the same `queue_key` only one runs at a time, in the order of `place`: `running_key` is that key while
    the job runs and null otherwise, so its unique constraint holds the rule on any database, whatever two workers saw.
    `state` is what a resumed run goes on from, and is empty once the job has ended. Times are Unix seconds.
    """

    __tablename__ = "jobs"
    # Looking for work reads the live jobs of this index only, however many finished ones there are.
    # The second finds a tenant's last turn, the third whether anything is due at all.
    __table_args__ = (
        Index(None, "status", "queue_key", "place"),
        Index("ix_jobs_turns", "tenant_id", "claimed_at"),
        Index("ix_jobs_due", "status", "not_before"),
    )

    kind: Mapped[str]
    queue_key: Mapped[str]
    place: Mapped[str] = mapped_column(default="")
    """That of its id, or earlier for one that others wait for less."""
    running_key: Mapped[str | None] = mapped_column(unique=True)
    subject: Mapped[str] = mapped_column(index=True)
    """The id of the thing that is worked on: a document version, a fine-tuning job."""
    status: Mapped[str]
    payload: Mapped[dict[str, Any]]
    state: Mapped[dict[str, Any]]
    fence: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None]
    lease_until: Mapped[float | None] = mapped_column(Float)
    not_before: Mapped[float | None] = mapped_column(Float)
    claimed_at: Mapped[float | None] = mapped_column(Float)
    """The time at which a worker last took it."""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[dict[str, Any] | None]
    finished_at: Mapped[int | None] = mapped_column(index=True)


class ClockRow(Base):
    """The time that workers believe, see `BelievedClock`: one row, in Unix seconds."""

    __tablename__ = "believed_clock"

    id: Mapped[str] = mapped_column(primary_key=True)
    believed: Mapped[float] = mapped_column(Float)
