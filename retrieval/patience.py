"""A bound on a wait for another process, in which time that this process stood still doesn't count."""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Patience"]

_LATE_SECONDS, _HARDLY_LATE_SECONDS = 1.0, 0.05
_READING_SECONDS = 0.25


class Patience:
    """A block that ends in a `TimeoutError` after so many seconds, as `asyncio.timeout` does it.

    A process that was paused finds the time over, and the answer unread that came meanwhile, or not handed on yet by
    the task that reads. So a timer that comes late begins anew, once: where each is late, since there is more to do
    than time for it, what was answered would have been read by the second. One that is hardly late may have come at the
    end of a standstill all the same, and waits for as long as reading takes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._forgives = True

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._begin(self._seconds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _begin(self, seconds: float) -> None:
        self._end = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._end, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        late = now - self._end
        if self._forgives and late > _HARDLY_LATE_SECONDS:
            self._forgives = False
            self._begin(self._seconds if late > _LATE_SECONDS else _READING_SECONDS)
        else:
            self._limit.reschedule(now)
