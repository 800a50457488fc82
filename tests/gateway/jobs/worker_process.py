"""A worker as a process of its own: `python -m tests.gateway.jobs.worker_process URL LOG NAME GRACE LEASE`."""

import asyncio
import os
import signal
import sys

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import open_database
from gateway.jobs import Claim, JobFailed, Outcome, Worker, WorkerTimings, failpoint
from gateway.tenants.tables import TenantRow

STEPS = 3


class Steps:
    """Notes each step in a file, and saves its place after each."""

    def __init__(self, log: str) -> None:
        self._log = log

    async def run(self, claim: Claim) -> None:
        if claim.payload.get("broken"):
            failpoint("broken")
            raise JobFailed("invalid_file", "It is broken.")
        for step in range(claim.state.get("next", 0), claim.payload.get("steps", STEPS)):
            self._note(f"{claim.id} {step}")
            failpoint(f"noted-{step}")
            await claim.save({"next": step + 1})
            failpoint(f"saved-{step}")
            await asyncio.sleep(claim.payload.get("seconds", 0))

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        session.add(TenantRow(id=f"{claim.id}-{outcome.status}", name=f"{claim.id} {outcome.code}", created_at=0))

    def _note(self, line: str) -> None:
        handle = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{line}\n".encode())
        os.close(handle)


async def main(url: str, log: str, name: str, grace_seconds: str, lease_seconds: str) -> None:
    async with open_database(url) as database:
        timings = WorkerTimings(
            lease_seconds=float(lease_seconds),
            idle_seconds=0.05,
            grace_seconds=float(grace_seconds),
            pauses=(0.01, 0.01),
        )
        worker = Worker(database, {"steps": Steps(log)}, name=name, timings=timings)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
