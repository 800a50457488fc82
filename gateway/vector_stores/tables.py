from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db import Base, OwnedRow

__all__ = [
    "BatchFileRow",
    "DocumentRow",
    "DocumentVersionRow",
    "FileBatchRow",
    "IndexMigrationRow",
    "RemovedFileRow",
    "StoreRow",
]


class StoreRow(OwnedRow):
    """A vector store. `index_epoch` is the version of its content that readers see.

    `deleted_at` hides the store at once; a job then removes its points and rows. `index_identity` is that of the index
    that its points are in (null: none were written yet), and `index_whole` says whether every live document is there: a
    search is refused until then. `index_fence` numbers the writers of its points. While documents move to another
    index, whatever changes is written to `mirror_identity` too, which is in step with the store up to `mirror_epoch`.
    `calibration` is a `StoreCalibration`.
    """

    __tablename__ = "vector_stores"

    name: Mapped[str]
    description: Mapped[str | None] = mapped_column(Text)
    meta: Mapped[dict[str, Any]]
    index_epoch: Mapped[int] = mapped_column(default=0)
    index_identity: Mapped[str | None]
    index_whole: Mapped[bool] = mapped_column(default=True)
    index_fence: Mapped[int] = mapped_column(default=0)
    mirror_identity: Mapped[str | None]
    mirror_epoch: Mapped[int] = mapped_column(default=0)
    last_active_at: Mapped[int]
    expires_after: Mapped[dict[str, Any] | None]
    max_chunk_tokens: Mapped[int]
    overlap_tokens: Mapped[int]
    calibration: Mapped[dict[str, Any] | None]
    deleted_at: Mapped[int | None]


class DocumentRow(OwnedRow):
    """A document under the tenant's own stable key (for an OpenAI file added to a store: the file's id).

    `version` is the live one (0: none yet), `latest` the one that was put last, and `status` is that one's.
    `deleted_at` hides the document at once; a job then removes its points and the row. `live_key` is the key until
    then, and null after, so that the key can be used again while the old document is being removed.
    """

    __tablename__ = "documents"
    # The second finds what is deleted and still indexed, however many documents a store has.
    __table_args__ = (UniqueConstraint("store_id", "live_key"), Index("ix_documents_deleted", "store_id", "deleted_at"))

    store_id: Mapped[str] = mapped_column(ForeignKey("vector_stores.id"), index=True)
    key: Mapped[str] = mapped_column(Text)
    live_key: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=0)
    latest: Mapped[int] = mapped_column(default=0)
    status: Mapped[str]
    usage_bytes: Mapped[int] = mapped_column(default=0)
    deleted_at: Mapped[int | None]


class DocumentVersionRow(OwnedRow):
    """One version of a document: `in_progress`, then `completed`, `failed`, or `cancelled` for a newer one.

    `index_epoch` is the store's index epoch that made its points visible, at `published_at`; they were cut by `chunker`
    and are in the index `index_identity` (null: in none that the store uses now). `embedded` of its chunks were
    embedded, and the others had the vectors of equal chunks. `mirror_identity` and `mirror_chunker` are the same of the
    store's second index, and `mirror_error` says why it can't be written there.
    `warnings` say what of its bytes was left out.
    """

    __tablename__ = "document_versions"
    __table_args__ = (UniqueConstraint("document_id", "version"),)

    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    version: Mapped[int]
    file_id: Mapped[str] = mapped_column(index=True)
    filename: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
    attributes: Mapped[dict[str, Any]]
    max_chunk_tokens: Mapped[int]
    overlap_tokens: Mapped[int]
    status: Mapped[str]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    chunks: Mapped[int] = mapped_column(default=0)
    embedded: Mapped[int] = mapped_column(default=0)
    warnings: Mapped[list[str] | None]
    index_epoch: Mapped[int | None]
    published_at: Mapped[int | None]
    index_identity: Mapped[str | None]
    chunker: Mapped[str | None]
    mirror_identity: Mapped[str | None]
    mirror_chunker: Mapped[str | None]
    mirror_error: Mapped[str | None] = mapped_column(Text)
    job_id: Mapped[str | None]


class FileBatchRow(OwnedRow):
    """Files that were added to a store at once; `cancelled_at` is when their owner gave up those that waited.

    `removed_counts` are the numbers of those whose rows are gone, by what had become of them.
    """

    __tablename__ = "file_batches"

    store_id: Mapped[str] = mapped_column(ForeignKey("vector_stores.id", ondelete="CASCADE"), index=True)
    cancelled_at: Mapped[int | None]
    removed_counts: Mapped[dict[str, Any] | None]


class BatchFileRow(OwnedRow):
    """One file of a batch: the document that it is in the store, and the version that the batch put."""

    __tablename__ = "batch_files"

    batch_id: Mapped[str] = mapped_column(ForeignKey("file_batches.id", ondelete="CASCADE"), index=True)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[str]


class RemovedFileRow(OwnedRow):
    """The place that a file had in its store's list, under its document's id, kept for a while after that is removed.

    Whoever walks the list and deletes what it has seen names that file as the cursor of the next page.
    """

    __tablename__ = "removed_store_files"
    __table_args__ = (Index("ix_removed_store_files_place", "store_id", "file_id"),)

    store_id: Mapped[str] = mapped_column(ForeignKey("vector_stores.id", ondelete="CASCADE"))
    file_id: Mapped[str]
    removed_at: Mapped[int]


class IndexMigrationRow(Base):
    """A move of all tenants' documents to another index; at most one has no `ended_at`.

    `phase` is `copying` (searches ask the source), `swapped` (they ask the target, and the source is kept in step for a
    rollback), `cancelling` or `finishing` (what is in the index that nobody asks is being deleted), then `cancelled` or
    `finished`. An embedder or URL of "" is the default. `target_index` is null until the target's retriever has
    answered. `evaluations` are by store. `problem` is why the second retriever fell, until it is ready.
    """

    __tablename__ = "index_migrations"

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[int]
    source_embedder: Mapped[str] = mapped_column(Text)
    source_url: Mapped[str] = mapped_column(Text)
    target_embedder: Mapped[str] = mapped_column(Text)
    target_url: Mapped[str] = mapped_column(Text)
    source_index: Mapped[str]
    target_index: Mapped[str | None]
    phase: Mapped[str]
    evaluations: Mapped[dict[str, Any]]
    problem: Mapped[str | None] = mapped_column(Text)
    swapped_at: Mapped[int | None]
    ended_at: Mapped[int | None]

    @property
    def live_index(self) -> str | None:
        """The identity of the index that searches ask."""
        return self.target_index if self.phase in ("swapped", "finishing", "finished") else self.source_index

    @property
    def mirror_index(self) -> str | None:
        """The identity of the index that is kept in step with it; None where there is none yet, or no longer."""
        return {"copying": self.target_index, "swapped": self.source_index}.get(self.phase)
