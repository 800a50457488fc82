"""The job that makes a document's version visible: points for the next index epoch, then one commit that moves it."""

from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.files.service import delete_files
from gateway.jobs import Claim, JobCancelled, JobDelayed, JobFailed, Outcome, failpoint
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow
from retrieval.client import DocumentUnreadable, Retriever, RetrieverError, RetrieverUnavailable
from retrieval.messages import IngestProgress, IngestRequest, IngestResult

__all__ = ["RETAINED_INDEX_EPOCHS", "IngestHandler"]

_log = structlog.get_logger()

RETAINED_INDEX_EPOCHS = 16
"""Past index epochs of a store that can still be read, to replay an answer."""


@dataclass(frozen=True, slots=True)
class _Work:
    store: StoreRow
    document: DocumentRow
    version: DocumentVersionRow


class IngestHandler:
    """Handles jobs of the kind `ingest`; their subject is a document's version.

    Killed at any step and run again, it starts over: what the step before wrote is visible to nobody.
    """

    def __init__(self, artifacts: Artifacts, retriever: Retriever) -> None:
        self._artifacts = artifacts
        self._retriever = retriever

    async def run(self, claim: Claim) -> None:
        # In the claim's own transaction: whoever lost the lease must not get as far as the rollback.
        async with claim.begin() as session:
            work = await _find(session, claim)
        if work is None:
            return
        index_epoch = work.store.index_epoch
        failpoint("ingest-found")
        try:
            await self._retriever.rollback(claim.tenant, work.store.id, index_epoch)
        except RetrieverUnavailable as error:
            raise JobDelayed(str(error)) from error
        failpoint("ingest-rolled-back")
        ingested = await self._write(claim, work, index_epoch + 1)
        failpoint("ingest-written")
        await _publish(claim, index_epoch, ingested)
        failpoint("ingest-published")
        await self._collect(claim, work.store.id, index_epoch + 1)
        failpoint("ingest-collected")

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        version = await VersionRepository(session, claim.tenant).find(claim.subject)
        if version is None or version.status != "in_progress":
            return
        version.status = outcome.status
        if outcome.status == "failed":
            version.error_code = outcome.code
            version.error_message = outcome.message
        document = await DocumentRepository(session, claim.tenant).find(version.document_id)
        if document is not None and document.latest == version.version:
            document.status = outcome.status

    async def _write(self, claim: Claim, work: _Work, index_epoch: int) -> IngestResult:
        def stop_if_cancelled(_progress: IngestProgress) -> None:
            if claim.cancelled.is_set():
                raise JobCancelled

        version = work.version
        request = IngestRequest(
            tenant=claim.tenant,
            store=work.store.id,
            document=work.document.id,
            key=work.document.key,
            version=version.version,
            file_id=version.file_id,
            filename=version.filename,
            path=str(self._artifacts.file(version.digest)),
            attributes=version.attributes,
            index_epoch=index_epoch,
            max_chunk_tokens=version.max_chunk_tokens,
            overlap_tokens=version.overlap_tokens,
        )
        try:
            return await self._retriever.ingest(request, progress=stop_if_cancelled)
        except DocumentUnreadable as error:
            code = "invalid_file" if error.code == "empty_file" else error.code
            raise JobFailed(code, str(error)) from error
        except RetrieverUnavailable as error:
            # It was there a moment ago: maybe this document kills it. So this counts as an attempt, unlike a restart.
            raise RuntimeError(f"the retriever went away while it read the document: {error}") from error

    async def _collect(self, claim: Claim, store: str, index_epoch: int) -> None:
        if index_epoch <= RETAINED_INDEX_EPOCHS:
            return
        try:
            await self._retriever.collect_garbage(claim.tenant, store, index_epoch - RETAINED_INDEX_EPOCHS)
        except RetrieverError as error:
            _log.warning("old_points_stay", store=store, reason=str(error))  # until the store's next change


async def _find(session: AsyncSession, claim: Claim) -> _Work | None:
    """Find the rows to work on; None where nothing is left to do: done before a crash, replaced, or deleted."""
    version = await VersionRepository(session, claim.tenant).find(claim.subject)
    if version is None or version.status != "in_progress":
        return None
    document = await DocumentRepository(session, claim.tenant).find(version.document_id)
    store = None if document is None else await StoreRepository(session, claim.tenant).find(document.store_id)
    if document is None or store is None:
        raise JobCancelled
    return _Work(store, document, version)


async def _publish(claim: Claim, index_epoch: int, ingested: IngestResult) -> None:
    """Let readers see the version: one commit, refused if another worker has the job by now."""
    async with claim.begin() as session:
        work = await _find(session, claim)
        if work is None or not await StoreRepository(session, claim.tenant).move_index_epoch(
            work.store.id, index_epoch
        ):
            raise JobDelayed("the store changed during the ingest", seconds=0.1)
        document, version = work.document, work.version
        version.status = "completed"
        version.index_epoch = index_epoch + 1
        version.chunks = ingested.chunks
        document.version = version.version
        document.usage_bytes = version.bytes
        if document.latest == version.version:
            document.status = "completed"
        await _prune(session, document, index_epoch + 1 - RETAINED_INDEX_EPOCHS)


async def _prune(session: AsyncSession, document: DocumentRow, horizon: int) -> None:
    """Delete the versions that no reader at index epoch `horizon` or later can see, with the files made for them."""
    versions = VersionRepository(session, document.tenant_id)
    rows = await versions.all(DocumentVersionRow.document_id == document.id)
    visible = [row.version for row in rows if row.index_epoch is not None and row.index_epoch <= horizon]
    old = [row for row in rows if row.version < max(visible, default=0)]
    if not old:
        return
    for row in old:
        await versions.delete(row)
    await delete_files(
        session,
        document.tenant_id,
        ids={row.file_id for row in old if row.file_id != document.key},
        digests={row.digest for row in old},
    )
