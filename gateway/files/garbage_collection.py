"""Garbage collection of bytes: removed some time after the last row that refers to them."""

import time
from collections.abc import Callable, Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.files.repository import select_referenced
from gateway.jobs import Claim, JobDelayed, Outcome, enqueue

__all__ = ["COLLECT", "GarbageCollector", "collect_later"]

COLLECT = "collect_garbage"
_GRACE_SECONDS = 3600.0
_AT_ONCE = 500


async def collect_later(session: AsyncSession, tenant: str, digests: Collection[str]) -> None:
    """Have bytes removed once no row refers to them; in the transaction that deletes such a row."""
    queue_key = f"{COLLECT}:{tenant}"
    ordered = sorted(set(digests))
    for start in range(0, len(ordered), _AT_ONCE):
        await enqueue(
            session,
            tenant,
            kind=COLLECT,
            queue_key=queue_key,
            subject=queue_key,
            payload={"digests": ordered[start : start + _AT_ONCE]},
            delay_seconds=_GRACE_SECONDS,
        )


class GarbageCollector:
    """Handles jobs of the kind `collect_garbage`: removes bytes that no row refers to and that are older than an hour.

    An upload keeps its bytes first and writes its row after: younger bytes may be about to get one.

    Args:
        columns: Every column that holds a file's digest.
        clock: Tells the Unix time, in place of this machine's clock.
    """

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        columns: Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]],
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._columns = columns
        self._clock = clock

    async def run(self, claim: Claim) -> None:
        digests: list[str] = claim.payload["digests"]
        now = time.time() if self._clock is None else self._clock()  # before the rows are looked at, see `OrphanSweep`
        async with self._database.read() as session:
            live = await select_referenced(session, self._columns, digests)
        wait = 0.0
        for digest in set(digests) - live:
            path = self._artifacts.locate_file(digest)
            if not path.exists():
                continue
            seconds_left = path.stat().st_mtime + _GRACE_SECONDS - now
            wait = max(wait, min(seconds_left, _GRACE_SECONDS))  # a clock that was ahead may have put them
            if seconds_left <= 0:
                self._artifacts.remove_file(digest)
        if wait > 0:
            raise JobDelayed("the bytes were put again a short time ago", seconds=wait)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write nothing: no row shows that bytes are still there, and the job's own error gives the reason."""
