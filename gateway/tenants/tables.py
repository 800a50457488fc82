from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import Base, OwnedRow

__all__ = ["KeyRow", "TenantRow"]


class TenantRow(Base):
    """An owner of everything else.

    `keeps_cited_text` says that citations in records of answers stay readable when their document is deleted.
    """

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    keeps_cited_text: Mapped[bool] = mapped_column(default=False)


class KeyRow(OwnedRow):
    """A key, kept as its SHA-256 (keys have 256 random bits, so a slow hash adds nothing)."""

    __tablename__ = "keys"

    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    scopes: Mapped[list[str]]
    revoked_at: Mapped[int | None]
