import time
from typing import Any

from sqlalchemy import Float, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["AdapterRow"]


class AdapterRow(OwnedRow):
    """LoRA weights of one tenant, at `adapters/<digest>/` in the artifacts.

    `model` is the name that clients use (`ft:…`), `served_name` the one that the engine uses. `status` is an
    `AdapterStatus`, written by `gateway.adapters.lifecycle` alone; `reason` tells why it doesn't answer, or what to
    mind of it. `source` is the file of an import, or the fine-tuning job, whose checkpoints have their `step`.
    `stale_facts` counts the values that it has learnt and that documents have changed since; null without any. The
    count is that of `stale_facts_at`.
    """

    __tablename__ = "adapters"
    __table_args__ = (UniqueConstraint("tenant_id", "model"),)

    name: Mapped[str]
    model: Mapped[str] = mapped_column(index=True)
    served_name: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int] = mapped_column(default=0)
    base_model: Mapped[str]
    rank: Mapped[int]
    status: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str]
    step: Mapped[int | None]
    manifest: Mapped[dict[str, Any]]
    job_id: Mapped[str | None]
    stale_facts: Mapped[int | None] = mapped_column(index=True)
    stale_facts_at: Mapped[int | None]
    changed_at: Mapped[float | None] = mapped_column(Float, default=time.time, onupdate=time.time, index=True)
    """The time of its last write, in Unix seconds: by this reconcilers find what is new."""
