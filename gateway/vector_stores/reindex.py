"""The job that indexes a store's documents again, from their bytes, one after another.

The rows say what has to be done: a live version that isn't in the store's index, or was read by another parser or cut
by another chunker. So the job can be killed anywhere, and goes on with what is left. Each job works for a few seconds
and asks for the next one, so that an edit of the same store waits no longer than that.
"""

import time

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.errors import blur
from gateway.jobs import Claim, JobCancelled, Outcome, failpoint
from gateway.vector_stores.indexing import Indexer, StoreTurn, publish
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.store_queue import ask_for_work
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow
from retrieval.client import DocumentUnreadable, Retriever

__all__ = ["REINDEX", "ReindexHandler"]

_log = structlog.get_logger()

REINDEX = "reindex"
_SECONDS = 2.0


class ReindexHandler:
    """Handles jobs of the kind `reindex`; their subject is a store.

    Readers see the old points until those of a document's new ones are published, where its index is still the one that
    the retriever has; otherwise searches are refused until all documents are in the new one.
    """

    def __init__(self, artifacts: Artifacts, retriever: Retriever) -> None:
        self._indexer = Indexer(artifacts, retriever)

    async def run(self, claim: Claim) -> None:
        until: float | None = None
        while True:
            turn = await self._indexer.begin(claim, claim.subject)
            failpoint("reindex-found")
            async with claim.begin() as session:
                work = await VersionRepository(session, claim.tenant).find_unindexed(turn.store, turn.chunkers)
                if work is None:
                    return
                if until is not None and time.monotonic() >= until:
                    await ask_for_work(session, claim.tenant, REINDEX, claim.subject)
                    return
            if claim.cancelled.is_set():
                raise JobCancelled
            until = until or time.monotonic() + _SECONDS  # one document at least, however slow the machine is
            await self._index(claim, turn, *work)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Leave out the document at which the job failed however often it was tried, and go on with the others."""
        if outcome.status != "failed":
            return
        version = await VersionRepository(session, claim.tenant).find(claim.state.get("version", ""))
        document = version and await DocumentRepository(session, claim.tenant).find(version.document_id)
        if version is not None and document is not None:
            await _leave_out(session, document, version, claim.state["chunker"], "server_error", outcome.message or "")
            await ask_for_work(session, claim.tenant, REINDEX, claim.subject)

    async def _index(self, claim: Claim, turn: StoreTurn, document: DocumentRow, version: DocumentVersionRow) -> None:
        further = claim.state.get("version") != version.id
        await claim.save({"version": version.id, "chunker": turn.chunkers[0]}, further=further)
        try:
            outcome = await self._indexer.write(claim, turn, document, version)
        except DocumentUnreadable as error:
            async with claim.begin() as session:
                work = await _find(session, claim.tenant, version.id)
                if work is not None:
                    await _leave_out(session, *work, turn.chunkers[0], error.code, str(error))
            return
        async with claim.begin() as session:
            work = await _find(session, claim.tenant, version.id)
            if work is None:
                return  # deleted meanwhile; the next writer takes its points back
            horizon = await publish(session, turn, *work, outcome)
        failpoint("reindex-published")
        await self._indexer.collect_garbage(claim, turn, horizon)
        failpoint("reindex-collected")


async def _find(session: AsyncSession, tenant: str, id: str) -> tuple[DocumentRow, DocumentVersionRow] | None:
    version = await VersionRepository(session, tenant).find(id)
    document = version and await DocumentRepository(session, tenant).find(version.document_id)
    return None if version is None or document is None else (document, version)


async def _leave_out(
    session: AsyncSession, document: DocumentRow, version: DocumentVersionRow, chunker: str, code: str, message: str
) -> None:
    """Note that a version can't be indexed again. It keeps the points that it has in the store's index, if any."""
    store = await StoreRepository(session, document.tenant_id).get(document.store_id)
    _log.warning("document_not_indexed_again", store=store.id, document=document.id, code=code)
    version.chunker = chunker
    if store.index_identity == version.index_identity:
        return
    version.status = "failed"
    version.error_code = "invalid_file" if code == "empty_file" else code
    version.error_message = blur(message)  # it may be a parser's words
    document.version = document.usage_bytes = 0
    if document.latest == version.version:
        document.status = "failed"
    await session.flush()
    store.index_whole = await VersionRepository(session, document.tenant_id).find_unindexed(store) is None
