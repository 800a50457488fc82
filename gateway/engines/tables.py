from sqlalchemy import Float
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import Base

__all__ = ["BaseModelRow"]


class BaseModelRow(Base):
    """A base model that engines have served, by the digest of its weights; the one with the latest `served_at` is now.

    For gateways on machines that don't have its files. `served_at` is in Unix seconds.
    """

    __tablename__ = "base_models"

    digest: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    chat_template_digest: Mapped[str]
    folds_system: Mapped[bool]
    served_at: Mapped[float] = mapped_column(Float)
