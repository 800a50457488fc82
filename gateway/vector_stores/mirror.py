"""The job that brings a store's documents into its second index, and keeps it there until the move has ended.

As with a reindex, the rows say what has to be done, so that the job can be killed anywhere and goes on with what is
left; each works for a few seconds and asks for the next one, so that an edit of the same store doesn't wait for long.
"""

import time

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.errors import blur
from gateway.jobs import Claim, JobCancelled, JobDelayed, Outcome, failpoint
from gateway.vector_stores.index_migration_repository import find_open_migration
from gateway.vector_stores.indexing import Indexer, StoreTurn, to_delay
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.store_queue import ask_for_work
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow
from retrieval.client import DocumentUnreadable, IndexChanged, Retriever, RetrieverError, StaleWriter
from retrieval.messages import Writer

__all__ = ["MIRROR", "MirrorHandler"]

_log = structlog.get_logger()

MIRROR = "mirror"
_SECONDS = 2.0


class MirrorHandler:
    """Handles jobs of the kind `mirror`; their subject is a store. What searches find never depends on them."""

    def __init__(self, artifacts: Artifacts, retriever: Retriever) -> None:
        self._retriever = retriever
        self._indexer = Indexer(artifacts, retriever)

    async def run(self, claim: Claim) -> None:
        if not await self._settle(claim):
            return
        until: float | None = None
        while True:
            turn = await self._indexer.begin(claim, claim.subject)
            if turn.mirror is None:
                raise JobDelayed("the retriever of the second index is away")
            async with claim.begin() as session:
                work = await VersionRepository(session, claim.tenant).find_unmirrored(turn.store)
                if work is None:
                    return
                if until is not None and time.monotonic() >= until:
                    await ask_for_work(session, claim.tenant, MIRROR, claim.subject)
                    return
            if claim.cancelled.is_set():
                raise JobCancelled
            until = until or time.monotonic() + _SECONDS
            await self._copy(claim, turn, *work)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Leave out the document at which the job failed however often it was tried, and go on with the others."""
        if outcome.status != "failed":
            return
        version = await VersionRepository(session, claim.tenant).find(claim.state.get("version", ""))
        if version is not None:
            version.mirror_error = outcome.message or "It can't be read."
            await ask_for_work(session, claim.tenant, MIRROR, claim.subject)

    async def _settle(self, claim: Claim) -> bool:
        """Make the store's second index the one that the open move wants; tell whether there is one to fill."""
        async with claim.begin() as session:
            migration = await find_open_migration(session)
            store = await StoreRepository(session, claim.tenant).take_fence(claim.subject)
        mirror = None if migration is None else migration.mirror_index
        if store is None or store.mirror_identity == mirror:
            return store is not None and mirror is not None
        if store.mirror_identity is not None:
            await self._empty(claim, store, store.mirror_identity, must=False)
        if mirror is not None and mirror != store.index_identity:
            # What may have been left there at another time: documents may have been deleted since.
            await self._empty(claim, store, mirror, must=True)
        failpoint("mirror-emptied")
        async with claim.begin() as session:
            migration = await find_open_migration(session)
            row = await StoreRepository(session, claim.tenant).find(store.id)
            if row is None or mirror != (None if migration is None else migration.mirror_index):
                raise JobDelayed("the move to another index has changed", seconds=0.1)
            row.mirror_identity, row.mirror_epoch = mirror, row.index_epoch
            await VersionRepository(session, claim.tenant).clear_mirror(store.id)
        failpoint("mirror-settled")
        return mirror is not None

    async def _empty(self, claim: Claim, store: StoreRow, index: str, *, must: bool) -> None:
        try:
            await self._retriever.drop_store(claim.tenant, store.id, Writer(index, store.index_fence))
        except (IndexChanged, StaleWriter, RetrieverError) as error:
            if must:
                raise to_delay(error) from error
            # Nobody asks that index any more, and who comes back to it empties it first.
            _log.warning("points_stay_in_an_unused_index", store=store.id, index=index, reason=str(error))

    async def _copy(self, claim: Claim, turn: StoreTurn, document: DocumentRow, version: DocumentVersionRow) -> None:
        await claim.save({"version": version.id}, further=claim.state.get("version") != version.id)
        try:
            chunker = await self._indexer.copy(claim, turn, document, version)
        except DocumentUnreadable as error:
            async with claim.begin() as session:
                row = await VersionRepository(session, claim.tenant).find(version.id)
                if row is not None:
                    row.mirror_error = blur(str(error))
            return
        async with claim.begin() as session:
            row = await VersionRepository(session, claim.tenant).find(version.id)
            live = row and await DocumentRepository(session, claim.tenant).find(row.document_id)
            if row is None or live is None or live.version != row.version:
                return  # deleted or replaced meanwhile; the next writer takes its points back
            if not await StoreRepository(session, claim.tenant).move_index_epoch(turn.store, mirrored=True):
                raise JobDelayed("the store changed meanwhile", seconds=0.1)
            row.mirror_identity, row.mirror_chunker = turn.store.mirror_identity, chunker
        failpoint("mirror-published")
