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
_GAP_SHARE = 1 / 5


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A claim's hold on a job, until a Unix time on the clock of the worker that has it."""

    job: str
    fence: int
    until: float


@dataclass(frozen=True, slots=True)
class _Sight:
    """A lease as it was seen: since a moment without a gap, and unchanged over so many gaps between looks before."""

    since: float
    gaps: int = 0


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
        self.pause = self._look_seconds / 4
        """Seconds between looks of a worker that wants no job, so that it knows of the time between."""
        self._sights: dict[HeldLease, _Sight] = {}
        self._looked_at = 0.0

    def find_ended(self, leases: Collection[HeldLease], now: float) -> list[HeldLease]:
        """Return those that are over at `now` (Unix seconds); `leases` are all that others hold, of whatever kind."""
        moment = time.monotonic()
        # Nothing is known of the time between: the database was away, or this process stood still, and so may they.
        is_blind = moment - self._looked_at > self._look_seconds / 2
        self._looked_at = moment
        new = _Sight(moment)
        before, self._sights = self._sights, {}
        for lease in leases:
            sight = before.get(lease, new)
            self._sights[lease] = _Sight(moment, sight.gaps + 1) if is_blind and sight is not new else sight
        return [lease for lease, sight in self._sights.items() if self._has_ended(lease, sight, moment, now)]

    def _has_ended(self, lease: HeldLease, sight: _Sight, moment: float, now: float) -> bool:
        # A little for each gap: where looks are always slow, as with a database that is, leases of the dead end too.
        seconds = moment - sight.since + sight.gaps * self._look_seconds * _GAP_SHARE
        return seconds >= (self._look_seconds if lease.until < now else self._lease_seconds)


def list_past(leases: Iterable[HeldLease], now: float) -> list[HeldLease]:
    """Return the leases that are over by their times alone."""
    return [lease for lease in leases if lease.until < now]
