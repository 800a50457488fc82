from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import Owned

__all__ = ["FileRow"]


class FileRow(Owned):
    """An uploaded file; its bytes are in the artifacts under `digest`."""

    __tablename__ = "files"

    filename: Mapped[str]
    purpose: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
