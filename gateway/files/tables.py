from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import OwnedRow

__all__ = ["FileRow", "UploadPartRow", "UploadRow"]


class FileRow(OwnedRow):
    """An uploaded file; its bytes are in the artifacts under `digest`.

    From `expires_at` on (Unix seconds; null: never) it is there for nobody, and a worker deletes it.
    """

    __tablename__ = "files"
    __table_args__ = (Index("ix_files_stored", "tenant_id", "bytes"),)  # from which a tenant's storage is summed

    filename: Mapped[str]
    purpose: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
    expires_at: Mapped[int | None] = mapped_column(index=True)


class UploadRow(OwnedRow):
    """A file that comes in parts: `pending`, then `completed` (as `file_id`), `cancelled` or `expired`.

    `bytes` is what its client said that the parts will be; `file_seconds` how long the file may live, null for ever.
    """

    __tablename__ = "uploads"

    filename: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[int]
    status: Mapped[str]
    expires_at: Mapped[int] = mapped_column(index=True)
    file_seconds: Mapped[int | None]
    file_id: Mapped[str | None]


class UploadPartRow(OwnedRow):
    """A part of a pending upload; its bytes are in the artifacts under `digest`."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
