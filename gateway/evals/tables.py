from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["EvalOutputItemRow", "EvalRow", "EvalRunRow"]


class EvalRow(OwnedRow):
    """An eval: the form of the data, and the criteria that each of its runs is graded by. Neither changes."""

    __tablename__ = "evals"
    __table_args__ = (Index("ix_evals_updates", "tenant_id", "updated_at", "id"),)

    name: Mapped[str]
    meta: Mapped[dict[str, Any]]
    data_source_config: Mapped[dict[str, Any]]
    testing_criteria: Mapped[list[Any]]
    updated_at: Mapped[int]


class EvalRunRow(OwnedRow):
    """A run of an eval; the durable work behind it is `job_id`.

    Its rows are `bytes` in the artifacts. Of the `total` rows `passed`, `failed` and `errored` have their output items;
    `criteria_results` and `usage` are the tallies of those, by criterion and by model. `key` is the id of the key that
    asked for it, `report_secret` signs the links to its report.
    """

    __tablename__ = "eval_runs"
    __table_args__ = (Index("ix_eval_runs_of_an_eval", "eval_id", "created_at", "id"),)

    eval_id: Mapped[str] = mapped_column(ForeignKey("evals.id"))
    name: Mapped[str]
    meta: Mapped[dict[str, Any]]
    status: Mapped[str]
    model: Mapped[str]
    data_source: Mapped[dict[str, Any]]
    items_digest: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int] = mapped_column(default=0)
    total: Mapped[int]
    passed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    errored: Mapped[int] = mapped_column(default=0)
    criteria_results: Mapped[list[Any]]
    usage: Mapped[list[Any]]
    error: Mapped[dict[str, Any] | None]
    finished_at: Mapped[int | None] = mapped_column(index=True)
    key: Mapped[str]
    job_id: Mapped[str | None]
    report_secret: Mapped[str | None]


class EvalOutputItemRow(OwnedRow):
    """The answer to row `number` of a run, and its grades; `status` is `pass`, `fail` or `error`."""

    __tablename__ = "eval_output_items"
    # A row has one output item, whatever two workers thought.
    __table_args__ = (
        UniqueConstraint("run_id", "number"),
        Index("ix_eval_output_items_of_a_run", "run_id", "created_at", "id"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("eval_runs.id"))
    number: Mapped[int]
    status: Mapped[str]
    item: Mapped[dict[str, Any]]
    sample: Mapped[dict[str, Any]]
    results: Mapped[list[Any]]
