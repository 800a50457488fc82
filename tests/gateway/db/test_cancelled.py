"""A unit of work that is cancelled, wherever it waits just then, leaves the database to the others."""

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway.db import Database, open_database
from tests.gateway.answering.steps import interrupted
from tests.gateway.conftest import from_nothing_on_both_databases

COUNT = text("UPDATE counts SET n = n + 1")


async def write(database: Database) -> None:
    async with database.begin() as session:
        await session.execute(COUNT)
        await session.execute(text("SELECT n FROM counts"))


@from_nothing_on_both_databases
@pytest.mark.parametrize("fresh", [True, False])
async def test_a_write_that_is_cancelled_wherever_it_waits_locks_nobody_out(empty_database: str, fresh: bool) -> None:
    async with open_database(empty_database) as database:
        async with database.begin() as session:
            await session.execute(text("CREATE TABLE counts (n INTEGER)"))
            await session.execute(text("INSERT INTO counts VALUES (0)"))
        step, reached = 0, True
        while reached:
            reached = False
            if fresh:
                await database.engine.dispose()

            def strike() -> None:
                nonlocal reached
                reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

            async def run(step: int = step) -> None:
                await interrupted(write(database), step, strike)

            # What was raised is kept, as a log or a debugger would: nothing may depend on its collection.
            errors = await asyncio.gather(asyncio.create_task(run()), return_exceptions=True)
            began = time.monotonic()
            await write(database)
            assert time.monotonic() - began < 9, f"at step {step}, {errors}"
            step += 1
        assert step > 2


@pytest.mark.parametrize("cancels", [1, 2, 3])
def test_a_driver_at_work_for_a_cancelled_task_has_ended_when_the_database_is_closed(
    tmp_path: Path, cancels: int
) -> None:
    slow = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000) SELECT count(*) FROM n")

    async def run() -> None:
        async def read() -> None:
            async with database.read() as session:
                await session.execute(slow)

        async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'braid.db'}") as database:
            reading = asyncio.create_task(read())
            for _ in range(cancels):
                await asyncio.sleep(0.05)
                reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    before = set(threading.enumerate())
    asyncio.run(run())
    assert {
        thread.name for thread in set(threading.enumerate()) - before if "connection_worker" in thread.name
    } == set()


def test_a_driver_that_connects_for_a_cancelled_task_has_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def connect_slowly(*arguments: Any, **options: Any) -> sqlite3.Connection:
        time.sleep(0.3)
        return connect(*arguments, **options)

    async def run() -> None:
        async def read() -> None:
            async with database.read() as session:
                await session.execute(text("SELECT 1"))

        async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'braid.db'}") as database:
            reading = asyncio.create_task(read())
            await asyncio.sleep(0.1)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    monkeypatch.setattr("sqlite3.connect", connect_slowly)
    before = set(threading.enumerate())
    asyncio.run(run())
    assert [thread.name for thread in set(threading.enumerate()) - before if "worker" in thread.name] == []
