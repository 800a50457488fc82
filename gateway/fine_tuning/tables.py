from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["CheckpointRow", "EventRow", "FineTuningJobRow", "LearntFactRow"]


class FineTuningJobRow(OwnedRow):
    """A fine-tuning job as OpenAI's contract shows it; the durable work behind it is `job_id`.

    `hyperparameters`: epochs and batch size are numbers, chosen at creation where the request said `auto`.
    `result_files` are ids. `rows_digest` and `validation_rows_digest` name the rendered rows in the artifacts, of which
    the job was made and which the trainer reads, with `rows_bytes` in all; they are null in jobs of a Braid that
    rendered them later.

    `state_digest` names the state of the unfinished training in the artifacts, with `state_bytes`, after `state_step`
    steps; null before it is first saved, and once the job has ended.
    """

    __tablename__ = "fine_tuning_jobs"

    status: Mapped[str]
    model: Mapped[str]
    fine_tuned_model: Mapped[str | None]
    training_file: Mapped[str]
    validation_file: Mapped[str | None]
    rows_digest: Mapped[str | None]
    validation_rows_digest: Mapped[str | None]
    rows_bytes: Mapped[int] = mapped_column(default=0)
    result_files: Mapped[list[str]]
    hyperparameters: Mapped[dict[str, Any]]
    suffix: Mapped[str | None]
    seed: Mapped[int]
    meta: Mapped[dict[str, Any]]
    braid: Mapped[dict[str, Any]]
    finished_at: Mapped[int | None]
    estimated_finish: Mapped[int | None]
    trained_tokens: Mapped[int | None]
    error: Mapped[dict[str, Any] | None]
    job_id: Mapped[str | None]
    state_digest: Mapped[str | None]
    state_bytes: Mapped[int] = mapped_column(default=0)
    state_step: Mapped[int | None]


class EventRow(OwnedRow):
    __tablename__ = "fine_tuning_events"
    __table_args__ = (Index(None, "created_at"),)

    fine_tuning_job_id: Mapped[str] = mapped_column(ForeignKey("fine_tuning_jobs.id", ondelete="CASCADE"), index=True)
    level: Mapped[str]
    kind: Mapped[str]
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]]


class CheckpointRow(OwnedRow):
    __tablename__ = "fine_tuning_checkpoints"

    fine_tuning_job_id: Mapped[str] = mapped_column(ForeignKey("fine_tuning_jobs.id", ondelete="CASCADE"), index=True)
    step: Mapped[int]
    model: Mapped[str]
    metrics: Mapped[dict[str, Any]]


class LearntFactRow(OwnedRow):
    """A value in a job's replies that a document stated when the job began, in its version `document_version`.

    `changed` ones stood only in an earlier version already, and were trained on because the job was forced. `rows` are
    numbers of rows, the first hundred.

    `looked_version` is the document's version at the last look (0: it was gone; null: nobody has looked yet), and
    `state` what the fact was then: `changed`, `deleted`, or null where it was true.
    """

    __tablename__ = "learnt_facts"

    fine_tuning_job_id: Mapped[str] = mapped_column(ForeignKey("fine_tuning_jobs.id", ondelete="CASCADE"), index=True)
    store_id: Mapped[str]
    document_id: Mapped[str]
    document_key: Mapped[str] = mapped_column(Text)
    document_version: Mapped[int]
    kind: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    readings: Mapped[list[str]]
    rows: Mapped[list[int]] = mapped_column(JSON)
    changed: Mapped[bool]
    looked_version: Mapped[int | None]
    state: Mapped[str | None]
