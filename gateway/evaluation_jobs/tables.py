from typing import Any

from sqlalchemy import Float
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["EvaluationRow"]


class EvaluationRow(OwnedRow):
    """An evaluation; the durable work behind it is `job_id`.

    `stores` are the ids of what is searched, the first one being what the others are compared with; an advice may have
    none. The questions (of an advice its `AdviceInputs`) and the report are `bytes` in the artifacts; `report_digest`
    is null until it has succeeded. `score_threshold` is 0 where abstention goes by the probability of an answer, and of
    a calibration the limit of that. Of `total` steps `done` have been made.
    """

    __tablename__ = "evaluations"

    kind: Mapped[str]
    status: Mapped[str]
    source: Mapped[str]
    stores: Mapped[list[str]]
    score_threshold: Mapped[float] = mapped_column(Float)
    questions_digest: Mapped[str] = mapped_column(index=True)
    report_digest: Mapped[str | None] = mapped_column(index=True)
    bytes: Mapped[int] = mapped_column(default=0)
    questions: Mapped[int]
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    finished_at: Mapped[int | None]
    job_id: Mapped[str | None]
