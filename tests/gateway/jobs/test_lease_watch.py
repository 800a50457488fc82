"""Leases of workers that live are never over, and those of dead ones always are, whatever the wall clocks do."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.db import Database
from gateway.jobs import Claim, lease_watch, wait_for
from gateway.jobs.claim import claim_next
from gateway.jobs.lease_watch import HeldLease, LeaseWatch
from gateway.jobs.queue import enqueue
from gateway.jobs.repository import JobRepository, take
from tests.gateway.conftest import on_both_databases
from tests.gateway.jobs.conftest import TENANT
from tests.gateway.jobs.test_worker import HOUR, Scripted, add, clock_ahead, scripted_worker, status_of
from tests.waiting import until

LEASE = 15.0
BEAT, LOOK = 1.0, 0.5  # of a holder's renewals, and of an idle worker's looks
OFFSETS = st.floats(-10 * 365 * 86_400, 10 * 365 * 86_400)


@dataclass
class Machines:
    """One that holds a job and one that looks for work, each with a wall clock of its own, and a steady one of both."""

    holder: list[float]
    looker: list[float]
    watch: LeaseWatch = field(default_factory=lambda: LeaseWatch(LEASE))
    steady: float = 1000.0
    lease: HeldLease = field(default_factory=lambda: HeldLease("job_1", 1, 0.0))

    def pass_by(self, seconds: float, *, renews: bool, looks: bool = True) -> bool:
        """Let time pass; tell whether the lease was found to be over in it. Both clocks jump again and again."""
        over, end, renewed_at = False, self.steady + seconds, self.steady
        while self.steady < end:
            self.steady += LOOK
            holder, looker = (clock[int(self.steady) % len(clock)] for clock in (self.holder, self.looker))
            if renews and self.steady - renewed_at >= BEAT:
                renewed_at = self.steady
                self.lease = HeldLease("job_1", 1, self.steady + holder + LEASE)
            if looks:
                over = bool(self.watch.find_ended([self.lease], self.steady + looker)) or over
        return over


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    made = Machines([0.0], [0.0])
    monkeypatch.setattr(lease_watch, "time", SimpleNamespace(monotonic=lambda: made.steady))
    return made


CLOCKS = st.lists(OFFSETS, min_size=1, max_size=5)


@settings(max_examples=40)
@given(holder=CLOCKS, looker=CLOCKS, away=st.floats(0, 1) | st.floats(2, 100))
def test_a_lease_that_is_renewed_is_never_over_and_one_that_is_not_always_is(
    holder: list[float], looker: list[float], away: float
) -> None:
    machines = Machines(holder, looker)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease_watch, "time", SimpleNamespace(monotonic=lambda: machines.steady))
        assert not machines.pass_by(12, renews=True)
        machines.pass_by(away, renews=False, looks=False)  # both stood still, or couldn't reach the database
        assert not machines.pass_by(12, renews=True)
        assert not machines.pass_by(1.5, renews=False), "a beat may be late"
        assert machines.pass_by(LEASE + 1, renews=False)


def test_a_dead_workers_lease_is_over_when_its_time_is(machines: Machines) -> None:
    machines.pass_by(5, renews=True)
    assert not machines.pass_by(LEASE - 2, renews=False)
    assert machines.pass_by(3, renews=False)


def test_a_worker_that_has_just_started_finds_an_old_lease_over_within_seconds(machines: Machines) -> None:
    machines.lease = HeldLease("job_1", 1, 500.0)
    assert not machines.pass_by(2, renews=False)
    assert machines.pass_by(2, renews=False)


@on_both_databases
async def test_a_clock_that_jumps_forward_takes_no_job_from_a_worker_that_lives(database: Database) -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def run(claim: Claim) -> None:
        begun.set()
        await end.wait()

    job = await add(database)
    async with scripted_worker(database, {"k": Scripted(run)}):
        await begun.wait()
        with clock_ahead():
            before = (await status_of(database, job)).lease_until or 0.0
            async with scripted_worker(database, {"k": Scripted(run)}):

                async def is_renewed() -> bool:
                    return ((await status_of(database, job)).lease_until or 0.0) > before + HOUR / 2

                await until(is_renewed)
        end.set()
        row = await wait_for(database, TENANT, job, 60)
    assert (row.status, row.attempts, row.fence) == ("succeeded", 1, 1)


@on_both_databases
async def test_a_lease_that_was_renewed_since_it_was_seen_is_not_taken(database: Database) -> None:
    job = await add(database)
    holder = await claim_next(database, kinds=["k"], worker="w", lease_seconds=0.0)
    assert holder is not None
    seen = await status_of(database, job)
    async with holder.begin():
        pass
    async with database.begin() as session:
        assert not await take(session, seen, "other", time.time(), 30)
        assert await take(session, await JobRepository(session, TENANT).get(job), "other", time.time(), 30)


@pytest.mark.parametrize(("until", "most"), [(500.0, 30), (1e9, 150)])
def test_a_dead_workers_lease_is_over_also_where_each_look_is_slow(
    machines: Machines, until: float, most: float
) -> None:
    machines.lease = HeldLease("job_1", 1, until)
    seconds, is_over = 0.0, False
    while not is_over:
        seconds += 5
        machines.steady += 5
        is_over = bool(machines.watch.find_ended([machines.lease], machines.steady))
        assert seconds <= most
    assert seconds >= LEASE


async def kill_holder(database: Database) -> str:
    """Add a job that a worker took which died since, long ago."""
    job = await add(database, queue_key="dead")
    assert await claim_next(database, kinds=["k"], worker="dead", lease_seconds=-100.0) is not None
    return job


@on_both_databases
@pytest.mark.parametrize("others", [{"kinds": ["other"]}, {"kinds": ["k"], "urgent_only": True}])
async def test_leases_are_seen_also_while_others_are_wanted(database: Database, others: dict[str, Any]) -> None:
    job, watch, at_work = await kill_holder(database), LeaseWatch(6), {"worker": "w", "lease_seconds": 6}
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert await claim_next(database, watch=watch, **others, **at_work) is None
        await asyncio.sleep(0.02)
    await add(database, queue_key="waits")
    claim = await claim_next(database, kinds=["k"], watch=watch, **at_work)
    assert claim is not None
    assert claim.id == job


@on_both_databases
async def test_a_full_worker_takes_a_dead_ones_job_before_those_that_wait(database: Database) -> None:
    begun: list[str] = []
    room = asyncio.Event()

    async def run(claim: Claim) -> None:
        begun.append(claim.id)
        if len(begun) == 1:
            await room.wait()

    first = await add(database, queue_key="first")
    async with scripted_worker(database, {"k": Scripted(run)}, slots=1, lease_seconds=6):
        await until(lambda: begun == [first])
        async with database.begin() as session:
            dead = await enqueue(session, TENANT, kind="k", queue_key="dead", subject="s", payload={})
            dead_id = dead.id
            await session.flush()
            assert await take(session, dead, "dead", time.time() - 100, 1.0)
        await add(database, queue_key="waits")
        await asyncio.sleep(3.0)
        room.set()
        await until(lambda: len(begun) == 3)
    assert begun[1] == dead_id


@on_both_databases
async def test_a_lease_that_is_renewed_between_the_look_and_the_read_is_not_taken(database: Database) -> None:
    job = await kill_holder(database)

    class SawItBefore(LeaseWatch):
        def find_ended(self, leases: Collection[HeldLease], now: float) -> list[HeldLease]:
            return [replace(lease, until=lease.until - 1) for lease in leases]

    assert await claim_next(database, kinds=["k"], worker="w", lease_seconds=1, watch=SawItBefore(1)) is None
    assert (await status_of(database, job)).fence == 1
