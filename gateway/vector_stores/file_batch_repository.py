from collections.abc import Sequence

from sqlalchemy import Select, func

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

    async def counts(self, batch: str) -> dict[str, int]:
        """Count the files of a batch that are in the store, by the status of the version that the batch put.

        What is put under a file's key later belongs to no batch before. A version that was pruned had been read.
        """
        status = func.coalesce(DocumentVersionRow.status, "completed")
        query = (
            self.select(BatchFileRow.batch_id == batch)
            .join(DocumentRow, DocumentRow.id == BatchFileRow.document_id)
            .outerjoin(DocumentVersionRow, DocumentVersionRow.id == BatchFileRow.version_id)
            .where(DocumentRow.deleted_at.is_(None))
            .with_only_columns(status, func.count())
            .group_by(status)
        )
        return {status: number for status, number in (await self.session.execute(query)).all()}

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
