"""The time by which is deleted what has had its time: a clock that jumps ahead isn't believed at once.

What is hidden too early comes back when a clock is set right, what is deleted doesn't: a worker whose machine wakes up
in another year would delete every record of its database within minutes.
"""

import time

import structlog

from gateway.db import Database
from gateway.jobs.repository import follow_clock

__all__ = ["BelievedClock"]

_log = structlog.get_logger()
_PACE = 24.0
"""Seconds that are believed per second: a machine that was off for a week catches up in seven hours."""
_DOUBT_SECONDS = 86_400.0
_TELL_SECONDS = 3_600.0


class BelievedClock:
    """A clock whose Unix seconds are never ahead of this machine's clock, nor of what was believed before.

    What is believed is one number in the database, of all workers. Each of them moves it towards its own clock, by at
    most a day per hour in which it runs, ahead or back. A new database's first worker is believed; one from before it
    was kept begins with its newest row (migration 0039).
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._believed = 0.0  # until `follow` has read it, nothing is old
        self._followed_at: float | None = None
        self._told_at = float("-inf")

    def __call__(self) -> float:
        return min(time.time(), self._believed)

    async def follow(self) -> int:
        """Move what is believed towards this machine's clock; a chore, which removes nothing."""
        now, moment = time.time(), time.monotonic()
        most = 0.0 if self._followed_at is None else _PACE * (moment - self._followed_at)
        async with self._database.begin(counted=False) as session:
            self._believed = await follow_clock(session, now, most)
        self._followed_at = moment
        ahead = now - self._believed
        if abs(ahead) > _DOUBT_SECONDS and moment - self._told_at >= _TELL_SECONDS:
            self._told_at = moment
            _log.warning("clock_not_believed", ahead_seconds=round(ahead), advice="see whether this machine's is right")
        return 0
