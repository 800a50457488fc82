"""Real worker processes: claimed once, killed at each step, resumed, given back."""

import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.db import Database
from gateway.jobs import JobRow, enqueue, wait_for
from gateway.jobs.repository import JobRepository
from gateway.tenants.repository import find_tenant
from tests.gateway.conftest import on_both_databases
from tests.gateway.forked import ForkedProgram, forked_program
from tests.gateway.jobs.conftest import TENANT
from tests.waiting import until

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def worker(
    database_url: str, log: Path, name: str = "w", crash_at: str = "", *, grace_seconds: float = 5.0
) -> AsyncIterator[ForkedProgram]:
    # Whoever dies is waited for that long; one that lives must not lose its lease to a busy machine.
    lease_seconds = 1.5 if crash_at else 60.0
    arguments = (database_url, str(log), name, str(grace_seconds), str(lease_seconds))
    program = "tests.gateway.jobs.worker_process"
    environment = {"BRAID_FAILPOINT": crash_at}
    async with forked_program(program, *arguments, environment=environment, log=log.with_suffix(".out")) as process:
        yield process


async def add(database: Database, queue_key: str = "key", **payload: Any) -> str:
    async with database.begin() as session:
        return (await enqueue(session, TENANT, kind="steps", queue_key=queue_key, subject="x", payload=payload)).id


async def wait_for_rows(database: Database, check: Callable[[list[JobRow]], bool]) -> list[JobRow]:
    """Return the jobs' rows as soon as they pass the check."""
    rows: list[JobRow] = []

    async def passes() -> bool:
        async with database.read() as session:
            rows[:] = await JobRepository(session, TENANT).list_all()
        return check(rows)

    await until(passes, 60)
    return rows


@on_both_databases
async def test_many_processes_claim_each_job_once(database: Database, database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with database.begin() as session:
        for number in range(200):
            queue_key = f"key{number % 50}"
            await enqueue(session, TENANT, kind="steps", queue_key=queue_key, subject="x", payload={"steps": 1})
    async with AsyncExitStack() as stack:
        for number in range(4):
            await stack.enter_async_context(worker(database_url, log, f"w{number}"))
        rows = await wait_for_rows(database, lambda rows: all(row.status == "succeeded" for row in rows))
    assert {row.fence for row in rows} == {1}
    assert Counter(log.read_text().split("\n")[:-1]) == {f"{row.id} 0": 1 for row in rows}


@pytest.mark.parametrize(
    ("crash_at", "steps"),
    [
        ("claimed", "0 1 2"),
        ("noted-0", "0 0 1 2"),
        ("saved-0", "0 1 2"),
        ("noted-1", "0 1 1 2"),
        ("saved-2", "0 1 2"),
        ("done", "0 1 2"),
        ("ended", "0 1 2"),
    ],
)
async def test_a_killed_workers_job_resumes_where_it_was_saved(
    database: Database, database_url: str, tmp_path: Path, crash_at: str, steps: str
) -> None:
    log = tmp_path / "log"
    job = await add(database)
    async with worker(database_url, log, crash_at=crash_at) as process:
        assert await process.wait() == -signal.SIGKILL
    async with worker(database_url, log):
        row = await wait_for(database, TENANT, job, 60)
    assert row.status == "succeeded"
    assert row.running_key is None
    assert [line.split()[1] for line in log.read_text().splitlines()] == steps.split()


async def test_a_job_that_kills_its_worker_each_time_fails_with_a_reason(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    job = await add(database)
    for _ in range(3):
        async with worker(database_url, tmp_path / "log", crash_at="noted-0") as process:
            assert await process.wait() == -signal.SIGKILL
    async with worker(database_url, tmp_path / "log"):
        row = await wait_for(database, TENANT, job, 60)
    assert row.status == "failed"
    assert row.error is not None
    assert "died in each of 3 attempts" in row.error["message"]
    async with database.read() as session:
        assert await find_tenant(session, f"{job}-failed") is not None, "the subject must be told too"


async def test_a_worker_killed_while_failing_leaves_subject_and_job_that_agree(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    job = await add(database, broken=True)
    async with worker(database_url, tmp_path / "log", crash_at="done") as process:
        assert await process.wait() == -signal.SIGKILL
    async with database.read() as session:
        assert await find_tenant(session, f"{job}-failed") is None
    async with worker(database_url, tmp_path / "log"):
        row = await wait_for(database, TENANT, job, 60)
    assert (row.status, row.error) == ("failed", {"code": "invalid_file", "message": "It is broken."})
    async with database.read() as session:
        assert await find_tenant(session, f"{job}-failed") is not None


@pytest.mark.parametrize("grace_seconds", [0.0, 0.3])
async def test_sigterm_gives_the_job_back(
    database: Database, database_url: str, tmp_path: Path, grace_seconds: float
) -> None:
    job = await add(database, steps=1, seconds=60)
    async with worker(database_url, tmp_path / "log", grace_seconds=grace_seconds) as process:
        await wait_for_rows(database, lambda rows: rows[0].state == {"next": 1})
        process.terminate()
        assert await process.wait() == 0
    async with database.read() as session:
        row = await JobRepository(session, TENANT).get(job)
    assert (row.status, row.attempts, row.lease_until, row.running_key) == ("queued", 0, None, None)
    assert row.state == {"next": 1}
    async with worker(database_url, tmp_path / "log", "other"):
        # It goes on behind the step that was saved, without the long sleep.
        assert (await wait_for(database, TENANT, job, 60)).status == "succeeded"
