import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gateway.answers import counts
from gateway.answers.record import UncountedAnswer
from gateway.answers.repository import AnswerRepository
from gateway.db import Database
from prompts import Segment
from tests.gateway.answers.steps import Log

SEGMENTS = [Segment("system", "You answer."), Segment("passage", "31"), Segment("passage", "42 months")]


async def test_parts_are_counted_after_the_answer(log: Log) -> None:
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        await log.wait_for_counts()
    assert (await log.read(id)).prompt_tokens == {"system": 2, "passage": 3}


async def test_a_record_is_kept_without_parts_when_the_engine_is_gone(log: Log) -> None:
    log.counter.failing = True
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        await log.wait_for_counts()
    assert (await log.read(id)).prompt_tokens is None
    assert log.dropped == 0


def event(*deltas: dict[str, Any]) -> bytes:
    return json.dumps({"choices": [{"index": index, "delta": delta} for index, delta in enumerate(deltas)]}).encode()


async def test_the_usage_of_an_answer_that_was_left_is_counted_from_what_came(log: Log) -> None:
    """An event may hold several tokens, and several choices; a call of a tool is generated too."""
    events = (
        event({"role": "assistant", "content": ""}, {"content": "one"}),
        event({"content": "one two three "}, {"content": " two"}),
        b"{",
        event({"content": "four"}, {"tool_calls": [{"function": {"name": "find ", "arguments": "it"}}]}),
    )
    async with log.writing():
        id = log.put(uncounted=UncountedAnswer(b"a prompt of five words", events, 4), outcome="abandoned")
        plain = log.put(uncounted=UncountedAnswer(b"a prompt"), outcome="abandoned")
        long = log.put(uncounted=UncountedAnswer(b"a prompt", events, 40), outcome="abandoned")
        await log.wait_for_counts()
    # "one two three four" and "one twofind it"
    assert (await log.read(id)).usage == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    assert (await log.read(plain)).usage == {"prompt_tokens": 2}
    assert (await log.read(long)).usage == {"prompt_tokens": 2, "completion_tokens": 70, "total_tokens": 72}
    assert 'braid_chat_tokens_total{kind="prompt"} 9.0' in log.metrics.render_text().decode()


async def test_usage_stays_unknown_when_the_engine_is_gone(log: Log) -> None:
    log.counter.failing = True
    async with log.writing():
        id = log.put(uncounted=UncountedAnswer(b"a prompt", (event({"content": "one"}),), 1), outcome="interrupted")
        await log.wait_for_counts()
    assert (await log.read(id)).usage is None


async def test_a_record_tells_whether_its_counts_are_known(log: Log) -> None:
    async with log.writing():
        plain, counted = log.put(), log.put(segments=SEGMENTS)
        await log.wait_for_counts()
        log.counter.failing = True
        failed = log.put(segments=SEGMENTS)
        await log.wait_for_counts()
    assert [(await log.read(id)).counts for id in (plain, counted, failed)] == ["known", "known", "unknown"]
    assert log.uncounted == 1


async def test_what_is_counted_in_time_is_written_with_the_record(log: Log) -> None:
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        await log.log.flush()
        record = await log.read(id)
    assert (record.counts, record.prompt_tokens) == ("known", {"system": 2, "passage": 3})


async def test_parts_that_were_counted_before_wait_for_no_engine(log: Log) -> None:
    log.counter.remembered = log.counter.failing = True
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        await log.log.flush()
        record = await log.read(id)
    assert (record.counts, record.prompt_tokens) == ("known", {"system": 2, "passage": 3})


@pytest.mark.parametrize("seconds", [0.05, 5])
async def test_records_do_not_wait_for_a_slow_counter(database: Database, seconds: float) -> None:
    """A counter of 5 s is one that hangs; what can't be counted doesn't hold up what is written."""
    log = Log(database, max_counts=20)
    log.counter.seconds = seconds
    waits: list[float] = []

    async def ask() -> None:
        id, started = log.put(segments=SEGMENTS), time.perf_counter()
        assert await log.log.flush()
        assert (await log.read(id)).id == id
        waits.append(time.perf_counter() - started)

    async with log.writing(), asyncio.TaskGroup() as group:
        for _ in range(90):
            group.create_task(ask())
            await asyncio.sleep(1 / 60)
    assert len(waits) == 90
    assert max(waits) < 1
    assert log.dropped == 0
    assert (log.uncounted == 70) is (seconds == 5)


async def test_counts_that_come_late_are_written_over_the_record(log: Log) -> None:
    log.counter.seconds = 0.3
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        assert await log.log.flush()
        first = await log.read(id)
        await log.wait_for_counts()
        later = await log.read(id)
    assert (first.counts, first.prompt_tokens) == ("pending", None)
    assert later == msgspec.structs.replace(first, counts="known", prompt_tokens={"system": 2, "passage": 3})


async def test_records_beyond_the_queue_of_counts_are_written_without(database: Database) -> None:
    log = Log(database, max_counts=2)
    ids = [log.put(segments=SEGMENTS) for _ in range(5)]
    async with log.writing():
        await log.wait_for_counts()
    assert [(await log.read(id)).counts for id in ids] == ["known"] * 2 + ["unknown"] * 3
    assert (log.uncounted, log.dropped) == (3, 0)


async def test_counting_ends_at_its_time(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """What had been counted until then stays."""

    async def count_for_ever(texts: Sequence[str]) -> list[int]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("gateway.answers.log.COUNT_SECONDS", 2)
    monkeypatch.setattr(log.counter, "count", count_for_ever)
    async with log.writing():
        id = log.put(segments=SEGMENTS, uncounted=UncountedAnswer(b"a prompt"))
        await log.wait_for_counts()
    record = await log.read(id)
    assert (record.counts, record.usage, record.prompt_tokens) == ("unknown", {"prompt_tokens": 2}, None)


async def test_a_shutdown_does_not_wait_for_counts_and_leaves_them_unknown(log: Log) -> None:
    log.counter.seconds = 60
    async with log.writing():
        ids = [log.put(segments=SEGMENTS) for _ in range(10)]
        assert await log.log.flush()
        started = time.perf_counter()
        await log.counts.close()
        assert time.perf_counter() - started < 50
    assert {(await log.read(id)).counts for id in ids} == {"unknown"}
    assert log.uncounted == 10


async def test_a_shutdown_waits_a_moment_for_counts(log: Log) -> None:
    log.counter.seconds = 0.2
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        assert await log.log.flush()
        await log.counts.close()
    assert (await log.read(id)).counts == "known"


async def test_what_a_killed_process_was_counting_is_unknown_after_a_while(log: Log) -> None:
    log.counter.seconds = 60
    async with log.writing():
        recent, old = log.put(segments=SEGMENTS), log.put(segments=SEGMENTS, created=7)
        assert await log.log.flush()
    assert [(await log.read(id)).counts for id in (recent, old)] == ["pending", "unknown"]


async def test_counts_wait_for_a_database_whose_disk_is_full(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    refusals = iter([OperationalError("UPDATE", None, full)] * 2)
    update = AnswerRepository.update_rows

    async def refuse_twice(self: AnswerRepository, *conditions: Any, **values: Any) -> Any:
        for refusal in refusals:
            raise refusal
        return await update(self, *conditions, **values)

    monkeypatch.setattr(AnswerRepository, "update_rows", refuse_twice)
    monkeypatch.setattr(counts, "_RETRY_SECONDS", 0.01)
    log.counter.seconds = 0.2
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        await log.wait_for_counts()
    assert (await log.read(id)).counts == "known"
    assert next(refusals, None) is None


async def test_counts_that_cannot_be_written_end_no_worker(log: Log) -> None:
    log.counter.seconds = 0.2
    async with log.writing():
        lost = log.put(segments=SEGMENTS)
        assert await log.log.flush()
        async with log.database.begin() as session:
            await session.execute(text("ALTER TABLE answers RENAME TO elsewhere"))
        await log.wait_for_counts()
        async with log.database.begin() as session:
            await session.execute(text("ALTER TABLE elsewhere RENAME TO answers"))
        later = log.put(segments=SEGMENTS)
        await log.wait_for_counts()
    assert (await log.read(lost)).prompt_tokens is None
    assert (await log.read(later)).counts == "known"
