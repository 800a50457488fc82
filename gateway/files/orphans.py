"""Bytes in the artifacts that no row refers to: what a crash, a failed write or a deletion left there."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.files.repository import select_referenced

__all__ = ["OrphanSweep"]

_BATCH = 500
_HOUR_SECONDS = 3600.0
_INCOMING_SECONDS = 86_400.0  # since the last byte that was written there


class OrphanSweep:
    """Walks the artifacts and removes what is nobody's.

    Bytes are kept before their row is written, so younger ones than an hour may be about to get one. How old they are
    counts as of before the rows were looked at: a machine may sleep for hours between that look and the removal.

    Args:
        database: The rows.
        artifacts: The bytes.
        columns: Every column that holds a file's digest.
        adapters_in_use: Returns those of some digests that an adapter of any tenant still needs, or needed at a Unix
            time or later.
        adapter_hours: How long weights stay when their last adapter was deleted or refused; 0: for good. An engine may
            need some of the first hour to unload them.
        clock: Tells the Unix time, in place of this machine's clock.
    """

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        columns: Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]],
        adapters_in_use: Callable[[AsyncSession, Collection[str], float], Awaitable[set[str]]],
        *,
        adapter_hours: int = 1,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._columns = columns
        self._adapters_in_use = adapters_in_use
        self._adapter_seconds = adapter_hours * _HOUR_SECONDS
        self._clock = clock

    async def sweep_files(self) -> int:
        """Remove files that no row of any tenant refers to, and what is left of cut uploads; return the number."""
        now = self._read_clock()
        count = await asyncio.to_thread(self._artifacts.remove_incoming, now - _INCOMING_SECONDS)
        digests = await asyncio.to_thread(self._artifacts.list_files)
        for batch in _batches(digests):
            async with self._database.read() as session:
                live = await select_referenced(session, self._columns, batch)
            count += await asyncio.to_thread(self._remove_files, set(batch) - live, now)
        return count

    async def sweep_adapters(self) -> int:
        """Remove the folders of adapters that were deleted or refused everywhere long enough ago; return the number."""
        count, now = 0, self._read_clock()
        since = now - self._adapter_seconds if self._adapter_seconds else 0.0
        digests = await asyncio.to_thread(self._artifacts.list_adapters)
        for batch in _batches(digests):
            async with self._database.read() as session:
                unused = set(batch) - await self._adapters_in_use(session, batch, since)
            for digest in unused:
                if self._artifacts.measure_adapter_age(digest, now) >= _HOUR_SECONDS:
                    await asyncio.to_thread(self._artifacts.remove_adapter, digest)
                    count += 1
        return count

    def _read_clock(self) -> float:
        return time.time() if self._clock is None else self._clock()

    def _remove_files(self, digests: Collection[str], now: float) -> int:
        count = 0
        for digest in digests:
            age = self._artifacts.measure_file_age(digest, now)
            if age is not None and age >= _HOUR_SECONDS:
                self._artifacts.remove_file(digest)
                count += 1
        return count


def _batches(digests: Sequence[str]) -> Sequence[Sequence[str]]:
    return [digests[start : start + _BATCH] for start in range(0, len(digests), _BATCH)]
