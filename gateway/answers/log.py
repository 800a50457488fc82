"""Keeps answers' records in batches, beside the hot path."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

import prompts
from gateway.answers.record import AnswerRecord
from gateway.answers.repository import AnswerRepository
from gateway.db import Database
from gateway.engines import EngineError
from gateway.engines.token_counter import TokenCounter

__all__ = ["AnswerLog"]

_log = structlog.get_logger()

_BATCH_SECONDS = 0.05
_WAITING = 10_000  # records beyond this are dropped, counted and logged: memory stays bounded when the database hangs


class AnswerLog:
    """A queue and its writer; `run` is a task of the process, `flush` waits until everything is written.

    Args:
        database: Where the records go.
        counter: Counts a prompt's parts, after the answer.
        touch: Postpones the expiry of a tenant's vector stores that were asked: tenant, ids.
    """

    def __init__(
        self, database: Database, counter: TokenCounter, touch: Callable[[str, Sequence[str]], Awaitable[None]]
    ) -> None:
        self._database = database
        self._touch = touch
        self._counter = counter
        self._queue: asyncio.Queue[tuple[str, AnswerRecord, Sequence[prompts.Segment]]] = asyncio.Queue(_WAITING)
        self.dropped = 0

    def put(self, tenant: str, record: AnswerRecord, segments: Sequence[prompts.Segment]) -> None:
        """Keep a record soon; `segments` are the prompt's texts that stayed, to be counted by part."""
        try:
            self._queue.put_nowait((tenant, record, segments))
        except asyncio.QueueFull:
            self.dropped += 1
            _log.error("answer_record_dropped", answer=record.id, dropped=self.dropped)

    async def run(self) -> None:
        """Write until cancelled, at most one commit every 50 ms."""
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(_BATCH_SECONDS)
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write(batch)
            except SQLAlchemyError as error:
                self.dropped += len(batch)
                _log.error("answer_records_lost", count=len(batch), reason=str(error))
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def flush(self) -> None:
        await self._queue.join()

    async def _write(self, batch: Sequence[tuple[str, AnswerRecord, Sequence[prompts.Segment]]]) -> None:
        rows: dict[str, list[dict[str, Any]]] = {}
        for tenant, record, segments in batch:
            counted = await self._by_part(record, segments)
            rows.setdefault(tenant, []).append(
                {
                    "id": record.id,
                    "created_at": record.created,
                    "model": record.model,
                    "fingerprint": record.fingerprint,
                    "release": record.release,
                    "record": counted,
                }
            )
        async with self._database.begin() as session:
            for tenant, values in rows.items():
                await AnswerRepository(session, tenant).add_all(values)
        for tenant, stores in _stores_used(batch).items():
            await self._touch(tenant, sorted(stores))

    async def _by_part(self, record: AnswerRecord, segments: Sequence[prompts.Segment]) -> AnswerRecord:
        if not segments:
            return record
        try:
            counts = await self._counter.count([segment.text for segment in segments])
        except EngineError:
            return record  # the engine went away; the total is in the usage
        parts: dict[str, int] = {}
        for segment, count in zip(segments, counts, strict=True):
            parts[segment.part] = parts.get(segment.part, 0) + count
        return msgspec.structs.replace(record, prompt_tokens=parts)


def _stores_used(batch: Sequence[tuple[str, AnswerRecord, Sequence[prompts.Segment]]]) -> dict[str, set[str]]:
    """Return by tenant the stores that were asked, whose expiry that postpones."""
    used: dict[str, set[str]] = {}
    for tenant, record, _ in batch:
        if record.epochs:
            used.setdefault(tenant, set()).update(record.epochs)
    return used
