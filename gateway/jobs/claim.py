"""A job in a worker's hands: a lease keeps it there, and the fence guards its writes."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.ids import follow_id
from gateway.jobs.lease_watch import LeaseWatch
from gateway.jobs.repository import change_claimed, is_cancel_requested, list_claimable, list_leases, take
from gateway.jobs.tables import DELAYED, JobRow
from gateway.jobs.wait import notify_end
from retrieval.patience import Patience

__all__ = ["Claim", "LeaseLost", "claim_next", "watch_leases"]

_CANDIDATES = 16
_BEAT_SECONDS = 1.0  # also how soon a handler learns that its job was cancelled
_LATE_SECONDS = 1.0


class LeaseLost(Exception):
    """Another worker holds the job now; whatever this one still wanted to write is refused."""


class Claim:
    """One claim of one job: what to do, how far it had got, and the only way to write for it.

    `fence` numbers the claims of the job: it is larger than that of each earlier claim.
    `last_delay` is the pause in seconds before this claim, 0 where the job didn't wait for a part.
    `cancelled` is set when the owner asked for the job to stop; the handler then raises `JobCancelled` when it can.
    """

    def __init__(self, database: Database, row: JobRow, lease_seconds: float) -> None:
        self.id = row.id
        follow_id(row.id)  # what is made in this job comes after what was made when it was asked for
        self.tenant = row.tenant_id
        self.kind = row.kind
        self.subject = row.subject
        self.payload: dict[str, Any] = row.payload
        self.state: dict[str, Any] = row.state
        self.attempts = row.attempts + 1
        self.fence = row.fence + 1
        error: dict[str, Any] = row.error or {}
        self.last_delay: float = error.get("pause", 0.0) if error.get("code") == DELAYED else 0.0
        self.cancelled = asyncio.Event()
        if row.cancel_requested:
            self.cancelled.set()
        self._database = database
        self._lease_seconds = lease_seconds

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncSession]:
        """Open a unit of work that commits only if this claim still holds the job.

        Raises:
            LeaseLost: Another worker has the job; nothing was written.
        """
        async with self._database.begin() as session:
            yield session
            await self._hold(session, lease_until=time.time() + self._lease_seconds)

    async def count_afresh(self, session: AsyncSession) -> None:
        """Forget the attempts before this one, in a unit of work of `begin`: the job has got further in it."""
        self.attempts = 1
        await self._hold(session, attempts=1)

    async def save(self, state: dict[str, Any], *, further: bool = False) -> None:
        """Keep how far the job has got: the next claim starts with it.

        With `further` it has got further than ever, so that the attempts before are forgotten: what takes hours may
        lose more leases to a busy machine than a job that ends its worker each time may have attempts.
        """
        async with self._database.begin() as session:
            await self._hold(session, state=state)
            if further:
                await self.count_afresh(session)
        self.state = state

    async def keep_lease(self) -> None:
        """Renew the lease until cancelled.

        Raises:
            LeaseLost: Another worker has the job, or the database didn't answer before the lease ended.
        """
        until = time.monotonic() + self._lease_seconds
        pause = min(_BEAT_SECONDS, self._lease_seconds / 3)
        while True:
            due = time.monotonic() + pause
            await asyncio.sleep(pause)
            start = time.monotonic()
            if start - due > _LATE_SECONDS:
                # This process stood still, and nobody else need have the job since, which its fence tells.
                until = max(until, start + self._lease_seconds / 3)
            try:
                async with Patience(max(until - start, 0.0)), self.begin() as session:
                    cancel = await is_cancel_requested(session, self.id)
            except (SQLAlchemyError, TimeoutError):
                if time.monotonic() >= until:
                    raise LeaseLost(f"the lease of job {self.id} could not be renewed in time") from None
                continue
            # It was renewed at some time since, and may be over again where this process has stood still in between.
            until = max(start + self._lease_seconds, time.monotonic() + pause + self._lease_seconds / 3)
            if cancel:
                self.cancelled.set()

    @asynccontextmanager
    async def end(self, status: str, error: dict[str, Any] | None) -> AsyncGenerator[AsyncSession]:
        """End the job in one transaction with what the body writes; `status` is succeeded, failed or cancelled.

        Its state goes, however it ended: notes in it may have texts of the tenant, and nobody goes on from them.
        """
        async with self._database.begin() as session:
            yield session
            end = {"status": status, "error": error, "finished_at": int(time.time()), "state": {}}
            await self._hold(session, **end, **_FREE)
        notify_end(self._database, self.id)

    async def release(self, *, pause: float = 0.0, error: dict[str, Any] | None = None, counted: bool = False) -> None:
        """Put the job back for any worker to take, `pause` seconds from now; `counted`: this was an attempt."""
        attempts = self.attempts if counted else self.attempts - 1
        not_before = time.time() + pause if pause else None
        async with self._database.begin() as session:
            values = {"status": "queued", "attempts": attempts, "not_before": not_before, "error": error}
            await self._hold(session, **values, **_FREE)

    async def _hold(self, session: AsyncSession, **values: Any) -> None:
        await session.flush()
        if not await change_claimed(session, self.id, self.fence, **values):
            raise LeaseLost(f"job {self.id} isn't held by this claim any more")


_FREE: dict[str, Any] = {"running_key": None, "worker": None, "lease_until": None}


async def claim_next(
    database: Database,
    *,
    kinds: Collection[str],
    worker: str,
    lease_seconds: float,
    without: Collection[str] = (),
    watch: LeaseWatch | None = None,
    urgent_only: bool = False,
) -> Claim | None:
    """Take the oldest job of these kinds that can be run now, if there is one; none of `without`.

    The `watch` tells which leases of others have ended; without one their times do.
    """
    if not kinds:
        return None
    async with database.read() as session:
        now, many = time.time(), _CANDIDATES
        rows = await list_claimable(session, kinds, without, now, many, watch=watch, urgent_only=urgent_only)
    for row in rows:
        try:
            async with database.begin() as session:
                won = await take(session, row, worker, time.time(), lease_seconds)
        except IntegrityError:  # another worker has begun a job of this queue key since
            continue
        if won:
            return Claim(database, row, lease_seconds)
    return None


async def watch_leases(database: Database, watch: LeaseWatch, without: Collection[str]) -> None:
    """Look at the leases of others without taking a job: who has room later knows by then which have ended."""
    async with database.read() as session:
        watch.find_ended(await list_leases(session, without), time.time())
