"""One worker in this process, with handlers that the tests script."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
import structlog
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import NotFound, TooManyRequests
from gateway.jobs import (
    CLOCK_SKEW_SECONDS,
    Claim,
    JobCancelled,
    JobDelayed,
    JobFailed,
    JobRow,
    LeaseLost,
    Outcome,
    Worker,
    WorkerTimings,
    cancel,
    enqueue,
    find_delay,
    wait_for,
    wake_jobs,
)
from gateway.jobs.claim import claim_next
from gateway.jobs.repository import JobRepository, change
from gateway.tenants.repository import find_tenant
from gateway.tenants.tables import TenantRow
from tests.gateway.conftest import on_both_databases
from tests.gateway.jobs.conftest import TENANT
from tests.waiting import until


class Scripted:
    def __init__(self, run: Callable[[Claim], Awaitable[None]]) -> None:
        self._run = run
        self.outcomes: list[Outcome] = []

    async def run(self, claim: Claim) -> None:
        await self._run(claim)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@asynccontextmanager
async def scripted_worker(
    database: Database,
    handlers: dict[str, Any],
    *,
    slots: int = 2,
    urgent_slots: int = 0,
    lease_seconds: float = 15.0,
    end_seconds: float = 30.0,
) -> AsyncIterator[Worker]:
    timings = WorkerTimings(
        lease_seconds=lease_seconds,
        idle_seconds=0.02,
        trouble_seconds=0.02,
        grace_seconds=0.0,
        end_seconds=end_seconds,
        pauses=(0.01, 0.01),
    )
    worker = Worker(database, handlers, name="w", slots=slots, urgent_slots=urgent_slots, timings=timings)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


class Looks:
    """Counts how often a worker looks for work, and renews a lease; `pass_by` waits for a few looks."""

    def __init__(self, database: Database) -> None:
        self.statements: list[tuple[str, Any]] = []
        self.renewals: list[str] = []
        self._engine = database.engine.sync_engine

    def __enter__(self) -> "Looks":
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *error: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    async def pass_by(self, looks: int = 3) -> None:
        seen = len(self.statements)
        await until(lambda: len(self.statements) >= seen + 2 * looks)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT") and "FROM jobs" in statement and "status = ?" in statement:
            self.statements.append((statement, parameters))
        elif "cancel_requested" in statement:
            self.renewals.append(statement)


async def status_of(database: Database, job: str) -> JobRow:
    async with database.read() as session:
        return await JobRepository(session, TENANT).get(job)


async def add(
    database: Database, kind: str = "k", queue_key: str = "key", *, urgent: bool = False, **payload: Any
) -> str:
    work: dict[str, Any] = {"kind": kind, "queue_key": queue_key, "subject": "s", "payload": payload}
    async with database.begin() as session:
        return (await enqueue(session, TENANT, urgent=urgent, **work)).id


async def take(database: Database, lease_seconds: float = 30, worker: str = "w") -> Claim | None:
    return await claim_next(database, kinds=["k"], worker=worker, lease_seconds=lease_seconds)


async def expire(database: Database, job: str) -> None:
    async with database.begin() as session:
        assert await change(session, JobRow.id == job, lease_until=0.0)


@on_both_databases
async def test_a_handler_gets_the_job_and_the_job_succeeds(database: Database) -> None:
    seen: list[Any] = []

    async def run(claim: Claim) -> None:
        seen.append((claim.tenant, claim.kind, claim.subject, claim.payload, claim.state, claim.attempts))

    async with scripted_worker(database, {"k": Scripted(run)}):
        row = await wait_for(database, TENANT, await add(database, number=1), 60)
    assert row.status == "succeeded"
    assert row.finished_at is not None
    assert seen == [(TENANT, "k", "s", {"number": 1}, {}, 1)]


async def test_an_enqueued_job_exists_only_with_its_transaction(database: Database) -> None:
    async def regret() -> None:
        async with database.begin() as session:
            await enqueue(session, TENANT, kind="k", queue_key="l", subject="s", payload={})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await regret()
    assert await take(database) is None


async def test_a_job_that_gets_further_may_lose_more_leases_than_it_has_attempts(database: Database) -> None:
    """Hours of work on a busy machine lose some; one that stands still at the same place ends its worker there."""
    job = await add(database)
    for step in range(6):
        claim = await take(database)
        assert claim is not None
        assert (claim.attempts, claim.state) == ((1, {}) if step == 0 else (2, {"step": step - 1}))
        await claim.save({"step": step}, further=True)
        await expire(database, job)
    for attempt in (2, 3, 4):
        claim = await take(database)
        assert claim is not None
        assert claim.attempts == attempt
        await claim.save(claim.state)
        await expire(database, job)


async def test_a_final_failure_is_not_tried_again(database: Database) -> None:
    attempts: list[int] = []

    async def run(claim: Claim) -> None:
        attempts.append(claim.attempts)
        raise JobFailed("invalid_file", "No.")

    handler = Scripted(run)
    async with scripted_worker(database, {"k": handler}):
        row = await wait_for(database, TENANT, await add(database), 60)
    assert (row.status, row.error) == ("failed", {"code": "invalid_file", "message": "No."})
    assert attempts == [1]
    assert [outcome.status for outcome in handler.outcomes] == ["failed"]


async def test_an_unexpected_failure_is_tried_three_times(database: Database) -> None:
    attempts: list[int] = []

    async def run(claim: Claim) -> None:
        attempts.append(claim.attempts)
        raise ValueError("odd")

    async with scripted_worker(database, {"k": Scripted(run)}):
        row = await wait_for(database, TENANT, await add(database), 60)
    assert attempts == [1, 2, 3]
    assert row.error == {
        "code": "server_error",
        "message": "It failed in each of 3 attempts, the last with ValueError: odd",
    }


async def test_a_fault_of_the_database_tells_the_owner_no_statement(database: Database) -> None:
    async def run(claim: Claim) -> None:
        raise IntegrityError("INSERT INTO passages", {}, Exception("UNIQUE constraint failed: passages.key"))

    async with scripted_worker(database, {"k": Scripted(run)}):
        row = await wait_for(database, TENANT, await add(database), 60)
    assert row.error is not None
    assert row.error["message"].endswith("the last with an error of the database (IntegrityError)")


async def test_a_delayed_job_comes_again_as_often_as_it_must(database: Database) -> None:
    attempts: list[int] = []

    async def run(claim: Claim) -> None:
        attempts.append(claim.attempts)
        if len(attempts) < 6:
            raise JobDelayed("the retriever is away", seconds=0.01)

    async with scripted_worker(database, {"k": Scripted(run)}):
        row = await wait_for(database, TENANT, await add(database), 60)
    assert row.status == "succeeded"
    assert attempts == [1] * 6


async def test_the_pauses_of_a_job_that_is_delayed_again_and_again_grow_up_to_the_longest(database: Database) -> None:
    pauses: list[float] = []

    async def run(claim: Claim) -> None:
        pauses.append(claim.last_delay)
        if len(pauses) < 6:
            raise JobDelayed("the index is full", seconds=0.01, longest=0.05)

    async with scripted_worker(database, {"k": Scripted(run)}):
        row = await wait_for(database, TENANT, await add(database), 60)
    assert row.status == "succeeded"
    assert pauses == [0, 0.01, 0.02, 0.04, 0.05, 0.05]


async def test_a_postponed_job_waits(database: Database) -> None:
    await add(database)
    claim = await take(database)
    assert claim is not None
    await claim.release(pause=60)
    assert await take(database) is None


@on_both_databases
async def test_an_expired_lease_passes_on_and_the_old_holder_can_write_nothing(database: Database) -> None:
    job = await add(database)
    old = await take(database)
    assert old is not None
    await old.save({"step": 3})
    assert await take(database) is None, "a running job is nobody else's"
    await expire(database, job)
    new = await take(database)
    assert new is not None
    assert (new.id, new.state, new.attempts) == (job, {"step": 3}, 2)

    async def write(claim: Claim, name: str) -> None:
        async with claim.begin() as session:
            session.add(TenantRow(id=name, name=name, created_at=0))

    with pytest.raises(LeaseLost):
        await write(old, "by-the-old-one")
    with pytest.raises(LeaseLost):
        await old.save({"step": 4})
    with pytest.raises(LeaseLost):
        async with old.end("succeeded", None):
            pass
    with pytest.raises(LeaseLost):
        await old.release()
    await write(new, "by-the-new-one")
    async with database.read() as session:
        assert await find_tenant(session, "by-the-old-one") is None
        assert await find_tenant(session, "by-the-new-one") is not None
        row = await JobRepository(session, TENANT).get(job)
    assert (row.status, row.state) == ("running", {"step": 3})


HOUR = 3600.0


@contextmanager
def clock_ahead() -> Generator[None]:
    """Let the wall clock be an hour ahead, until it is set back at the block's end."""
    with pytest.MonkeyPatch.context() as patch:
        right = time.time
        patch.setattr(time, "time", lambda: right() + HOUR)
        yield


async def wake(database: Database, now: float | None = None) -> int:
    async with database.begin() as session:
        return await wake_jobs(session, time.time() if now is None else now)


@on_both_databases
async def test_a_clock_that_was_ahead_holds_no_job_of_a_dead_worker_for_longer(database: Database) -> None:
    with clock_ahead():
        job = await add(database)
        assert await take(database) is not None
        assert await wake(database) == 0
    assert await wake(database) == 1
    assert await take(database) is None, "its holder may live, and has time to renew it"
    with pytest.MonkeyPatch.context() as patch:
        minute_later = time.time() + CLOCK_SKEW_SECONDS + 1
        patch.setattr(time, "time", lambda: minute_later)
        claim = await take(database)
    assert claim is not None
    assert claim.id == job


@on_both_databases
async def test_a_clock_that_was_ahead_lets_no_job_wait_for_longer(database: Database) -> None:
    with clock_ahead():
        await add(database)
        claim = await take(database)
        assert claim is not None
        await claim.release(pause=2.0)
        async with database.begin() as session:
            values = {"kind": "k", "queue_key": "b", "subject": "b", "payload": {}, "delay_seconds": 30.0}
            await enqueue(session, TENANT, **values)
    async with database.begin() as session:
        usual = await enqueue(session, TENANT, **values | {"queue_key": "c", "delay_seconds": HOUR})
    assert await take(database) is None
    assert await wake(database) == 2
    claims = [await take(database) for _ in range(3)]
    assert [claim is not None for claim in claims] == [True, True, False]
    assert usual.id not in {claim.id for claim in claims if claim is not None}
    assert await wake(database) == 0, "once is enough"


@on_both_databases
async def test_a_clock_that_was_a_year_ahead_puts_no_job_behind_all_later_ones(database: Database) -> None:
    year_ahead = int((time.time() + 365 * 86_400) * 1_000_000)
    early, later = await add(database, number=1), await add(database, number=2)
    async with database.begin() as session:
        for number, id in enumerate((early, later)):
            place = f"{year_ahead + number:013x}{id[-12:]}"
            assert await change(session, JobRow.id == id, place=place)
    usual = await add(database, number=3)
    assert await wake(database, time.time() - 1) == 2
    order: list[str] = []
    while (claim := await take(database)) is not None:
        order.append(claim.id)
        async with claim.end("succeeded", None):
            pass
    assert order == [early, later, usual]
    assert await wake(database) == 0, "once is enough"


@on_both_databases
async def test_a_clock_that_was_ahead_puts_no_tenant_behind_another_s_thousands(database: Database) -> None:
    with clock_ahead():
        await add(database, queue_key="before")
        assert await take(database) is not None
    await add(database, queue_key="a")
    async with database.begin() as session:
        for number in range(3):
            await enqueue(session, "ten_b", kind="k", queue_key=f"b{number}", subject="s", payload={})
    tenants = [claim.tenant for claim in [await take(database) for _ in range(3)] if claim is not None]
    assert sorted(tenants[:2]) == [TENANT, "ten_b"]


async def test_an_expired_lease_is_not_taken_twice(database: Database) -> None:
    job = await add(database)
    assert await take(database)
    await expire(database, job)
    claims = await asyncio.gather(*(take(database, worker=f"w{number}") for number in range(8)))
    assert sum(claim is not None for claim in claims) == 1


async def test_losing_the_lease_stops_the_handler(database: Database) -> None:
    stopped = asyncio.Event()
    running = asyncio.Event()

    async def run(claim: Claim) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    job = await add(database)
    async with scripted_worker(database, {"k": Scripted(run)}, lease_seconds=0.3):
        await running.wait()
        async with database.begin() as session:
            assert await change(session, JobRow.id == job, fence=JobRow.fence + 1, lease_until=2.0**40)
        async with asyncio.timeout(60):
            await stopped.wait()
    async with database.read() as session:
        assert (await JobRepository(session, TENANT).get(job)).status == "running", "it is the other worker's"


async def test_the_heartbeat_keeps_a_job_for_longer_than_its_lease(database: Database) -> None:
    async def run(claim: Claim) -> None:
        first = (await status_of(database, claim.id)).lease_until or 0.0
        while ((await status_of(database, claim.id)).lease_until or 0.0) < first + 4.5:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async with scripted_worker(database, {"k": Scripted(run)}, lease_seconds=4):
        job = await add(database)
        row = await wait_for(database, TENANT, job, 60)
    assert (row.status, row.attempts, row.fence) == ("succeeded", 1, 1)


async def test_a_worker_that_stood_still_for_longer_than_its_lease_goes_on_with_its_job(database: Database) -> None:
    async def run(claim: Claim) -> None:
        await asyncio.sleep(0.1)  # the heartbeat sleeps
        time.sleep(3.5)  # noqa: ASYNC251  # as where the process is paused
        before = (await status_of(database, claim.id)).lease_until or 0.0
        async with asyncio.timeout(60):
            while (await status_of(database, claim.id)).lease_until == before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async with scripted_worker(database, {"k": Scripted(run)}, lease_seconds=3):
        row = await wait_for(database, TENANT, await add(database), 60)
    assert (row.status, row.attempts, row.fence) == ("succeeded", 1, 1)


@contextmanager
def before_renewals(database: Database, act: Callable[[], None]) -> Generator[None]:
    """Do something in the midst of each renewal of a lease, on the event loop's thread."""

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "jobs.cancel_requested" in statement and "jobs.kind" not in statement:
            act()

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_a_worker_that_stood_still_while_it_renewed_goes_on_with_its_job(database: Database) -> None:
    stood = asyncio.Event()

    def stand_still() -> None:
        if not stood.is_set():
            stood.set()
            time.sleep(4)

    async def run(claim: Claim) -> None:
        await stood.wait()
        await asyncio.sleep(1.5)

    with before_renewals(database, stand_still):
        async with scripted_worker(database, {"k": Scripted(run)}, lease_seconds=3):
            row = await wait_for(database, TENANT, await add(database), 60)
    assert (row.status, row.attempts, row.fence) == ("succeeded", 1, 1)


async def test_a_database_that_does_not_answer_at_once_after_a_standstill_costs_no_job(database: Database) -> None:
    """Its connections may have ended meanwhile, and another process have its lock."""
    refusals, renewed = 2, asyncio.Event()

    def refuse() -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise OperationalError("SELECT", None, Exception("away"))
        renewed.set()

    async def run(claim: Claim) -> None:
        await asyncio.sleep(0.1)
        time.sleep(8)  # noqa: ASYNC251
        await renewed.wait()

    with before_renewals(database, refuse):
        async with scripted_worker(database, {"k": Scripted(run)}, lease_seconds=7):
            row = await wait_for(database, TENANT, await add(database), 60)
    assert (row.status, row.attempts, row.fence) == ("succeeded", 1, 1)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "queued"])
async def test_the_end_of_a_job_waits_for_a_database_that_is_away(database: Database, outcome: str) -> None:
    """The work is done: it isn't done once more, since its end couldn't be written."""
    runs, ready, away = 0, asyncio.Event(), asyncio.Event()

    async def run(claim: Claim) -> None:
        nonlocal runs
        runs += 1
        if runs > 1:
            return
        ready.set()
        await away.wait()
        if outcome == "failed":
            raise JobFailed("broken", "It is broken.")
        if outcome == "queued":
            raise JobDelayed("A part is away.", seconds=0.01)

    with structlog.testing.capture_logs() as logs:
        async with scripted_worker(database, {"k": Scripted(run)}):
            job = await add(database)
            await ready.wait()
            async with without_jobs(database):
                away.set()
                await until(lambda: any(log["event"] == "job_end_waits" for log in logs))
                await asyncio.sleep(1.5)
            row = await wait_for(database, TENANT, job, 60)
    again = outcome == "queued"
    assert (row.status, row.attempts, row.fence) == ("succeeded" if again else outcome, 1, 1 + again)
    ends = [log for log in logs if log["event"].startswith("job_end")]
    assert [log["event"] for log in ends] == ["job_end_waits", "job_end_written"]
    assert "\n" not in ends[0]["reason"]
    assert "exc_info" not in ends[0]


class WithoutEnd(Scripted):
    """A handler whose end the database refuses, each time."""

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        raise OperationalError("UPDATE", None, Exception("no"))


async def fail(_claim: Claim) -> None:
    raise JobFailed("broken", "It is broken.")


async def test_an_end_that_waits_keeps_its_lease_and_ends_with_it(database: Database) -> None:
    """Where the database takes everything but the end, others don't get the job; where they have it, it is theirs."""
    handler = WithoutEnd(fail)
    with structlog.testing.capture_logs() as logs:
        async with scripted_worker(database, {"k": handler}, lease_seconds=3):
            job = await add(database)
            await until(lambda: handler.outcomes)
            before = (await status_of(database, job)).lease_until or 0.0
            await until(lambda: len(handler.outcomes) > 3)
            assert ((await status_of(database, job)).lease_until or 0.0) > before
            async with database.begin() as session:
                assert await change(session, JobRow.id == job, fence=7, worker="another")
            await until(lambda: any(log["event"] == "job_lease_lost" for log in logs))
    assert (await status_of(database, job)).worker == "another"


async def test_a_worker_that_stops_waits_for_no_end(database: Database) -> None:
    handler = WithoutEnd(fail)
    async with scripted_worker(database, {"k": handler}):
        job = await add(database)
        await until(lambda: handler.outcomes)
    row = await status_of(database, job)
    assert (row.status, row.attempts, row.worker) == ("queued", 0, None)


@asynccontextmanager
async def without_jobs(database: Database) -> AsyncIterator[None]:
    """Let every query on the job table fail, as while a database is away."""
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE jobs RENAME TO away")
    try:
        yield
    finally:
        async with database.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE away RENAME TO jobs")


async def test_a_worker_outlives_a_database_that_is_away(database: Database) -> None:
    async def run(claim: Claim) -> None:
        return

    with Looks(database) as looks:
        async with scripted_worker(database, {"k": Scripted(run)}):
            async with without_jobs(database):
                await looks.pass_by()
            row = await wait_for(database, TENANT, await add(database), 60)
    assert row.status == "succeeded"


async def test_a_running_job_outlives_a_database_that_is_away_for_less_than_its_lease(database: Database) -> None:
    begun, away = asyncio.Event(), asyncio.Event()

    async def run(claim: Claim) -> None:
        begun.set()
        await away.wait()

    with Looks(database) as looks:
        async with scripted_worker(database, {"k": Scripted(run)}):
            job = await add(database)
            await begun.wait()
            async with without_jobs(database):
                renewals = len(looks.renewals)
                await until(lambda: len(looks.renewals) > renewals)
            away.set()
            row = await wait_for(database, TENANT, job, 60)
    assert (row.status, row.attempts) == ("succeeded", 1)


async def test_a_worker_does_not_take_over_its_own_job(database: Database) -> None:
    """As after a machine's sleep: the lease has ended, but the handler goes on."""
    begun = 0

    async def run(claim: Claim) -> None:
        nonlocal begun
        begun += 1
        await expire(database, claim.id)
        await looks.pass_by()

    with Looks(database) as looks:
        async with scripted_worker(database, {"k": Scripted(run)}):
            row = await wait_for(database, TENANT, await add(database), 60)
    assert (row.status, row.fence, begun) == ("succeeded", 1, 1)


async def test_jobs_of_one_queue_key_run_in_order_and_other_keys_beside_them(database: Database) -> None:
    begun: list[str] = []
    both = asyncio.Barrier(2)

    async def run(claim: Claim) -> None:
        begun.append(claim.payload["name"])
        if claim.payload["name"] in ("a1", "b1"):
            async with asyncio.timeout(60):
                await both.wait()

    jobs = [await add(database, queue_key=name[0], name=name) for name in ("a1", "a2", "a3", "b1")]
    async with scripted_worker(database, {"k": Scripted(run)}, slots=3):
        for job in jobs:
            assert (await wait_for(database, TENANT, job, 60)).status == "succeeded"
    assert [name for name in begun if name[0] == "a"] == ["a1", "a2", "a3"]


@on_both_databases
async def test_two_workers_that_saw_the_same_free_queue_key_cannot_both_begin_it(database: Database) -> None:
    first, second = await add(database), await add(database)
    assert (await claim_next(database, kinds=["k"], worker="w", lease_seconds=30)) is not None
    with pytest.raises(IntegrityError, match="running_key"):
        async with database.begin() as session:
            await change(session, JobRow.id == second, status="running", running_key="key")
    async with database.read() as session:
        jobs = JobRepository(session, TENANT)
        assert [(await jobs.get(id)).status for id in (first, second)] == ["running", "queued"]


async def test_kinds_that_take_the_whole_machine_run_one_at_a_time(database: Database) -> None:
    running = 0
    most = 0

    async def run(claim: Claim) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await looks.pass_by()
        running -= 1

    jobs = [await add(database, kind="train", queue_key=f"key{number}") for number in range(3)]
    with Looks(database) as looks:
        async with scripted_worker(database, {"train": Scripted(run), "k": Scripted(run)}, slots=3):
            for job in jobs:
                await wait_for(database, TENANT, job, 60)
    assert most == 1


async def test_an_urgent_job_has_a_slot_that_others_leave_free(database: Database) -> None:
    over = asyncio.Event()
    jobs = [await add(database, queue_key=f"key{number}") for number in range(3)]

    async def run(claim: Claim) -> None:
        if claim.id in jobs:
            await over.wait()

    with Looks(database) as looks:
        async with scripted_worker(database, {"k": Scripted(run)}, slots=2, urgent_slots=1):
            await looks.pass_by()
            urgent = await wait_for(database, TENANT, await add(database, queue_key="edit", urgent=True), 60)
            statuses = [(await status_of(database, job)).status for job in jobs]
            over.set()
            for job in jobs:
                assert (await wait_for(database, TENANT, job, 60)).status == "succeeded"
    assert urgent.status == "succeeded"
    assert statuses == ["running", "queued", "queued"]


async def test_other_jobs_are_taken_while_urgent_ones_run(database: Database) -> None:
    over = asyncio.Event()
    edit = await add(database, queue_key="edit", urgent=True)

    async def run(claim: Claim) -> None:
        if claim.id == edit:
            await over.wait()

    with Looks(database) as looks:
        async with scripted_worker(database, {"k": Scripted(run)}, slots=2, urgent_slots=1):
            await looks.pass_by()
            upload = await wait_for(database, TENANT, await add(database, queue_key="upload"), 60)
            running = await status_of(database, edit)
            over.set()
            assert (await wait_for(database, TENANT, edit, 60)).status == "succeeded"
    assert (upload.status, running.status) == ("succeeded", "running")


@on_both_databases
async def test_only_urgent_jobs_are_taken_where_no_others_are_wanted(database: Database) -> None:
    await add(database, queue_key="upload")
    edit = await add(database, queue_key="edit", urgent=True)
    wanted: dict[str, Any] = {"kinds": ["k"], "worker": "w", "lease_seconds": 30, "urgent_only": True}
    claim = await claim_next(database, **wanted)
    assert claim is not None
    assert claim.id == edit
    assert await claim_next(database, **wanted) is None


async def test_other_kinds_are_left_alone(database: Database) -> None:
    await add(database, kind="other")
    assert await take(database) is None


async def test_a_job_that_is_cancelled_before_it_begins_is_never_run(database: Database) -> None:
    job = await add(database)
    async with database.begin() as session:
        assert await cancel(session, TENANT, job) == "cancelled"
    assert await take(database) is None
    async with database.begin() as session:
        assert await cancel(session, TENANT, job) == "cancelled"


async def test_a_job_that_is_cancelled_while_it_runs_ends(database: Database) -> None:
    async def run(claim: Claim) -> None:
        await claim.cancelled.wait()
        raise JobCancelled

    handler = Scripted(run)
    job = await add(database)
    async with scripted_worker(database, {"k": handler}):
        async with asyncio.timeout(60):
            while True:
                async with database.begin() as session:
                    if (await JobRepository(session, TENANT).get(job)).status == "running":
                        assert await cancel(session, TENANT, job) == "running"
                        break
                await asyncio.sleep(0.02)
        row = await wait_for(database, TENANT, job, 60)
    assert row.status == "cancelled"
    assert [outcome.status for outcome in handler.outcomes] == ["cancelled"]


@on_both_databases
async def test_cancel_is_remembered_over_a_crash(database: Database) -> None:
    job = await add(database)
    assert await take(database)
    async with database.begin() as session:
        assert await cancel(session, TENANT, job) == "running"
    await expire(database, job)
    claim = await take(database)
    assert claim is not None
    assert claim.cancelled.is_set()


@on_both_databases
@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
async def test_the_state_goes_however_a_job_ends(database: Database, status: str) -> None:
    """Notes in it have texts of the tenant."""
    errors: dict[str, Exception] = {"failed": JobFailed("odd", "It can't."), "cancelled": JobCancelled()}

    async def run(claim: Claim) -> None:
        await claim.save({"notes": {"1": "An answer."}})
        if status in errors:
            raise errors[status]

    handler = Scripted(run)
    async with scripted_worker(database, {"k": handler}):
        row = await wait_for(database, TENANT, await add(database), 60)
    assert (row.status, row.state) == (status, {})


@on_both_databases
async def test_the_state_of_a_job_that_waits_goes_when_it_is_cancelled(database: Database) -> None:
    job = await add(database)
    claim = await take(database)
    assert claim is not None
    await claim.save({"notes": {"1": "An answer."}})
    await claim.release()
    assert (await status_of(database, job)).state, "it goes on from it"
    async with database.begin() as session:
        assert await cancel(session, TENANT, job) == "cancelled"
    assert (await status_of(database, job)).state == {}


async def test_another_tenants_job_cannot_be_cancelled_or_waited_for(database: Database) -> None:
    job = await add(database)
    async with database.begin() as session:
        with pytest.raises(NotFound):
            await cancel(session, "ten_b", job)
    with pytest.raises(NotFound):
        await wait_for(database, "ten_b", job, 0)
    assert await take(database) is not None


async def test_waiting_ends_with_its_time(database: Database) -> None:
    assert (await wait_for(database, TENANT, await add(database), 0.05)).status == "queued"


async def test_looking_for_work_reads_no_finished_job(database: Database) -> None:
    with Looks(database) as looks:
        assert await take(database) is None
        await add(database, kind="other")
        assert await take(database) is None
    assert len(looks.statements) == 2 + 3
    async with database.engine.connect() as connection:
        for statement, parameters in looks.statements:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row["detail"] for row in plan.mappings()]
            scans = [step for step in steps if step.startswith("SCAN jobs") and "uq_jobs_running_key" not in step]
            assert not scans, (scans, steps)


async def test_looking_for_work_does_not_read_thousands_that_wait_for_their_time(database: Database) -> None:
    async with database.begin() as session:
        for number in range(200):
            key = f"key{number}"
            await enqueue(session, TENANT, kind="k", queue_key=key, subject="s", payload={}, delay_seconds=3600)
    with Looks(database) as looks:
        assert await take(database) is None
    assert not any("GROUP BY" in statement for statement, _ in looks.statements)
    job = await add(database)
    claim = await take(database)
    assert claim is not None
    assert claim.id == job


async def test_a_handler_whose_end_fails_does_not_take_the_worker_with_it(database: Database) -> None:
    failed = asyncio.Event()

    class Broken(Scripted):
        async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
            failed.set()
            raise RuntimeError("a bug")

    async def fail(claim: Claim) -> None:
        raise JobFailed("x", "y")

    async def succeed(claim: Claim) -> None:
        return

    await add(database, kind="broken", queue_key="one")
    async with scripted_worker(database, {"broken": Broken(fail), "k": Scripted(succeed)}):
        await failed.wait()
        row = await wait_for(database, TENANT, await add(database, queue_key="two"), 60)
    assert row.status == "succeeded"


async def run_until_stopped(database: Database, run: Callable[[Claim], Awaitable[None]], **options: Any) -> JobRow:
    """Stop a worker whose handler has begun; return the job as it is then."""
    begun = asyncio.Event()

    async def begin(claim: Claim) -> None:
        begun.set()
        await run(claim)

    job = await add(database)
    async with scripted_worker(database, {"k": Scripted(begin)}, **options):
        await begun.wait()
    return await status_of(database, job)


@on_both_databases
async def test_a_stopped_worker_gives_back_a_job_that_takes_longer(database: Database) -> None:
    async def run(claim: Claim) -> None:
        await claim.save({"step": 1})
        await asyncio.Event().wait()

    row = await run_until_stopped(database, run)
    assert (row.status, row.attempts, row.lease_until, row.running_key) == ("queued", 0, None, None)
    assert await take(database) is not None, "another worker may have it at once"


async def test_a_handler_that_needs_longer_than_the_grace_time_to_end_is_waited_for(database: Database) -> None:
    cleaned = False

    async def run(claim: Claim) -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):  # as one that ends its child program first
                await asyncio.sleep(0.02)
            cleaned = True

    row = await run_until_stopped(database, run)
    assert (row.status, row.attempts, row.running_key) == ("queued", 0, None)
    assert cleaned


async def test_a_lease_that_is_lost_while_the_worker_stops_is_given_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine so busy that the lease couldn't be renewed in time: no other worker has it."""

    async def lose(claim: Claim) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LeaseLost("the lease could not be renewed in time")

    monkeypatch.setattr(Claim, "keep_lease", lose)

    async def run(claim: Claim) -> None:
        await asyncio.Event().wait()

    row = await run_until_stopped(database, run)
    assert (row.status, row.attempts, row.running_key) == ("queued", 0, None)


async def test_jobs_whose_handlers_do_not_end_are_given_back_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a busy database takes for each of them: the process has one time to end in."""
    began, together, handlers = 0, asyncio.Event(), 0

    async def wait_for_others(claim: Claim, **options: Any) -> None:
        nonlocal began
        began += 1
        if began == 3:
            together.set()
        await asyncio.wait_for(together.wait(), 60)

    monkeypatch.setattr(Claim, "release", wait_for_others)

    async def run(claim: Claim) -> None:
        nonlocal handlers
        handlers += 1
        while not together.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        raise asyncio.CancelledError

    for number in range(3):
        await add(database, queue_key=str(number))
    async with scripted_worker(database, {"k": Scripted(run)}, slots=3, end_seconds=0.05):
        await until(lambda: handlers == 3)
    assert together.is_set()
    await until(lambda: began == 6)  # each handler came to its end after all, and gave its job back once more


async def test_a_job_is_given_back_to_a_database_that_fails_for_a_moment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, faults = Claim.release, [OperationalError("UPDATE jobs", {}, Exception("database is locked"))]

    async def fail_once(claim: Claim, **options: Any) -> None:
        if faults:
            raise faults.pop()
        await release(claim, **options)

    monkeypatch.setattr(Claim, "release", fail_once)

    async def run(claim: Claim) -> None:
        await asyncio.Event().wait()

    row = await run_until_stopped(database, run)
    assert (row.status, row.attempts, row.running_key) == ("queued", 0, None)


async def test_a_handler_that_does_not_end_keeps_no_job(database: Database) -> None:
    release = asyncio.Event()

    async def run(claim: Claim) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    row = await run_until_stopped(database, run, end_seconds=0.05)
    assert (row.status, row.attempts, row.running_key) == ("queued", 0, None)
    release.set()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    assert (await status_of(database, row.id)).status == "queued", "what it does after that counts for nothing"


@pytest.mark.parametrize("backlog", [5, 40])
@on_both_databases
async def test_tenants_take_turns_however_much_one_has_queued(database: Database, backlog: int) -> None:
    order: list[str] = []

    async def run(claim: Claim) -> None:
        order.append(claim.tenant)

    for number in range(backlog):
        await add(database, queue_key=f"store {number % 4}")
    async with database.begin() as session:
        for _ in range(3):
            await enqueue(session, "ten_b", kind="k", queue_key="edit", subject="s", payload={})
    async with scripted_worker(database, {"k": Scripted(run)}, slots=1):
        await until(lambda: len(order) == backlog + 3)
    assert order[:6] in (["ten_a", "ten_b"] * 3, ["ten_b", "ten_a"] * 3)


@on_both_databases
async def test_an_urgent_job_goes_before_others_but_not_before_one_that_has_waited_for_an_hour(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, str] = {}

    async def ask(name: str, *, urgent: bool = False) -> None:
        async with database.begin() as session:
            row = await enqueue(session, TENANT, kind="k", queue_key="store", subject="s", payload={}, urgent=urgent)
            names[row.id] = name

    with monkeypatch.context() as patch:
        before = f"job_{time.time_ns() // 1000 - 3_700_000_000:013x}{'0' * 12}"
        patch.setattr("gateway.jobs.queue.new_id", lambda _prefix: before)
        await ask("old")
    for number in range(5):
        await ask(f"bulk {number}")
    await ask("edit 0", urgent=True)
    await ask("edit 1", urgent=True)
    order: list[str] = []

    async def run(claim: Claim) -> None:
        order.append(names[claim.id])

    async with scripted_worker(database, {"k": Scripted(run)}, slots=3):
        await until(lambda: len(order) == 8)
    assert order == ["old", "edit 0", "edit 1", *(f"bulk {number}" for number in range(5))]


async def test_the_last_turn_counts_whatever_its_kind(database: Database) -> None:
    await add(database, queue_key="first")
    assert await take(database) is not None
    await add(database, queue_key="second")
    async with database.begin() as session:
        await enqueue(session, "ten_b", kind="k", queue_key="third", subject="s", payload={})
    claim = await take(database)
    assert claim is not None
    assert claim.tenant == "ten_b"


async def test_a_tenant_may_have_so_many_waiting_jobs_of_a_kind(database: Database) -> None:
    async with database.begin() as session:
        for tenant, kind in ((TENANT, "k"), (TENANT, "other"), ("ten_b", "k"), (TENANT, "k")):
            await enqueue(session, tenant, kind=kind, queue_key="key", subject="s", payload={}, most=2)
        with pytest.raises(TooManyRequests) as caught:
            await enqueue(session, TENANT, kind="k", queue_key="key", subject="s", payload={}, most=2)
    assert caught.value.code == "too_many_queued_jobs"
    assert await take(database) is not None
    async with database.begin() as session:
        await enqueue(session, TENANT, kind="k", queue_key="key", subject="s", payload={}, most=2)


@on_both_databases
async def test_jobs_wait_for_what_delayed_the_first_one_only_while_it_waits(database: Database) -> None:
    async def find() -> str | None:
        async with database.read() as session:
            return await find_delay(session, TENANT, "key")

    await add(database)
    await add(database)
    claim = await take(database)
    assert claim is not None
    delay = {"code": "delayed", "message": "m", "pause": 1.0, "words": "There is no room."}
    await claim.release(pause=0, error=delay, counted=False)
    assert await find() == "There is no room."
    assert await take(database) is not None
    assert await find() is None


async def test_what_a_queue_waits_for_is_found_by_an_index(database: Database) -> None:
    """On SQLite: PostgreSQL reads a small table without an index."""
    statements: list[tuple[str, Any]] = []
    async with database.begin() as session:
        assert await JobRepository(session, TENANT).find_head("q") is None

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            statements.append((statement, parameters))

        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        await JobRepository(session, TENANT).find_head("q")
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        [(statement, parameters)] = statements
        connection = await session.connection()
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
        plan = " ".join(str(row) for row in rows)
    assert "ix_jobs_status (status=? AND queue_key=?)" in plan
    assert "TEMP B-TREE" not in plan, "nothing is sorted"
