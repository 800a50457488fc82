from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["GateRow"]


class GateRow(OwnedRow):
    """The gate of an assistant's release, the newest one; the durable work behind it is `job_id`.

    `against` is the number of the release that it is compared with; null: the base model. `rows_digest` is the file of
    held-out rows and `training_digest` that of the rows its adapter learnt; both are null once it has ended.
    `store_epochs` are the index epochs that all of its rows are searched at (`row_evidence.StoreEpochs`), null until
    one is. `report_digest` is null until it has succeeded, and has `bytes`. Of `total` questions to the engine `done`
    are answered.
    """

    __tablename__ = "gates"
    __table_args__ = (UniqueConstraint("assistant_id", "number"),)

    assistant_id: Mapped[str] = mapped_column(ForeignKey("assistants.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    against: Mapped[int | None]
    status: Mapped[str]
    source: Mapped[str]
    options: Mapped[dict[str, Any]]
    rows_digest: Mapped[str | None] = mapped_column(index=True)
    training_digest: Mapped[str | None] = mapped_column(index=True)
    report_digest: Mapped[str | None] = mapped_column(index=True)
    bytes: Mapped[int] = mapped_column(default=0)
    store_epochs: Mapped[dict[str, Any] | None]
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    finished_at: Mapped[int | None]
    job_id: Mapped[str | None]
