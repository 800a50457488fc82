from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Select, case, func

from gateway.db import Repository
from gateway.vector_stores.repository import VersionRepository
from gateway.vector_stores.tables import BatchFileRow, DocumentRow, DocumentVersionRow, FileBatchRow

__all__ = ["BatchFileRepository", "FileBatchRepository"]


class FileBatchRepository(Repository[FileBatchRow]):
    table = FileBatchRow
    noun = "file batch"


class BatchFileRepository(Repository[BatchFileRow]):
    table = BatchFileRow
    noun = "file of a batch"

    def select_documents(self, batch: str) -> Select[str]:
        """Start a query on the ids of a batch's documents."""
        return self.select(BatchFileRow.batch_id == batch).with_only_columns(BatchFileRow.document_id)

    async def count_by_outcome(self, batch: FileBatchRow) -> Mapping[str, int]:
        """Count the files that a batch was given, by what has become of the version that the batch put.

        Once none is in progress that stays as it is, whatever is put under a file's key later, and whether the file is
        deleted.
        """
        here = await self._count(BatchFileRow.batch_id == batch.id)
        return Counter(batch.removed_counts or {}) + here[batch.id]

    async def note_removal(self, documents: Collection[str]) -> None:
        """Keep, in their batches, what has become of documents that are about to be erased."""
        batches = FileBatchRepository(self.session, self.tenant)
        for id, counts in (await self._count(BatchFileRow.document_id.in_(documents))).items():
            batch = await batches.find(id)
            if batch is not None:
                batch.removed_counts = dict(Counter(batch.removed_counts or {}) + counts)

    async def _count(self, where: ColumnElement[bool]) -> Mapping[str, Counter[str]]:
        """Count files by batch and by what has become of them.

        One that was read once stays so: its version may be pruned since, or no longer be readable by a newer parser.
        One that is deleted before is as good as cancelled.
        """
        status = case(
            (DocumentVersionRow.id.is_(None) | DocumentVersionRow.published_at.is_not(None), "completed"),
            (DocumentRow.deleted_at.is_not(None) & (DocumentVersionRow.status == "in_progress"), "cancelled"),
            else_=DocumentVersionRow.status,
        )
        query = (
            self.select(where)
            .join(DocumentRow, DocumentRow.id == BatchFileRow.document_id)
            .outerjoin(DocumentVersionRow, DocumentVersionRow.id == BatchFileRow.version_id)
            .with_only_columns(BatchFileRow.batch_id, status, func.count())
            .group_by(BatchFileRow.batch_id, status)
        )
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for batch, status, number in (await self.session.execute(query)).all():
            counts[batch][status] = number
        return counts

    async def list_waiting(self, batch: str, limit: int) -> Sequence[tuple[DocumentRow, DocumentVersionRow]]:
        """List documents of a batch whose version of the batch isn't ready, with that version."""
        query = (
            VersionRepository(self.session, self.tenant)
            .select(BatchFileRow.batch_id == batch, DocumentVersionRow.status == "in_progress")
            .join(BatchFileRow, BatchFileRow.version_id == DocumentVersionRow.id)
            .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
            .where(DocumentRow.deleted_at.is_(None))
            .add_columns(DocumentRow)
            .order_by(BatchFileRow.id.desc())
            .limit(limit)
        )
        return [(document, version) for version, document in (await self.session.execute(query)).all()]
