"""Waiting for jobs to end: however many are awaited, one task asks the database for all of them.

A worker in the same process says when a job has ended. Of others it is asked for, the seldomer the longer it takes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakKeyDictionary

import structlog

from gateway.db import Database
from gateway.jobs.repository import JobRepository, list_ended
from gateway.jobs.tables import FINAL_STATUSES, JobRow

__all__ = ["notify_end", "wait_for"]

_log = structlog.get_logger()
_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 0.5
_PATIENCE = 10
"""A wait is made longer by a tenth at most."""


async def wait_for(database: Database, tenant: str, job_id: str, seconds: float) -> JobRow:
    """Wait until the job has ended, or for `seconds`; return it as it is then."""
    async with database.read() as session:
        row = await JobRepository(session, tenant).get(job_id)
    if row.status in FINAL_STATUSES or seconds <= 0:
        return row
    poller = _pollers.get(database)
    if poller is None:
        poller = _pollers[database] = _Poller(database)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await poller.wait(job_id)
    async with database.read() as session:
        return await JobRepository(session, tenant).get(job_id)


def notify_end(database: Database, job_id: str) -> None:
    """Tell those of this process who wait for a job that it has ended; its end is committed."""
    if (poller := _pollers.get(database)) is not None:
        poller.end([job_id])


class _Poller:
    """Asks about the awaited jobs of one database, as long as there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._newest = 0.0  # when the last one began to wait

    async def wait(self, job_id: str) -> None:
        loop = asyncio.get_running_loop()
        end, self._newest = loop.create_future(), loop.time()
        self._waiting[job_id].add(end)
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        try:
            await end
        finally:
            self._waiting[job_id].discard(end)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
            if not self._waiting:
                self._task.cancel()
                self._task = None

    def end(self, jobs: Iterable[str]) -> None:
        for job_id in jobs:
            for future in self._waiting.get(job_id, ()):
                if not future.done():
                    future.set_result(None)

    async def _sleep(self) -> None:
        """Sleep until it is worth asking, in steps, so that one who has just come doesn't wait for long."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            longest = min((loop.time() - self._newest) / _PATIENCE, _LONGEST_POLL_SECONDS)
            if loop.time() - begun >= longest:
                return

    async def _poll(self) -> None:
        while True:
            await self._sleep()
            try:
                async with self._database.read() as session:
                    job_ids = await list_ended(session, self._waiting)
            except Exception:
                # Whoever waits has a time of their own, and asks once more when it is over.
                _log.exception("awaited_jobs_unknown")
                continue
            self.end(job_ids)


_pollers: WeakKeyDictionary[Database, _Poller] = WeakKeyDictionary()
