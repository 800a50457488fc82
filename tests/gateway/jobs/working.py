"""Running a worker in a test until there is nothing left for it to do."""

import asyncio
import time

from sqlalchemy import func, select

from gateway.db import Database
from gateway.jobs import JobRow, Worker


async def until_idle(worker: Worker, database: Database, *, delayed_too: bool = True, seconds: float = 120) -> None:
    """Run the worker until no job is left; without `delayed_too` those that wait for their time may be."""
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(seconds):
            while await _live(database, delayed_too):
                if task.done():
                    task.result()
                await asyncio.sleep(0.05)
    finally:
        worker.stop()
        await task


async def _live(database: Database, delayed_too: bool) -> int:
    query = select(func.count()).select_from(JobRow).where(JobRow.status.in_(["queued", "running"]))
    if not delayed_too:
        query = query.where(JobRow.not_before.is_(None) | (JobRow.not_before <= time.time()))
    async with database.read() as session:
        return await session.scalar(query) or 0
