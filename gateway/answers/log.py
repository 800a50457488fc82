"""The log that writes answers' records in batches, beside the hot path."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

import prompts
from gateway.answers.counts import COUNT_SECONDS, AnswerCounts, WaitingRecord
from gateway.answers.record import AnswerRecord, CitedPassage, UncountedAnswer
from gateway.answers.repository import AnswerDocumentRepository, AnswerRepository
from gateway.db import Database, is_disk_full
from gateway.ids import new_id
from gateway.metrics import Metrics

__all__ = ["AnswerLog"]

_log = structlog.get_logger()

_BATCH_SECONDS = 0.05
_FLUSH_SECONDS = 5.0
_MAX_WAITING = 10_000  # memory stays bounded when the database hangs: records beyond this are dropped
_MOST_PER_BATCH = 500
_RETRY_SECONDS = 0.5


class AnswerLog:
    """A queue and its writer; `run` is a task of the process, `flush` waits until everything is written.

    Answers never wait for their records. While the database can't be written to, records wait for it; one that it
    refuses all the same is dropped, logged and counted in the metrics.

    Args:
        database: The database that the records go to.
        counts: Has the tokens counted that the records don't have yet.
        touch: Postpones the expiry of a tenant's vector stores that were asked: tenant, ids.
        metrics: Counts the records that wait, and those that were dropped.
        max_waiting: The number of records that may wait to be written.
        flush_seconds: The longest that `flush` waits.
    """

    def __init__(
        self,
        database: Database,
        counts: AnswerCounts,
        touch: Callable[[str, Sequence[str]], Awaitable[None]],
        metrics: Metrics,
        *,
        max_waiting: int = _MAX_WAITING,
        flush_seconds: float = _FLUSH_SECONDS,
    ) -> None:
        self._database = database
        self._touch = touch
        self._counts = counts
        self._metrics = metrics
        self._queue: asyncio.Queue[WaitingRecord] = asyncio.Queue(max_waiting)
        metrics.read_from("braid_answer_records_waiting", lambda: {(): float(self._accepted - self._settled)})
        self.disk_is_full = False
        """True while records wait because the database's disk is full; then nobody has to wait for them."""
        self._flush_seconds = flush_seconds
        self._accepted = 0
        self._settled = 0
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []

    def put(
        self,
        tenant: str,
        record: AnswerRecord,
        segments: Sequence[prompts.Segment],
        uncounted: UncountedAnswer | None = None,
    ) -> None:
        """Queue a record.

        `segments` are the prompt's texts that stayed, to be counted by part, and `uncounted` is what the usage is to be
        counted from where the engine told none.
        """
        deadline = asyncio.get_running_loop().time() + COUNT_SECONDS
        waiting = WaitingRecord(tenant, record, segments, uncounted, deadline)
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            self._metrics.records_dropped.inc()
            _log.error("answer_record_dropped", answer=record.id)
        else:
            self._accepted += 1
            self._counts.put(waiting)

    async def run(self) -> None:
        """Write until cancelled, at most one commit every 50 ms."""
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(_BATCH_SECONDS)
            while not self._queue.empty() and len(batch) < _MOST_PER_BATCH:
                batch.append(self._queue.get_nowait())
            await self._settle(batch)
            self._settled += len(batch)
            self._end_flushes()

    async def flush(self) -> bool:
        """Wait until every record that was put so far has been written or dropped, for some seconds at most.

        Later records aren't waited for, nor are counts. Returns whether it is so, on a full disk at once.
        """
        if self._settled >= self._accepted:
            return True
        if self.disk_is_full:
            return False
        flushed = asyncio.get_running_loop().create_future()
        self._flushes.append((self._accepted, flushed))
        try:
            async with asyncio.timeout(self._flush_seconds):
                await flushed
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Wait for what is left as `flush` does, and tell of what is lost; call it while `run` still does."""
        if not await self.flush():
            records = self._accepted - self._settled
            self._metrics.records_dropped.inc(records)
            _log.error(
                "answer_records_lost", records=records, reason="the process stopped before they could be written"
            )

    def _end_flushes(self) -> None:
        for accepted, flushed in self._flushes:
            if accepted <= self._settled and not flushed.done():
                flushed.set_result(None)
        self._flushes = [flush for flush in self._flushes if not flush[1].done()]

    async def _settle(self, batch: Sequence[WaitingRecord]) -> None:
        """Write a batch as soon as the database takes it; a record that it refuses though it is writable is lost."""
        refusals = 0
        while (error := await self._try(batch)) is not None:
            self.disk_is_full = is_disk_full(error)
            if self.disk_is_full or not await self._database.is_writable():
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            refusals += 1
            if len(batch) > 1:
                # One that can't be written takes none of the others with it, which may be other tenants'.
                for entry in batch:
                    await self._settle([entry])
                return
            if refusals == 2:
                self._metrics.records_dropped.inc()
                _log.error("answer_record_lost", answer=batch[0].record.id, reason=f"{type(error).__name__}: {error}")
                return
        self.disk_is_full = False
        await self._touch_stores(batch)

    async def _try(self, batch: Sequence[WaitingRecord]) -> Exception | None:
        """Write a batch; return the error by which that failed, None where it didn't."""
        try:
            await self._write(batch)
        except Exception as error:  # a writer that ended would let every later record wait for good
            return error
        return None

    async def _write(self, batch: Sequence[WaitingRecord]) -> None:
        rows: dict[str, list[dict[str, Any]]] = {}
        uses: dict[str, list[dict[str, Any]]] = {}
        records = [entry.record for entry in batch]  # as they are now: counting goes on
        for entry, record in zip(batch, records, strict=True):
            rows.setdefault(entry.tenant, []).append(
                {
                    "id": record.id,
                    "created_at": record.created,
                    "model": record.model,
                    "fingerprint": record.fingerprint,
                    "release": record.release,
                    "record": record,
                }
            )
            uses.setdefault(entry.tenant, []).extend(_list_uses(record))
        async with self._database.begin(counted=False) as session:
            for tenant, values in rows.items():
                await AnswerRepository(session, tenant).add_rows(values)
            for tenant, values in uses.items():
                if values:
                    await AnswerDocumentRepository(session, tenant).add_rows(values)
        for entry, record in zip(batch, records, strict=True):
            self._counts.note_written(entry, record)

    async def _touch_stores(self, batch: Sequence[WaitingRecord]) -> None:
        """Postpone the expiry of the stores that were asked."""
        keys: dict[str, set[str]] = {}
        for entry in batch:
            if entry.record.index_epochs:
                keys.setdefault(entry.tenant, set()).update(entry.record.index_epochs)
        try:
            for tenant, stores in keys.items():
                await self._touch(tenant, sorted(stores))
        except Exception as error:  # the next answer tries again
            _log.warning("stores_not_touched", reason=f"{type(error).__name__}: {error}")


def _list_uses(record: AnswerRecord) -> list[dict[str, Any]]:
    """Return a row for each document that an answer had passages of."""
    documents: dict[str, list[CitedPassage]] = {}
    for passage in record.passages:
        documents.setdefault(passage.document_id, []).append(passage)
    return [
        {
            "id": new_id("use_"),
            "created_at": record.created,
            "answer_id": record.id,
            "document_id": document,
            "version": passages[0].version,
            "index_epoch": passages[0].index_epoch,
            "numbers": [passage.number for passage in passages],
            "cited": any(passage.cited for passage in passages),
        }
        for document, passages in documents.items()
    ]
