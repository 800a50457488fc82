import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from structlog.testing import capture_logs

from gateway.answers.service import flush_records
from gateway.db import Database
from gateway.errors import InsufficientStorage, NotFound
from tests.gateway.answers.steps import Log
from tests.gateway.full_disk import full
from tests.waiting import until


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


async def test_a_flush_ends_though_nothing_is_written(log: Log) -> None:
    log.put()
    started = asyncio.get_running_loop().time()
    assert not await log.log.flush()
    assert asyncio.get_running_loop().time() - started < 2


@pytest.fixture
def impatient(database: Database) -> None:
    """Connections that wait for another process's write for a moment only, instead of ten seconds."""

    def shorten(connection: Any, _record: object, _proxy: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=20")
        cursor.close()

    event.listen(database.engine.sync_engine, "checkout", shorten)


@contextmanager
def locked(database: Database) -> Generator[None]:
    """Another process has the database for itself meanwhile."""
    other = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("number", [1, 3])
async def test_records_wait_for_a_database_that_is_locked_for_long(log: Log, number: int) -> None:
    async with log.writing():
        with locked(log.database):
            ids = [log.put() for _ in range(number)]
            assert not await log.log.flush()
        await until(log.log.flush)
        for id in ids:
            assert (await log.read(id)).id == id
    assert log.dropped == 0


@pytest.mark.parametrize("number", [1, 3])
async def test_records_wait_for_a_database_whose_disk_is_full(log: Log, number: int) -> None:
    large = {"filler": "x" * 100_000}  # there is room for a small one on the pages of the others
    async with log.writing():
        with full(log.database):
            ids = [log.put(usage=large) for _ in range(number)]
            await until(lambda: log.log.disk_is_full)
            started = asyncio.get_running_loop().time()
            with pytest.raises(InsufficientStorage):
                await flush_records(log.log)
            assert asyncio.get_running_loop().time() - started < 0.5  # half of what a flush waits for a locked one
        await until(lambda: log.log._settled == number)
        for id in ids:
            assert (await log.read(id)).usage == large
    assert log.dropped == 0


async def test_records_that_a_process_takes_with_it_are_counted_and_told(log: Log) -> None:
    async with log.writing():
        with capture_logs() as lines, full(log.database):
            for _ in range(3):
                log.put(usage={"filler": "x" * 100_000})
            await until(lambda: log.log.disk_is_full)
            await log.log.close()
    assert log.dropped == 3
    assert [line["records"] for line in lines if line["event"] == "answer_records_lost"] == [3]


async def test_a_close_with_nothing_left_loses_nothing(log: Log) -> None:
    async with log.writing():
        id = log.put()
        with capture_logs() as lines:
            await log.log.close()
    assert (await log.read(id)).id == id
    assert (log.dropped, lines) == (0, [])


@pytest.mark.usefixtures("impatient")
async def test_what_comes_while_the_database_is_locked_is_kept_but_for_what_it_refuses(log: Log) -> None:
    async with log.writing():
        with locked(log.database):
            first = log.put()
            await asyncio.sleep(0.1)
            log.put(usage={"tokens": object()})
            second = log.put("harbor")
            await asyncio.sleep(0.2)
        assert await log.log.flush()
        assert (await log.read(first)).id == first
        assert (await log.read(second, "harbor")).id == second
    assert log.dropped == 1
