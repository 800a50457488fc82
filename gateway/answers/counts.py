"""The counts of tokens that answers' records have beside what engines tell; no record and no request waits for them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

import prompts
from gateway.answers.partial_text import join_texts
from gateway.answers.record import AnswerRecord, Counts, UncountedAnswer
from gateway.answers.repository import AnswerRepository
from gateway.answers.tables import AnswerRow
from gateway.db import Database, is_disk_full
from gateway.engines import EngineError
from gateway.engines.token_counter import TokenCounter
from gateway.metrics import Metrics

__all__ = ["COUNT_SECONDS", "AnswerCounts", "WaitingRecord"]

_log = structlog.get_logger()

COUNT_SECONDS: Final = 30.0
"""An answer's tokens are counted within this time from its end, or never."""

_MAX_WAITING = 1_000  # each may hold a prompt and the events of an answer
_WORKERS = 4
_BATCH_SECONDS = 0.05
_RETRY_SECONDS = 0.5
_CLOSING_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class WaitingRecord:
    """A record on its way to the database, and the material that its counts are still to be made from.

    `written` says that the database has it, as it was then.
    """

    tenant: str
    record: AnswerRecord
    segments: Sequence[prompts.Segment]
    answer: UncountedAnswer | None
    deadline: float
    is_written: bool = False

    @property
    def pending(self) -> bool:
        return self.record.counts == "pending"

    def settle(self, counts: Counts) -> None:
        """Put the record into its last state, and let go of the material."""
        self.record = msgspec.structs.replace(self.record, counts=counts)
        self.segments, self.answer = (), None


class AnswerCounts:
    """A queue of records and the few tasks that count for them; `run` is a task of the process.

    What is counted before the log writes the record is written with it, anything later over it. Where the queue is
    full, engines fail or are slow, or the process ends, the record says that its counts are unknown.

    Args:
        database: The database that has the records.
        counter: Counts a prompt's parts, after the answer.
        metrics: Counts the tokens, and the answers whose counts stay unknown.
        max_waiting: The number of records that may wait for their counts.
    """

    def __init__(
        self, database: Database, counter: TokenCounter, metrics: Metrics, *, max_waiting: int = _MAX_WAITING
    ) -> None:
        self._database = database
        self._counter = counter
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._open: dict[str, WaitingRecord] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._queue: asyncio.Queue[WaitingRecord] = asyncio.Queue()
        self._results: asyncio.Queue[WaitingRecord] = asyncio.Queue()
        metrics.read_from("braid_answer_counts_waiting", lambda: {(): float(len(self._open))})

    def put(self, waiting: WaitingRecord) -> None:
        """Have a record's tokens counted, if there is something to count and a place in the queue."""
        if waiting.answer is None:
            if not waiting.segments:
                return
            counts = self._counter.recall([segment.text for segment in waiting.segments])
            if counts is not None:  # as most of a prompt's texts are: waiting for a worker would cost more than this
                parts = _sum_parts(waiting.segments, counts)
                waiting.record = msgspec.structs.replace(waiting.record, prompt_tokens=parts, counts="known")
                waiting.segments = ()
                return
        if len(self._open) >= self._max_waiting:
            self._give_up(waiting, "too many wait")
            return
        waiting.record = msgspec.structs.replace(waiting.record, counts="pending")
        self._note_open(waiting)
        self._queue.put_nowait(waiting)

    def note_written(self, waiting: WaitingRecord, record: AnswerRecord) -> None:
        """Note that the database has `record`; what was counted while it was written is written over it."""
        waiting.is_written = True
        if waiting.record.counts != record.counts:
            self._write_later(waiting)

    async def run(self) -> None:
        """Count until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(self._work())
            group.create_task(self._write_results())

    async def close(self) -> None:
        """Wait a moment for what is being counted, then leave the rest unknown; call it while `run` still does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._idle.wait()
        rest = list(self._open.values())
        for waiting in rest:
            if waiting.pending:
                self._give_up(waiting, "the process stopped")
        with suppress(TimeoutError):  # a reader takes what is pending for too long as unknown
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._write([waiting for waiting in rest if waiting.is_written])

    async def _work(self) -> None:
        while True:
            waiting = await self._queue.get()
            reason = ""
            try:
                async with asyncio.timeout_at(waiting.deadline):
                    reason = await self._count(waiting)
            except TimeoutError:
                reason = f"not within {COUNT_SECONDS:g} s"
            except Exception as error:  # a worker that ended would let every later record wait for good
                reason = f"{type(error).__name__}: {error}"
                _log.warning("answer_count_failed", answer=waiting.record.id, reason=reason)
            if not waiting.pending:
                continue  # `close` was faster
            if reason:
                self._give_up(waiting, reason)
            else:
                waiting.settle("known")
            if waiting.is_written:
                self._write_later(waiting)
            else:
                self._note_closed(waiting)

    def _give_up(self, waiting: WaitingRecord, reason: str) -> None:
        waiting.settle("unknown")
        self._metrics.counts_dropped.inc()
        _log.debug("answer_not_counted", answer=waiting.record.id, reason=reason)

    def _note_open(self, waiting: WaitingRecord) -> None:
        self._open[waiting.record.id] = waiting
        self._idle.clear()

    def _note_closed(self, waiting: WaitingRecord) -> None:
        self._open.pop(waiting.record.id, None)
        if not self._open:
            self._idle.set()

    def _write_later(self, waiting: WaitingRecord) -> None:
        self._note_open(waiting)
        self._results.put_nowait(waiting)

    async def _write_results(self) -> None:
        """Write what was counted too late to be written with its record, at most one commit every 50 ms."""
        while True:
            batch = [await self._results.get()]
            await asyncio.sleep(_BATCH_SECONDS)
            while not self._results.empty():
                batch.append(self._results.get_nowait())
            while True:
                error = await self._try(batch)
                if error is None or not is_disk_full(error):
                    break
                await asyncio.sleep(_RETRY_SECONDS)
            self._end(batch, error)

    async def _write(self, batch: Sequence[WaitingRecord]) -> None:
        self._end(batch, await self._try(batch))

    async def _try(self, batch: Sequence[WaitingRecord]) -> Exception | None:
        """Write a batch; return the error by which that failed, None where it didn't."""
        try:
            async with self._database.begin(counted=False) as session:
                for waiting in batch:
                    answers = AnswerRepository(session, waiting.tenant)
                    await answers.update_rows(AnswerRow.id == waiting.record.id, record=waiting.record)
        except Exception as error:  # as above
            return error
        return None

    def _end(self, batch: Sequence[WaitingRecord], error: Exception | None) -> None:
        if error is not None:
            _log.warning("answer_counts_not_written", answers=len(batch), reason=f"{type(error).__name__}: {error}")
        for waiting in batch:
            self._note_closed(waiting)

    async def _count(self, waiting: WaitingRecord) -> str:
        """Count as far as an engine is there for it, and return the reason why that isn't everything, or ""."""
        reason = ""
        if waiting.answer is not None:
            try:
                usage = await self._count_usage(waiting.answer)
                waiting.record = msgspec.structs.replace(waiting.record, usage=usage)
            except EngineError as error:
                reason = error.detail
        if waiting.segments:
            try:
                parts = await self._count_parts(waiting.segments)
                waiting.record = msgspec.structs.replace(waiting.record, prompt_tokens=parts)
            except EngineError as error:
                reason = error.detail
        return reason

    async def _count_usage(self, answer: UncountedAnswer) -> dict[str, Any]:
        prompt = await self._counter.count_prompt(answer.body)
        self._metrics.prompt_tokens.add(prompt)
        if not answer.events:
            return {"prompt_tokens": prompt}
        counts = await self._counter.count(join_texts(answer.events))
        completion = round(sum(counts) * answer.total_events / len(answer.events))
        self._metrics.completion_tokens.add(completion)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    async def _count_parts(self, segments: Sequence[prompts.Segment]) -> dict[str, int]:
        return _sum_parts(segments, await self._counter.count([segment.text for segment in segments]))


def _sum_parts(segments: Sequence[prompts.Segment], counts: Sequence[int]) -> dict[str, int]:
    parts: dict[str, int] = {}
    for segment, count in zip(segments, counts, strict=True):
        parts[segment.part] = parts.get(segment.part, 0) + count
    return parts
