"""The job that makes a document's version visible: points for the next index epoch, then one commit that moves it."""

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.jobs import Claim, JobCancelled, JobFailed, Outcome, failpoint
from gateway.vector_stores.indexing import Indexer, IngestedVersion, StoreTurn, publish
from gateway.vector_stores.repository import DocumentRepository, VersionRepository
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow
from retrieval.client import DocumentUnreadable, Retriever

__all__ = ["IngestHandler"]

_AHEAD = 3
"""Documents that are read while the one before them is written."""


class IngestHandler:
    """Handles jobs of the kind `ingest`; their subject is a document's version.

    Killed at any step and run again, it starts over: what the step before wrote is visible to nobody.
    """

    def __init__(self, artifacts: Artifacts, retriever: Retriever) -> None:
        self._indexer = Indexer(artifacts, retriever)

    async def run(self, claim: Claim) -> None:
        async with claim.begin() as session:
            work = await _find(session, claim)
            if work is None:
                return
            document, version = work
            versions = VersionRepository(session, claim.tenant)
            # What waits behind an edit that has gone before it was read ahead already, or comes later.
            ahead = 0 if claim.payload.get("urgent", False) else _AHEAD
            next_ = await versions.list_next(document.store_id, version.id, ahead)
        turn = await self._indexer.begin(claim, document.store_id)
        failpoint("ingest-found")
        if claim.attempts == 1:  # else a document that comes next may be why this one's attempts fail
            await self._indexer.read_ahead(turn, next_)
        try:
            outcome = await self._indexer.write(claim, turn, document, version)
        except DocumentUnreadable as error:
            code = "invalid_file" if error.code == "empty_file" else error.code
            raise JobFailed(code, str(error)) from error
        horizon = await _publish(claim, turn, outcome)
        failpoint("ingest-published")
        await self._indexer.collect_garbage(claim, turn, horizon)
        failpoint("ingest-collected")

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        document = await DocumentRepository(session, claim.tenant).lock(claim.payload["document"])
        version = await VersionRepository(session, claim.tenant).lock(claim.subject)
        if version is None or version.status != "in_progress":
            return
        version.status = outcome.status
        if outcome.status == "failed":
            version.error_code = outcome.code
            version.error_message = outcome.message
        if document is not None and document.latest == version.version:
            document.status = outcome.status


async def _find(session: AsyncSession, claim: Claim) -> tuple[DocumentRow, DocumentVersionRow] | None:
    """Find the rows to work on; None where nothing is left to do: done before a crash, or replaced."""
    document = await DocumentRepository(session, claim.tenant).find(claim.payload["document"])
    return _check(document, await VersionRepository(session, claim.tenant).find(claim.subject))


def _check(
    document: DocumentRow | None, version: DocumentVersionRow | None
) -> tuple[DocumentRow, DocumentVersionRow] | None:
    if version is None or version.status != "in_progress":
        return None
    if document is None:
        raise JobCancelled
    return document, version


async def _lock(session: AsyncSession, claim: Claim) -> tuple[DocumentRow, DocumentVersionRow] | None:
    """Find the rows as they are now; nobody else changes them until the unit of work ends."""
    # The document first, as whoever puts or deletes it does.
    document = await DocumentRepository(session, claim.tenant).lock(claim.payload["document"])
    version = await VersionRepository(session, claim.tenant).lock(claim.subject)
    return _check(document, version)


async def _publish(claim: Claim, turn: StoreTurn, outcome: IngestedVersion) -> int:
    """Let readers see the version: one commit, refused if another worker has the job by now."""
    async with claim.begin() as session:
        work = await _lock(session, claim)
        if work is None:
            raise JobCancelled
        document, version = work
        version.status = "completed"
        document.version = version.version
        document.usage_bytes = version.bytes
        if document.latest == version.version:
            document.status = "completed"
        return await publish(session, turn, document, version, outcome)
