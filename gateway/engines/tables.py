from typing import Any

from sqlalchemy import JSON, Float
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import Base

__all__ = ["BaseModelRow"]


class BaseModelRow(Base):
    """A base model that engines have served, by the digest of its weights; the one with the latest `served_at` is now.

    For gateways on machines that don't have its files. `served_at` is in Unix seconds; `markers` is null
    where they aren't known, `training` (`TrainingTraits`) where an older version prepared it.
    """

    __tablename__ = "base_models"

    digest: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    chat_template_digest: Mapped[str]
    folds_system: Mapped[bool]
    markers: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    training: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    served_at: Mapped[float] = mapped_column(Float)
