from sqlalchemy import Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["PromptRow"]


class PromptRow(OwnedRow):
    """One immutable version of a prompt (`name@version`)."""

    __tablename__ = "prompts"
    __table_args__ = (UniqueConstraint("tenant_id", "name", "version"),)

    name: Mapped[str]
    version: Mapped[int]
    template: Mapped[str] = mapped_column(Text)
    digest: Mapped[str]
