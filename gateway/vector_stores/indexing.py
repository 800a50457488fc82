"""The steps by which a job brings a version's points into the index and lets readers see them."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.files.service import delete_files
from gateway.jobs import Claim, JobCancelled, JobDelayed, failpoint
from gateway.vector_stores.index_migration_repository import find_open_migration
from gateway.vector_stores.repository import StoreRepository, VersionRepository
from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow
from retrieval.client import (
    IndexChanged,
    IndexFull,
    IndexUnavailable,
    Retriever,
    RetrieverError,
    RetrieverUnavailable,
    StaleWriter,
)
from retrieval.messages import IngestProgress, IngestRequest, IngestResult, RetrieverInfo, Writer

__all__ = ["REPLAY_SECONDS", "Indexer", "IngestedVersion", "StoreTurn", "publish", "settle", "to_delay"]

_log = structlog.get_logger()

REPLAY_SECONDS = 3600
"""The time in which the index epochs that a store had can still be read, to replay an answer. Points that are older go
with the store's next change."""

_SHORTAGE_SECONDS = 15.0
"""Until a job that waits for free disk looks again."""

_TROUBLE_SECONDS = 60.0
"""The longest pause of a job between its looks at an index's server that is in trouble."""

_AWAY = "The index can't be reached now."
_NO_ROOM = "The index has no room for more now."

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class StoreTurn:
    """A job's turn at changing a store: the store as it was then, and what the retriever needs to let the job write.

    `chunkers` are those by which documents would be cut now, the first one for documents that can't be read. `mirror`
    is of the store's second index; None where it has none that can be written now.
    """

    store: StoreRow
    writer: Writer
    chunkers: Sequence[str]
    mirror: Writer | None = None
    mirror_chunkers: Sequence[str] = ()

    @property
    def index_epoch(self) -> int:
        """The index epoch that readers see until the job publishes the next."""
        return self.store.index_epoch


@dataclass(frozen=True, slots=True)
class IngestedVersion:
    """An ingest for a store's next index epoch; `mirror` is the same in the second index, None where it isn't there."""

    result: IngestResult
    mirror: IngestResult | None = None


class Indexer:
    """Writes for the next index epoch of a store, and publishes it.

    While documents move to another index, all is written to both. The second one never stops a document: what it
    misses is written there later (`gateway.vector_stores.mirror`), and no swap happens before.

    Every step is refused by the retriever once another job has taken a turn at the store, or where it has another index
    than the turn began with; the job then waits for its own next turn, which begins anew.
    """

    def __init__(self, artifacts: Artifacts, retriever: Retriever) -> None:
        self._artifacts = artifacts
        self._retriever = retriever

    async def begin(self, claim: Claim, store_id: str) -> StoreTurn:
        """Take a turn at a store. A store whose points are in another index begins in the present one, empty.

        Raises:
            JobCancelled: The store is gone.
            JobDelayed: The retriever is away, or a disk is nearly full.
        """
        if shortage := await asyncio.to_thread(self._artifacts.free_space.find_shortage):
            raise JobDelayed(shortage, seconds=_SHORTAGE_SECONDS, words=shortage)
        # In the claim's own transaction: whoever lost the lease must not get a newer fence than the one who has it.
        async with claim.begin() as session:
            store = await StoreRepository(session, claim.tenant).take_fence(store_id)
            if store is None:
                raise JobCancelled
            await _choose_indexes(session, store)
        info = await self._try(self._retriever.describe(store.index_identity))
        writer = Writer(info.index, store.index_fence)
        if store.index_identity != info.index:
            if store.mirror_identity is not None:
                raise JobDelayed("the retriever of the index that searches ask is away", words=_AWAY)
            store = await self._move(claim, store, writer)
        mirror = await self._begin_mirror(claim, store)
        if mirror is None:
            return StoreTurn(store, writer, info.present_chunkers)
        second = Writer(mirror.index, store.index_fence)
        return StoreTurn(store, writer, info.present_chunkers, second, mirror.present_chunkers)

    async def _begin_mirror(self, claim: Claim, store: StoreRow) -> RetrieverInfo | None:
        """Return the store's second index, taken back to what it had when it was written last; None where it is away.

        Since then the store may have changed without it: the versions that it lacks aren't marked as being there.
        """
        index, index_epoch = store.mirror_identity, store.index_epoch
        if index is None or index == store.index_identity:
            return None
        try:
            info = await self._retriever.describe(index)
            if info.index != index:
                return None
            if store.mirror_epoch == index_epoch:
                return info
            writer = Writer(index, store.index_fence)
            await self._retriever.rollback(claim.tenant, store.id, store.mirror_epoch, writer)
        except RetrieverError as error:
            _log.warning("second_index_away", store=store.id, reason=str(error))
            return None
        async with claim.begin() as session:
            stores = StoreRepository(session, claim.tenant)
            row = await stores.find(store.id)
            if row is None:
                raise JobCancelled
            if (row.mirror_identity, row.index_epoch) != (index, index_epoch):
                raise JobDelayed("the store's indexes have changed", seconds=0.1)
            row.mirror_epoch = store.mirror_epoch = index_epoch
        return info

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

    async def write(
        self, claim: Claim, turn: StoreTurn, document: DocumentRow, version: DocumentVersionRow
    ) -> IngestedVersion:
        """Write a version's points for the next index epoch, which nobody reads yet.

        Raises:
            DocumentUnreadable: The bytes can't become text.
            JobDelayed: The retriever is away, or this is no longer the job's turn.
            JobCancelled: The job was cancelled meanwhile.
        """
        await self._try(self._roll_back(turn, turn.writer))
        failpoint(f"{claim.kind}-rolled-back")
        result = await self._ingest_or_wait(claim, turn, turn.writer, document, version)
        failpoint(f"{claim.kind}-written")
        if turn.mirror is None:
            return IngestedVersion(result)
        try:
            await self._roll_back(turn, turn.mirror)
            mirror = await self._ingest(claim, turn, turn.mirror, document, version)
        except RetrieverError as error:
            _log.warning("second_index_not_written", store=turn.store.id, reason=str(error))
            return IngestedVersion(result)
        failpoint(f"{claim.kind}-mirrored")
        return IngestedVersion(result, mirror)

    async def copy(self, claim: Claim, turn: StoreTurn, document: DocumentRow, version: DocumentVersionRow) -> str:
        """Write a live version's points to the second index alone, for the next index epoch; return its chunker.

        Raises:
            DocumentUnreadable: The bytes can't become text.
            JobDelayed: A retriever is away, or this is no longer the job's turn.
            JobCancelled: The job was cancelled meanwhile.
        """
        if turn.mirror is None:
            raise JobDelayed("the retriever of the second index is away")
        for writer in (turn.writer, turn.mirror):
            await self._try(self._roll_back(turn, writer))
        failpoint(f"{claim.kind}-rolled-back")
        result = await self._ingest_or_wait(claim, turn, turn.mirror, document, version)
        failpoint(f"{claim.kind}-written")
        return result.chunker or turn.mirror_chunkers[0]

    async def _roll_back(self, turn: StoreTurn, writer: Writer) -> None:
        await self._retriever.rollback(turn.store.tenant_id, turn.store.id, turn.index_epoch, writer)

    async def _ingest_or_wait(
        self, claim: Claim, turn: StoreTurn, writer: Writer, document: DocumentRow, version: DocumentVersionRow
    ) -> IngestResult:
        """Write to an index that the job can't do without."""
        try:
            return await self._ingest(claim, turn, writer, document, version)
        except IndexUnavailable as error:
            raise to_delay(error) from error
        except RetrieverUnavailable as error:
            # It was there a moment ago: maybe this document kills it. So this counts as an attempt, unlike a restart.
            raise RuntimeError(f"the retriever went away while it read the document: {error}") from error

    async def _ingest(
        self, claim: Claim, turn: StoreTurn, writer: Writer, document: DocumentRow, version: DocumentVersionRow
    ) -> IngestResult:
        def stop_if_cancelled(_progress: IngestProgress) -> None:
            if claim.cancelled.is_set():
                raise JobCancelled

        request = self._make_request(turn, writer, document, version, urgent=claim.payload.get("urgent", False))
        try:
            return await self._retriever.ingest(request, progress=stop_if_cancelled)
        except (IndexChanged, StaleWriter) as error:
            raise JobDelayed(str(error)) from error

    async def read_ahead(self, turn: StoreTurn, next_: Sequence[tuple[DocumentRow, DocumentVersionRow]]) -> None:
        """Have the retriever read documents whose turn comes soon; it is no matter if it doesn't."""
        for document, version in next_:
            try:
                await self._retriever.read_ahead(self._make_request(turn, turn.writer, document, version))
            except RetrieverError as error:
                _log.info("not_read_ahead", document=document.id, reason=str(error))

    def _make_request(
        self,
        turn: StoreTurn,
        writer: Writer,
        document: DocumentRow,
        version: DocumentVersionRow,
        *,
        urgent: bool = False,
    ) -> IngestRequest:
        return IngestRequest(
            tenant=turn.store.tenant_id,
            store=turn.store.id,
            document=document.id,
            key=document.key,
            version=version.version,
            file_id=version.file_id,
            filename=version.filename,
            path=str(self._artifacts.locate_file(version.digest)),
            attributes=version.attributes,
            index_epoch=turn.index_epoch + 1,
            max_chunk_tokens=version.max_chunk_tokens,
            overlap_tokens=version.overlap_tokens,
            writer=writer,
            urgent=urgent,
        )

    async def collect_garbage(self, claim: Claim, turn: StoreTurn, horizon: int) -> None:
        """Delete the points that no reader at the index epoch `horizon` or later can see."""
        if horizon <= 0:
            return
        for writer in filter(None, (turn.writer, turn.mirror)):
            try:
                await self._retriever.collect_garbage(claim.tenant, turn.store.id, horizon, writer)
            except RetrieverError as error:
                _log.warning("old_points_stay", store=turn.store.id, reason=str(error))  # until the store's next change

    async def _try(self, call: Awaitable[_Result]) -> _Result:
        try:
            return await call
        except (IndexChanged, RetrieverUnavailable, StaleWriter) as error:
            raise to_delay(error) from error


def to_delay(error: RetrieverError) -> JobDelayed:
    """Return the delay of a job that needs the retriever; while its server is in trouble it gets longer and longer."""
    words = ""
    if isinstance(error, RetrieverUnavailable):
        words = _NO_ROOM if isinstance(error, IndexFull) else _AWAY
    longest = _TROUBLE_SECONDS if isinstance(error, IndexUnavailable) else None
    return JobDelayed(str(error), longest=longest, words=words)


async def _choose_indexes(session: AsyncSession, store: StoreRow) -> None:
    """Let a store that has never been written begin where the others are, while documents move to another index."""
    if store.index_epoch > 0:
        return
    migration = await find_open_migration(session)
    if migration is not None:
        store.index_identity = migration.live_index
        store.mirror_identity, store.mirror_epoch = migration.mirror_index, 0


async def settle(session: AsyncSession, store: StoreRow, index_identity: str, *, adopted: bool) -> None:
    """Note that a store's points are in this index from now on: all of them where it was `adopted`, else none yet."""
    versions = VersionRepository(session, store.tenant_id)
    await versions.set_index(store.id, index_identity if adopted else None)
    store.index_identity = index_identity
    store.index_whole = await versions.find_unindexed(store) is None


async def publish(
    session: AsyncSession, turn: StoreTurn, document: DocumentRow, version: DocumentVersionRow, outcome: IngestedVersion
) -> int:
    """Move the store to the index epoch that was written, and return the oldest one that can still be read.

    Raises:
        JobDelayed: The store changed meanwhile.
    """
    stores = StoreRepository(session, document.tenant_id)
    if not await stores.move_index_epoch(turn.store, mirrored=outcome.mirror is not None):
        raise JobDelayed("the store changed during the ingest", seconds=0.1)
    now = int(time.time())
    version.index_epoch = turn.index_epoch + 1
    version.published_at = now
    version.index_identity = turn.writer.index
    version.chunker = outcome.result.chunker or turn.chunkers[0]
    version.chunks = outcome.result.chunks
    version.embedded = outcome.result.embedded
    version.warnings = outcome.result.warnings
    version.mirror_identity = version.mirror_chunker = version.mirror_error = None
    if outcome.mirror is not None:
        version.mirror_identity = turn.store.mirror_identity
        version.mirror_chunker = outcome.mirror.chunker or turn.mirror_chunkers[0]
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
    rows = await versions.list_all(DocumentVersionRow.document_id == document.id)
    visible = [row.version for row in rows if row.index_epoch is not None and row.index_epoch <= horizon]
    old = [row for row in rows if row.version < max(visible, default=0)]
    if not old:
        return
    others = {document.key, *(row.file_id for row in rows if row not in old)}  # other attributes, and the same file
    for row in old:
        await versions.delete(row)
    await session.flush()
    own_files = {row.file_id for row in old} - others
    await delete_files(
        session,
        document.tenant_id,
        ids=own_files - await versions.find_used(own_files),
        digests={row.digest for row in old},
    )
