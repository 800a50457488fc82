"""The end of a process's life: running answers finish within the grace time, then say that they can't."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from gateway.errors import Unavailable

__all__ = ["Drain"]

_ERROR_EVENT_SECONDS = 2.0  # for the error events of the streams that were cut


class Drain:
    """Knows whether the process is stopping, and the answers that are still being written."""

    def __init__(self) -> None:
        self.stopping = False
        self.expired = False
        self._running: set[Callable[[], Awaitable[None]]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def track(self, cancel: Callable[[], Awaitable[None]]) -> Generator[None]:
        """Count one answer while it is being written; `cancel` ends its upstream when the grace time is over."""
        self._running.add(cancel)
        self._idle.clear()
        try:
            yield
        finally:
            self._running.discard(cancel)
            if not self._running:
                self._idle.set()

    def admit(self) -> None:
        """Let a new answer begin.

        Raises:
            Unavailable: The process is stopping.
        """
        if self.stopping:
            raise Unavailable("This server is stopping. Send the request again; another one takes it.", code="stopping")

    def stopped_error(self) -> Unavailable:
        """Return the error for a client whose answer was cut by the end of the grace time."""
        return Unavailable("The server stopped before the answer was finished. Ask again.", code="stopping")

    async def finish(self, grace: float) -> None:
        """Refuse new answers, wait for the running ones up to `grace` seconds, then end the rest."""
        self.stopping = True
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            self.expired = True
            await asyncio.gather(*(cancel() for cancel in list(self._running)))
            await asyncio.wait([asyncio.ensure_future(self._idle.wait())], timeout=_ERROR_EVENT_SECONDS)
