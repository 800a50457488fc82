"""The end of a process's life: running answers finish within the grace time, then say that they can't."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from gateway.errors import Unavailable

__all__ = ["Lifetime"]

_LAST_WORDS_SECONDS = 2.0  # for the error events of the streams that were cut


class Lifetime:
    """Knows whether the process is leaving, and which answers are still being written."""

    def __init__(self) -> None:
        self.leaving = False
        self.over = False
        self._running: set[Callable[[], Awaitable[None]]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def answering(self, cut: Callable[[], Awaitable[None]]) -> Generator[None]:
        """Count one answer while it is being written; `cut` ends its upstream when the grace time is over."""
        self._running.add(cut)
        self._idle.clear()
        try:
            yield
        finally:
            self._running.discard(cut)
            if not self._running:
                self._idle.set()

    def admit(self) -> None:
        """Let a new answer begin.

        Raises:
            Unavailable: The process is leaving.
        """
        if self.leaving:
            raise Unavailable("This server is stopping. Send the request again; another one takes it.", code="stopping")

    def last_words(self) -> Unavailable:
        """Return what a client hears whose answer was cut by the end of the grace time."""
        return Unavailable("The server stopped before the answer was finished. Ask again.", code="stopping")

    async def leave(self, grace: float) -> None:
        """Refuse new answers, wait for the running ones up to `grace` seconds, then end the rest."""
        self.leaving = True
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            self.over = True
            await asyncio.gather(*(cut() for cut in list(self._running)))
            await asyncio.wait([asyncio.ensure_future(self._idle.wait())], timeout=_LAST_WORDS_SECONDS)
