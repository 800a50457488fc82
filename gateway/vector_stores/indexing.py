"""The steps by which a job brings a version's points into the index and lets readers see them."""

import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.files.service import delete_files
from gateway.jobs import Claim, JobCancelled, JobDelayed, failpoint
from gateway.vector_stores.repository import StoreRepository, VersionRepository
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow
from retrieval.client import IndexChanged, Retriever, RetrieverError, RetrieverUnavailable, StaleWriter
from retrieval.messages import IngestProgress, IngestRequest, IngestResult, Writer

__all__ = ["REPLAY_SECONDS", "Indexer", "Turn", "publish", "settle"]

_log = structlog.get_logger()

REPLAY_SECONDS = 3600
"""The time in which the index epochs that a store had can still be read, to replay an answer. Points that are older go
with the store's next change."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Turn:
    """A job's turn at changing a store: the store as it was then, and what the retriever needs to let the job write."""

    store: StoreRow
    writer: Writer
    chunker: str

    @property
    def index_epoch(self) -> int:
        """The index epoch that readers see until the job publishes the next."""
        return self.store.index_epoch


class Indexer:
    """Writes for the next index epoch of a store, and publishes it.

    Every step is refused by the retriever once another job has taken a turn at the store, or where it has another index
    than the turn began with; the job then waits for its own next turn, which begins anew.
    """

    def __init__(self, artifacts: Artifacts, retriever: Retriever) -> None:
        self._artifacts = artifacts
        self._retriever = retriever

    async def begin(self, claim: Claim, store_id: str) -> Turn:
        """Take a turn at a store. A store whose points are in another index begins in the present one, empty.

        Raises:
            JobCancelled: The store is gone.
            JobDelayed: The retriever is away.
        """
        info = await self._try(self._retriever.describe())
        # In the claim's own transaction: whoever lost the lease must not get a newer fence than the one who has it.
        async with claim.begin() as session:
            store = await StoreRepository(session, claim.tenant).take_fence(store_id)
        if store is None:
            raise JobCancelled
        writer = Writer(info.index, store.index_fence)
        if store.index_identity != info.index:
            store = await self._move(claim, store, writer)
        return Turn(store, writer, info.chunker)

    async def _move(self, claim: Claim, store: StoreRow, writer: Writer) -> StoreRow:
        """Make the present index the one that a store's points are in.

        Points that were left there at another time are deleted first: documents may have been deleted since.
        """
        adopted = (
            store.index_identity is None  # from before this was noted
            and store.index_epoch > 0
            and await self._try(self._retriever.has_store(claim.tenant, store.id))
        )
        if not adopted:
            await self._try(self._retriever.drop_store(claim.tenant, store.id, writer))
        failpoint(f"{claim.kind}-dropped")
        async with claim.begin() as session:
            row = await StoreRepository(session, claim.tenant).find(store.id)
            if row is None:
                raise JobCancelled
            await settle(session, row, writer.index, adopted=adopted)
        return row

    async def write(self, claim: Claim, turn: Turn, document: DocumentRow, version: DocumentVersionRow) -> IngestResult:
        """Write a version's points for the next index epoch, which nobody reads yet.

        Raises:
            DocumentUnreadable: The bytes can't become text.
            JobDelayed: The retriever is away, or this is no longer the job's turn.
            JobCancelled: The job was cancelled meanwhile.
        """
        store, index_epoch = turn.store, turn.index_epoch
        await self._try(self._retriever.rollback(claim.tenant, store.id, index_epoch, turn.writer))
        failpoint(f"{claim.kind}-rolled-back")

        def stop_if_cancelled(_progress: IngestProgress) -> None:
            if claim.cancelled.is_set():
                raise JobCancelled

        request = IngestRequest(
            tenant=claim.tenant,
            store=store.id,
            document=document.id,
            key=document.key,
            version=version.version,
            file_id=version.file_id,
            filename=version.filename,
            path=str(self._artifacts.file(version.digest)),
            attributes=version.attributes,
            index_epoch=index_epoch + 1,
            max_chunk_tokens=version.max_chunk_tokens,
            overlap_tokens=version.overlap_tokens,
            writer=turn.writer,
        )
        try:
            result = await self._retriever.ingest(request, progress=stop_if_cancelled)
        except (IndexChanged, StaleWriter) as error:
            raise JobDelayed(str(error)) from error
        except RetrieverUnavailable as error:
            # It was there a moment ago: maybe this document kills it. So this counts as an attempt, unlike a restart.
            raise RuntimeError(f"the retriever went away while it read the document: {error}") from error
        failpoint(f"{claim.kind}-written")
        return result

    async def collect_garbage(self, claim: Claim, turn: Turn, horizon: int) -> None:
        """Delete the points that no reader at the index epoch `horizon` or later can see."""
        if horizon <= 0:
            return
        try:
            await self._retriever.collect_garbage(claim.tenant, turn.store.id, horizon, turn.writer)
        except RetrieverError as error:
            _log.warning("old_points_stay", store=turn.store.id, reason=str(error))  # until the store's next change

    async def _try(self, call: Awaitable[_Result]) -> _Result:
        try:
            return await call
        except (IndexChanged, RetrieverUnavailable, StaleWriter) as error:
            raise JobDelayed(str(error)) from error


async def settle(session: AsyncSession, store: StoreRow, index_identity: str, *, adopted: bool) -> None:
    """Note that a store's points are in this index from now on: all of them where it was `adopted`, else none yet."""
    versions = VersionRepository(session, store.tenant_id)
    await versions.set_index(store.id, index_identity if adopted else None)
    store.index_identity = index_identity
    store.index_whole = await versions.find_unindexed(store) is None


async def publish(
    session: AsyncSession, turn: Turn, document: DocumentRow, version: DocumentVersionRow, result: IngestResult
) -> int:
    """Move the store to the index epoch that was written, and return the oldest one that can still be read.

    Raises:
        JobDelayed: The store changed meanwhile.
    """
    stores = StoreRepository(session, document.tenant_id)
    if not await stores.move_index_epoch(turn.store.id, turn.index_epoch):
        raise JobDelayed("the store changed during the ingest", seconds=0.1)
    now = int(time.time())
    version.index_epoch = turn.index_epoch + 1
    version.published_at = now
    version.index_identity = turn.writer.index
    version.chunker = turn.chunker
    version.chunks = result.chunks
    version.embedded = result.embedded
    await session.flush()
    store = await stores.get(turn.store.id)
    versions = VersionRepository(session, document.tenant_id)
    if not store.index_whole:
        store.index_whole = await versions.find_unindexed(store) is None
    horizon = await versions.find_horizon(turn.store.id, now - REPLAY_SECONDS)
    await _prune(session, document, horizon)
    return horizon


async def _prune(session: AsyncSession, document: DocumentRow, horizon: int) -> None:
    """Delete the versions that no reader at index epoch `horizon` or later can see, with the files made for them."""
    versions = VersionRepository(session, document.tenant_id)
    rows = await versions.all(DocumentVersionRow.document_id == document.id)
    visible = [row.version for row in rows if row.index_epoch is not None and row.index_epoch <= horizon]
    old = [row for row in rows if row.version < max(visible, default=0)]
    if not old:
        return
    others = {document.key, *(row.file_id for row in rows if row not in old)}  # other attributes, and the same file
    for row in old:
        await versions.delete(row)
    await delete_files(
        session,
        document.tenant_id,
        ids={row.file_id for row in old} - others,
        digests={row.digest for row in old},
    )
