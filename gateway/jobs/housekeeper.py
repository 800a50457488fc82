"""Chores of a worker that nobody asks for: what has had its time is deleted, a little at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database

__all__ = ["Chore", "Housekeeper", "delete_older"]

_log = structlog.get_logger()
_BATCH = 500
_PAUSE_SECONDS = 0.05  # between two batches, so that others write in between
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that is done every `seconds`; it returns how many things it removed. Doing it twice is fine."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[int]]


class Housekeeper:
    """Does chores until it is cancelled. Each worker has one; what another has removed is no work any more.

    Args:
        chores: Done one after another, each soon after the process's start and then at its own pace.
        count: Told of what each chore removed: its name, and the number.
        first_seconds: From the start to the first chore: what a start is for goes first.
    """

    def __init__(
        self, chores: Sequence[Chore], count: Callable[[str, int], None], *, first_seconds: float = 3.0
    ) -> None:
        self._chores = chores
        self._count = count
        self._first_seconds = first_seconds

    async def run(self) -> None:
        """Do what is due, for good; a chore that fails is logged, and done again at its next turn."""
        due = {chore.name: time.monotonic() + self._first_seconds for chore in self._chores}
        while True:
            for chore in self._chores:
                if due[chore.name] <= time.monotonic():
                    await self._do(chore)
                    due[chore.name] = time.monotonic() + chore.seconds
            await asyncio.sleep(max(0.0, min(due.values()) - time.monotonic()))

    async def _do(self, chore: Chore) -> None:
        try:
            count = await chore.work()
        except Exception as error:
            _log.warning("chore_failed", chore=chore.name, reason=f"{type(error).__name__}: {error}")
            return
        self._count(chore.name, count)
        if count:
            _log.info("chore_done", chore=chore.name, removed=count)


async def delete_older(
    database: Database,
    delete: Callable[[AsyncSession, int, int], Awaitable[int]],
    days: int,
    *,
    clock: Callable[[], float] | None = None,
    batch: int = _BATCH,
) -> int:
    """Delete what is older than `days` in batches of one short transaction each, and return the number.

    Args:
        database: Where the rows are.
        delete: Deletes rows from before a Unix time, at most so many, and returns the number.
        days: 0 deletes nothing.
        clock: Tells the Unix time, in place of this machine's clock.
        batch: The most rows of one transaction.
    """
    before, total = int(time.time() if clock is None else clock()) - days * _DAY_SECONDS, 0
    while days:
        async with database.begin(counted=False) as session:
            deleted = await delete(session, before, batch)
        total += deleted
        if deleted < batch:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return total
