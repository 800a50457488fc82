"""The end of leases: told by that nobody renews them, and never by a wall clock alone.

Clocks jump (a machine that slept, one that finds the right time) and differ between machines, and by such a clock the
lease of a worker that lives has ended. But it goes on to renew it each second, which shows on a clock that only runs.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

__all__ = ["HeldLease", "LeaseWatch", "list_past"]

_LOOK_SECONDS = 3.0
_LOOK_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A claim's hold on a job, until a Unix time on the clock of the worker that has it."""

    job: str
    fence: int
    until: float


class LeaseWatch:
    """Sees leases at each of a worker's looks for work.

    One whose time is over has ended when it wasn't renewed for three seconds in which this looked; one that isn't
    renewed for `lease_seconds` has ended whatever its time says: the clock that wrote it may have been set back since.

    Args:
        lease_seconds: As long as no holder goes without renewing.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._look_seconds = min(_LOOK_SECONDS, lease_seconds * _LOOK_SHARE)
        self._since: dict[HeldLease, float] = {}
        self._looked_at = 0.0

    def find_ended(self, leases: Collection[HeldLease], now: float) -> list[str]:
        """Return the jobs whose leases are over at `now` (Unix seconds); `leases` are all that others hold."""
        moment = time.monotonic()
        if moment - self._looked_at > self._look_seconds / 2:
            # Nothing is known of the time between: the database was away, or this process stood still, and so may they.
            self._since.clear()
        self._looked_at = moment
        self._since = {lease: self._since.get(lease, moment) for lease in leases}
        return [lease.job for lease in leases if self._has_ended(lease, moment - self._since[lease], now)]

    def _has_ended(self, lease: HeldLease, seconds: float, now: float) -> bool:
        return seconds >= (self._look_seconds if lease.until < now else self._lease_seconds)


def list_past(leases: Iterable[HeldLease], now: float) -> list[str]:
    """Return the jobs whose leases are over by their times alone."""
    return [lease.job for lease in leases if lease.until < now]
