from typing import Any

from sqlalchemy import Float, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["SourceItemRow", "SourceRow"]


class SourceRow(OwnedRow):
    """A source of a tenant's documents, and the vector store that it feeds.

    `status`: `waiting` (for a sync that was asked for), `syncing`, `synced`, `failed` (its list couldn't be read),
    `needs_confirmation` (a sync stopped before it deleted `deletions` items), `removing`. The store may go away without
    it. `revision` is what the source calls its own version (a commit); `position` is where the last listing stopped
    before all was looked at, as its kind writes it; `next_at` is when the schedule asks next, and null where it
    doesn't. `live_name` is null once the source is being removed. Times are Unix seconds.
    """

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("tenant_id", "live_name"), Index("ix_sources_due", "next_at"))

    name: Mapped[str]
    live_name: Mapped[str | None]
    store_id: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    origin: Mapped[dict[str, Any]]
    """The place, as its kind has it; never a secret."""
    prefix: Mapped[str]
    """Before an item's key in its document's key."""
    include: Mapped[list[str]]
    exclude: Mapped[list[str]]
    hidden: Mapped[bool]
    attributes: Mapped[dict[str, Any]]
    interval_seconds: Mapped[int | None]
    status: Mapped[str]
    revision: Mapped[str | None] = mapped_column(Text)
    position: Mapped[str | None] = mapped_column(Text)
    deletions: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    job_id: Mapped[str | None]
    started_at: Mapped[int | None]
    synced_at: Mapped[int | None]
    next_at: Mapped[float | None] = mapped_column(Float)
    failures: Mapped[int] = mapped_column(default=0)


class SourceItemRow(OwnedRow):
    """An item of a source by its key there, as it was put last.

    `version` is the source's own (an ETag, a blob, times and size), null until the item was put; `digest` is the
    bytes'. One that couldn't be read has the reason, the number of failures in a row, when it is tried again, and the
    version that failed, if it was listed: another one is tried at once.
    """

    __tablename__ = "source_items"
    __table_args__ = (UniqueConstraint("source_id", "key"),)

    source_id: Mapped[str]
    key: Mapped[str] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str | None]
    failed_version: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[float | None] = mapped_column(Float)
