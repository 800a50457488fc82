"""A bound on a wait for another process, in which time that this process stood still doesn't count."""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Patience"]

_LATE_SECONDS = 1.0


class Patience:
    """A block that ends in a `TimeoutError` after so many seconds, as `asyncio.timeout` does it.

    A process that was paused finds the time over, and the answer unread that came meanwhile: timers are looked at
    before connections are. So one that comes late begins anew, once: where each is late, since there is more to do than
    time for it, what was answered would have been read by the second.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._forgives = True

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _begin(self) -> None:
        self._end = self._loop.time() + self._seconds
        self._timer = self._loop.call_at(self._end, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._forgives and now - self._end > _LATE_SECONDS:
            self._forgives = False
            self._begin()
        else:
            self._limit.reschedule(now)
