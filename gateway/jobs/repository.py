"""The job table's queries: compare-and-set on `status`, `fence` and lease, so that any SQL database will do."""

from collections.abc import Collection, Sequence
from typing import Any, cast

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CursorResult,
    Float,
    Integer,
    Select,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from gateway.db import Repository, cut_slices, delete_before
from gateway.jobs.lease_watch import HeldLease, LeaseWatch, list_past
from gateway.jobs.tables import FINAL_STATUSES, ClockRow, JobRow

__all__ = [
    "CLOCK_SKEW_SECONDS",
    "JobRepository",
    "change",
    "change_claimed",
    "count_live",
    "delete_ended",
    "follow_clock",
    "is_cancel_requested",
    "list_claimable",
    "list_ended",
    "list_leases",
    "take",
    "wake_jobs",
]

CLOCK_SKEW_SECONDS = 60.0
"""Clocks of several machines differ by less, and no lease is longer: what is later was noted by a clock that was set
back since."""

_CLOCK = "workers"
_PLACE_DIGITS, _MOST_AHEAD_SECONDS, _MOST_PLACES = 13, 7200.0, 500
"""Of a job's place: its digits of time, twice what a process's ids may be ahead of its clock, and jobs at once."""


class JobRepository(Repository[JobRow]):
    table = JobRow
    noun = "job"

    async def count_queued(self, kind: str) -> int:
        """Count the tenant's jobs of a kind that wait."""
        return await self.count_rows(JobRow.kind == kind, JobRow.status == "queued")

    async def hold_queued(self, kind: str, subject: str) -> JobRow | None:
        """Find a job that waits, and keep it waiting until the unit of work ends."""
        where = (JobRow.kind == kind, JobRow.subject == subject, JobRow.status == "queued")
        return (await self.session.scalars(self.select_for_update(*where).limit(1))).one_or_none()

    async def find_head(self, queue_key: str) -> JobRow | None:
        """Find the waiting job that all others of a queue key wait for; None also while one of them runs."""
        running = self.select(JobRow.running_key == queue_key).exists()
        where = (JobRow.status == "queued", JobRow.queue_key == queue_key, ~running)
        return (await self.session.scalars(self.select(*where).order_by(JobRow.place).limit(1))).one_or_none()

    async def cancel_queued(self, id: str, now: float) -> bool:
        """End a job that no worker has, and drop its state; false when one has it, or it has ended."""
        where = (JobRow.id == id, JobRow.status == "queued")
        end: dict[str, Any] = {"status": "cancelled", "finished_at": int(now), "cancel_requested": True, "state": {}}
        return await self.update_rows(*where, **end) == 1

    async def cancel_running(self, id: str) -> bool:
        """Ask the worker that has the job to stop; false when none has it."""
        return await self.update_rows(JobRow.id == id, JobRow.status == "running", cancel_requested=True) == 1


def _select_leases() -> Select[str, int, float]:
    """Select what tells of the leases of running jobs, of all tenants and kinds."""
    leases = select(JobRow.id, JobRow.fence, func.coalesce(JobRow.lease_until, 0.0)).where(JobRow.status == "running")
    return leases.where(JobRow.id.not_in(bindparam("without", expanding=True)))


def _select_running() -> Select[JobRow]:
    """Select running jobs that are wanted, of whatever tenants, by their ids."""
    running = select(JobRow).where(JobRow.id.in_(bindparam("ids", expanding=True)), JobRow.status == "running")
    return running.where(_OF_KINDS, _OF_URGENCY).order_by(JobRow.id).limit(_MOST)


def _select_due_id() -> Select[str]:
    """Select the id of a job of whatever tenant that may be run now."""
    return select(JobRow.id).where(JobRow.status == "queued", _DUE).limit(1)


def _select_queued() -> Select[JobRow]:
    """Select the first queued job of each queue key, of all tenants, in the order of their tenants' turns."""
    busy = select(JobRow.running_key).where(JobRow.running_key.is_not(None))
    heads = (
        select(func.min(JobRow.place))
        .where(JobRow.status == "queued", JobRow.queue_key.not_in(busy))
        .group_by(JobRow.queue_key)
        .scalar_subquery()
    )
    of_tenant = aliased(JobRow)
    # A turn of a clock that was ahead would be the last one of all until the clock has come as far again.
    turns = (of_tenant.tenant_id == JobRow.tenant_id, of_tenant.claimed_at <= _NOW + CLOCK_SKEW_SECONDS)
    last_turn = select(func.max(of_tenant.claimed_at)).where(*turns).scalar_subquery()
    queued = select(JobRow).where(JobRow.place.in_(heads), JobRow.status == "queued", _DUE, _OF_KINDS, _OF_URGENCY)
    return queued.order_by(func.coalesce(last_turn, 0.0), JobRow.place).limit(_MOST)


# Built once: each worker asks them several times per second, and to build one takes longer than to run it.
_NOW, _MOST = bindparam("now", type_=Float), bindparam("most", type_=Integer)
_OF_KINDS = JobRow.kind.in_(bindparam("kinds", expanding=True))
_OF_URGENCY = or_(bindparam("all", type_=Boolean), JobRow.payload["urgent"].as_boolean())
_DUE = or_(JobRow.not_before.is_(None), JobRow.not_before <= _NOW)
_LEASES = _select_leases()
_RUNNING = _select_running()
_DUE_ID = _select_due_id()
_QUEUED = _select_queued()


async def list_claimable(
    session: AsyncSession,
    kinds: Collection[str],
    without: Collection[str],
    now: float,
    limit: int,
    *,
    watch: LeaseWatch | None = None,
    urgent_only: bool = False,
) -> Sequence[JobRow]:
    """List jobs that a worker may try to take, of all tenants (a worker serves every tenant).

    These are running ones whose lease has ended, oldest first, and of each queue key where none runs the queued one
    with the first place: first those of the tenant whose last turn is the longest ago, so that nobody waits behind
    another's thousands. Without a `watch` a lease has ended when its time says so.
    """
    values = {"kinds": list(kinds), "now": now, "most": limit, "all": not urgent_only}
    leases = await list_leases(session, without)
    over = list_past(leases, now) if watch is None else watch.find_ended(leases, now)
    rows: list[JobRow] = []
    if over:
        running = (await session.scalars(_RUNNING, {**values, "ids": [lease.job for lease in over]})).all()
        # Where the database shows later changes, one may have been renewed, and is taken as it was seen or not at all.
        rows += [row for row in running if HeldLease(row.id, row.fence, row.lease_until or 0.0) in over]
    # Thousands may wait for their time: what follows reads them all, for the order within their queue keys.
    if (await session.scalar(_DUE_ID, values)) is not None:
        rows += (await session.scalars(_QUEUED, values)).all()
    return rows


async def list_leases(session: AsyncSession, without: Collection[str]) -> list[HeldLease]:
    """List the leases of all running jobs but some, of all tenants."""
    return [HeldLease(*row) for row in (await session.execute(_LEASES, {"without": list(without)})).all()]


async def list_ended(session: AsyncSession, ids: Collection[str]) -> set[str]:
    """Return those of the jobs, of any tenants, that have ended: whoever waits for one has looked it up as its own."""
    job_ids: set[str] = set()
    for some in cut_slices(ids):
        query = select(JobRow.id).where(JobRow.id.in_(some), JobRow.status.in_(FINAL_STATUSES))
        job_ids.update((await session.scalars(query)).all())
    return job_ids


async def take(session: AsyncSession, row: JobRow, worker: str, now: float, lease_seconds: float) -> bool:
    """Claim a job as it was read; false when another worker was faster, or its holder has renewed the lease since.

    A busy queue key is an `IntegrityError`.
    """
    hold = JobRow.lease_until == row.lease_until if row.lease_until is not None else JobRow.lease_until.is_(None)
    return await change(
        session,
        *(JobRow.id == row.id, JobRow.status == row.status, JobRow.fence == row.fence, hold),
        status="running",
        running_key=row.queue_key,
        fence=row.fence + 1,
        attempts=row.attempts + 1,
        worker=worker,
        lease_until=now + lease_seconds,
        claimed_at=now,
        not_before=None,
    )


async def change_claimed(session: AsyncSession, id: str, fence: int, **values: Any) -> bool:
    """Change a job if the claim with this fence still holds it."""
    where = (JobRow.id == id, JobRow.fence == fence, JobRow.status == "running")
    return await change(session, *where, **values)


async def change(session: AsyncSession, *where: ColumnElement[bool], **values: Any) -> bool:
    """Update at most one job; tell whether the conditions held."""
    statement = update(JobRow).where(*where).values(**values).execution_options(synchronize_session=False)
    return cast(CursorResult[Any], await session.execute(statement)).rowcount == 1


async def is_cancel_requested(session: AsyncSession, id: str) -> bool:
    """Tell a job's holder whether its owner wants it to stop."""
    return bool(await session.scalar(select(JobRow.cancel_requested).where(JobRow.id == id)))


async def count_live(session: AsyncSession) -> dict[tuple[str, str], int]:
    """Count the jobs that wait or run by kind and status: of all tenants, for the operator's metrics."""
    live = JobRow.status.in_(("queued", "running"))
    rows = await session.execute(
        select(JobRow.kind, JobRow.status, func.count()).where(live).group_by("kind", "status")
    )
    return {(kind, status): count for kind, status, count in rows}


async def delete_ended(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` jobs of any tenant that ended before a Unix time, and return the number."""
    return await delete_before(session, JobRow.finished_at, before, limit)


async def wake_jobs(session: AsyncSession, now: float) -> int:
    """Shorten, for all tenants, what a clock that was ahead and was set back since has made too long.

    Without that the jobs of a worker that died, and those that wait for a moment or behind others of their queue key,
    would stand still until the clock has come as far again. Returns the number; a worker that lives renews its leases
    by itself.
    """
    late = now + CLOCK_SKEW_SECONDS
    leases = (JobRow.status == "running", JobRow.lease_until > late)
    noted = func.coalesce(JobRow.claimed_at, JobRow.created_at)
    waits = (JobRow.status == "queued", JobRow.not_before > now, noted > late)
    count = 0
    for where, values in ((leases, {"lease_until": late}), (waits, {"not_before": now})):
        statement = update(JobRow).where(*where).values(**values).execution_options(synchronize_session=False)
        count += cast(CursorResult[Any], await session.execute(statement)).rowcount
    return count + await _move_forward(session, now)


async def _move_forward(session: AsyncSession, now: float) -> int:
    """Give waiting jobs with places that no right clock gives such of now, in their order; else all others go first."""
    late = f"{int((now + _MOST_AHEAD_SECONDS) * 1_000_000):0{_PLACE_DIGITS}x}"
    where = (JobRow.status == "queued", JobRow.place > late)
    query = select(JobRow.id, JobRow.place).where(*where).order_by(JobRow.place).limit(_MOST_PLACES)
    rows = (await session.execute(query)).all()
    for number, (id, place) in enumerate(rows):
        moment = f"{int(now * 1_000_000) + number:0{_PLACE_DIGITS}x}"
        await change(session, JobRow.id == id, JobRow.status == "queued", place=moment + place[_PLACE_DIGITS:])
    return len(rows)


async def follow_clock(session: AsyncSession, now: float, most: float) -> float:
    """Move the time that workers believe by at most `most` seconds towards `now`, and return it; it is no tenant's."""
    row = await session.get(ClockRow, _CLOCK, with_for_update=True)
    if row is None:
        row = ClockRow(id=_CLOCK, believed=now)
        session.add(row)
    row.believed = min(max(now, row.believed - most), row.believed + most)
    return row.believed
