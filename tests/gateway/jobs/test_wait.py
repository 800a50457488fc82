"""However many wait for jobs, one task asks, and nobody asks when nobody waits."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, update

from gateway.db import Database
from gateway.jobs import JobRow, enqueue, wait_for
from gateway.jobs.claim import claim_next
from gateway.jobs.wait import _pollers

TENANT = "ten_a"


async def add(database: Database, number: int = 0) -> str:
    async with database.begin() as session:
        row = await enqueue(session, TENANT, kind="k", queue_key=f"k{number}", subject="s", payload={})
        return row.id


async def end(database: Database, job: str) -> None:
    async with database.begin() as session:
        await session.execute(update(JobRow).where(JobRow.id == job).values(status="succeeded"))


@contextmanager
def statements(database: Database) -> Generator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_an_end_is_noticed_by_all_who_wait_for_it_and_by_nobody_else(database: Database) -> None:
    one, other = await add(database, 1), await add(database, 2)
    waiting = [asyncio.create_task(wait_for(database, TENANT, one, 30)) for _ in range(3)]
    longer = asyncio.create_task(wait_for(database, TENANT, other, 1.5))
    await asyncio.sleep(0.05)
    await end(database, one)
    assert [row.status for row in await asyncio.gather(*waiting)] == ["succeeded"] * 3
    assert not longer.done()
    assert (await longer).status == "queued"


async def test_many_who_wait_cost_what_one_costs(database: Database) -> None:
    jobs = [await add(database, number) for number in range(40)]
    with statements(database) as seen:
        await asyncio.gather(*(wait_for(database, TENANT, job, 0.55) for job in jobs))
    # Each looks its own job up at the beginning and at the end, and in between one asks for all.
    assert len(seen) <= 2 * len(jobs) + 7


async def test_a_worker_of_the_same_process_says_when_a_job_has_ended(database: Database) -> None:
    job = await add(database)
    claim = await claim_next(database, kinds=["k"], worker="w", lease_seconds=10)
    assert claim is not None
    with statements(database) as seen:
        waiting = asyncio.create_task(wait_for(database, TENANT, job, 60))
        await asyncio.sleep(0.02)
        async with claim.end("succeeded", None):
            pass
        assert (await waiting).status == "succeeded"
    assert not any(" IN " in statement for statement in seen), "the job table wasn't asked for what is awaited"


async def test_who_waits_for_long_asks_seldomer(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.wait._POLL_SECONDS", 0.01)
    monkeypatch.setattr("gateway.jobs.wait._PATIENCE", 1)
    job = await add(database)
    with statements(database) as seen:
        await wait_for(database, TENANT, job, 1.2)
    assert len(seen) <= 2 + 12


async def test_nobody_asks_when_nobody_waits(database: Database) -> None:
    job = await add(database)
    waiting = asyncio.create_task(wait_for(database, TENANT, job, 60))
    await asyncio.sleep(0.15)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with statements(database) as seen:
        await asyncio.sleep(0.3)
        assert seen == []
    assert _pollers[database]._waiting == {}
    again = asyncio.create_task(wait_for(database, TENANT, job, 30))
    await asyncio.sleep(0.05)
    await end(database, job)
    assert (await again).status == "succeeded"
