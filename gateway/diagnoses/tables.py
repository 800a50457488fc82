from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["DiagnosisRow"]


class DiagnosisRow(OwnedRow):
    """A diagnosis of an assistant's release; the durable work behind it is `job_id`.

    `sources` say where its `failures` and `passes` came from; both are in the artifact `inputs_digest`. `strands` are
    the numbers of failures by strand, and `releases` those that it proposes, by strand; both are empty, and
    `report_digest` is null, until it has succeeded. Inputs and report are `bytes`. `done` failures are replayed.
    """

    __tablename__ = "diagnoses"

    assistant_id: Mapped[str] = mapped_column(ForeignKey("assistants.id", ondelete="CASCADE"), index=True)
    assistant: Mapped[str]
    number: Mapped[int]
    status: Mapped[str]
    sources: Mapped[list[str]]
    options: Mapped[dict[str, Any]]
    inputs_digest: Mapped[str] = mapped_column(index=True)
    report_digest: Mapped[str | None] = mapped_column(index=True)
    bytes: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int]
    passes: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    strands: Mapped[dict[str, Any]]
    releases: Mapped[dict[str, Any]]
    error: Mapped[dict[str, Any] | None]
    finished_at: Mapped[int | None]
    job_id: Mapped[str | None]
