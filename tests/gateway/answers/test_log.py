import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gateway.answers.log import AnswerLog
from gateway.answers.record import AnswerRecord, Timings, UncountedAnswer
from gateway.answers.service import AnswerService, CitedDocuments
from gateway.db import Database, open_database
from gateway.engines import EngineUnreachable
from gateway.errors import NotFound
from gateway.ids import new_id
from gateway.metrics import Metrics
from gateway.migrations import migrate
from prompts import Segment
from tests.waiting import until

SEGMENTS = [Segment("system", "You answer."), Segment("passage", "31"), Segment("passage", "42 months")]


class Counter:
    """Counts a text's words; told to fail, it fails like an engine that went away."""

    failing = False

    async def count(self, texts: Sequence[str]) -> list[int]:
        if self.failing:
            raise EngineUnreachable("http://engine: gone", "connect")
        return [len(text.split()) for text in texts]

    async def count_prompt(self, body: bytes) -> int:
        if self.failing:
            raise EngineUnreachable("http://engine: gone", "connect")
        return len(body.split())


class Stores:
    """Remembers the stores whose expiry was postponed."""

    def __init__(self) -> None:
        self.touched: list[tuple[str, list[str]]] = []
        self.failing = False

    async def touch(self, tenant: str, stores: Sequence[str]) -> None:
        if self.failing:
            raise OperationalError("UPDATE", None, Exception("locked"))
        self.touched.append((tenant, list(stores)))


class Log:
    """An answer log on a real database, with its writer running or not."""

    def __init__(self, database: Database, max_waiting: int = 100) -> None:
        self.database = database
        self.counter, self.stores, self.metrics = Counter(), Stores(), Metrics()
        self.log = AnswerLog(
            database,
            self.counter,  # type: ignore[arg-type]
            self.stores.touch,
            self.metrics,
            max_waiting=max_waiting,
        )

    @property
    def dropped(self) -> float:
        """The number of lost records as an operator reads it."""
        lines = self.metrics.text().decode().splitlines()
        return float(next(line for line in lines if line.startswith("braid_answer_records_dropped_total ")).split()[1])

    def put(
        self,
        tenant: str = "kestrel",
        segments: Sequence[Segment] = (),
        uncounted: UncountedAnswer | None = None,
        **change: Any,
    ) -> str:
        values: dict[str, Any] = {
            "id": new_id("chatcmpl-"), "created": 7, "model": "support", "release": None, "fingerprint": None,
            "index_epochs": {}, "retrieval": "off", "passages": [], "dropped_passages": [], "dropped_turns": 0,
            "prompt_tokens": None, "replica": "", "timings": Timings(None, 1, 2, 3), "usage": None,
            "outcome": "completed", "stream": False,
        }  # fmt: skip
        record = AnswerRecord(**{**values, **change})
        self.log.put(tenant, record, segments, uncounted)
        return record.id

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        writer = asyncio.create_task(self.log.run())
        try:
            yield
            assert not writer.done()
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def read(self, id: str, tenant: str = "kestrel") -> AnswerRecord:
        async with self.database.read() as session:
            return await AnswerService(session, tenant, CitedDocuments(_find_all)).get(id)


async def _find_all(_session: object, _tenant: str, documents: Collection[str]) -> set[str]:
    return set(documents)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'braid.db'}") as opened:
        await migrate(opened)
        async with opened.begin() as session:
            for tenant in ("kestrel", "harbor"):
                await session.execute(
                    text("INSERT INTO tenants (id, name, created_at) VALUES (:id, :id, 1)"), {"id": tenant}
                )
        yield opened


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


async def test_records_of_several_tenants_are_written_together_and_read_apart(log: Log) -> None:
    async with log.writing():
        mine, other = log.put(), log.put("harbor")
        await log.log.flush()
        assert (await log.read(mine)).id == mine
        assert (await log.read(other, "harbor")).id == other
        with pytest.raises(NotFound):
            await log.read(other)
    assert log.dropped == 0


async def test_a_flush_with_nothing_to_write_returns_at_once(log: Log) -> None:
    await asyncio.wait_for(log.log.flush(), 0.01)


async def test_a_flush_does_not_wait_for_records_that_come_later(log: Log) -> None:
    async with log.writing():
        log.put()
        flushing = asyncio.create_task(log.log.flush())
        while not flushing.done():
            log.put()
            await asyncio.sleep(0.01)
        await flushing


async def test_parts_are_counted_after_the_answer(log: Log) -> None:
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        await log.log.flush()
    assert (await log.read(id)).prompt_tokens == {"system": 2, "passage": 3}


async def test_a_record_is_kept_without_parts_when_the_engine_is_gone(log: Log) -> None:
    log.counter.failing = True
    async with log.writing():
        id = log.put(segments=SEGMENTS)
        await log.log.flush()
    assert (await log.read(id)).prompt_tokens is None
    assert log.dropped == 0


async def test_records_beyond_the_queue_are_dropped_and_counted(database: Database) -> None:
    log = Log(database, max_waiting=3)
    ids = [log.put() for _ in range(5)]
    assert log.dropped == 2
    async with log.writing():
        await log.log.flush()
        for id in ids[:3]:
            assert (await log.read(id)).id == id
    for id in ids[3:]:
        with pytest.raises(NotFound):
            await log.read(id)


async def test_records_are_dropped_and_counted_while_the_database_fails_and_kept_again_after(log: Log) -> None:
    async with log.writing():
        async with log.database.begin() as session:
            await session.execute(text("ALTER TABLE answers RENAME TO elsewhere"))
        lost = [log.put() for _ in range(3)]
        await log.log.flush()
        assert log.dropped == 3
        async with log.database.begin() as session:
            await session.execute(text("ALTER TABLE elsewhere RENAME TO answers"))
        later = log.put()
        await log.log.flush()
        assert (await log.read(later)).id == later
        assert log.dropped == 3
    with pytest.raises(NotFound):
        await log.read(lost[0])


async def test_the_writer_survives_a_record_that_cannot_be_encoded(log: Log) -> None:
    async with log.writing():
        log.put(usage={"tokens": object()})
        await log.log.flush()
        assert log.dropped == 1
        good = log.put()
        await log.log.flush()
        assert (await log.read(good)).id == good


async def test_a_record_that_cannot_be_written_takes_no_other_with_it(log: Log) -> None:
    good = [log.put(), log.put("harbor")]
    log.put(usage={"tokens": object()})
    good.append(log.put("harbor"))
    async with log.writing():
        await log.log.flush()
    assert log.dropped == 1
    for id, tenant in zip(good, ("kestrel", "harbor", "harbor"), strict=True):
        assert (await log.read(id, tenant)).id == id


async def test_stores_that_were_asked_are_touched_once_per_batch(log: Log) -> None:
    for tenant, stores in (("kestrel", {"vs_1": 3}), ("kestrel", {"vs_2": 1, "vs_1": 3}), ("harbor", {"vs_9": 0})):
        log.put(tenant, index_epochs=stores)
    async with log.writing():
        await until(lambda: len(log.stores.touched) == 2)
    assert log.stores.touched == [("kestrel", ["vs_1", "vs_2"]), ("harbor", ["vs_9"])]


async def test_a_store_that_cannot_be_touched_costs_no_record(log: Log) -> None:
    log.stores.failing = True
    async with log.writing():
        id = log.put(index_epochs={"vs_1": 3})
        await log.log.flush()
        assert (await log.read(id)).index_epochs == {"vs_1": 3}
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
        await log.log.flush()
    # "one two three four" and "one twofind it"
    assert (await log.read(id)).usage == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    assert (await log.read(plain)).usage == {"prompt_tokens": 2}
    assert (await log.read(long)).usage == {"prompt_tokens": 2, "completion_tokens": 70, "total_tokens": 72}
    assert 'braid_chat_tokens_total{kind="prompt"} 9.0' in log.metrics.text().decode()


async def test_usage_stays_unknown_when_the_engine_is_gone(log: Log) -> None:
    log.counter.failing = True
    async with log.writing():
        id = log.put(uncounted=UncountedAnswer(b"a prompt", (event({"content": "one"}),), 1), outcome="interrupted")
        await log.log.flush()
    assert (await log.read(id)).usage is None
