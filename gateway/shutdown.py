"""The end of a process's life: running answers finish within the grace time, then say that they can't."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from gateway.errors import Unavailable

__all__ = ["Drain"]

_log = structlog.get_logger()
_ERROR_EVENT_SECONDS = 2.0  # for the error events of the streams that were cut


class Drain:
    """The answers that are running, and whether the process is stopping.

    `stopping` says that no new ones are admitted, `expired` that the grace time of the running ones is over.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.expired = False
        self._stops: set[Callable[[], Awaitable[None]]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """The number of answers that are running."""
        return len(self._stops)

    def admit(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Let an answer begin; `stop` will be called if it is still running at the end of the grace time.

        Raises:
            Unavailable: The process is stopping.
        """
        if self.stopping:
            raise Unavailable("This server is stopping. Send the request again; another one takes it.", code="stopping")
        self._stops.add(stop)
        self._idle.clear()

    def dismiss(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Note that the answer admitted with `stop` has ended; doing so twice is fine."""
        self._stops.discard(stop)
        if not self._stops:
            self._idle.set()

    def check_expired(self) -> None:
        """Raise the error for a client whose answer was cut by the end of the grace time, if that is over.

        Raises:
            Unavailable: It is.
        """
        if self.expired:
            raise Unavailable("The server stopped before the answer was finished. Ask again.", code="stopping")

    async def finish(self, grace: float) -> None:
        """Refuse new answers, wait for the running ones up to `grace` seconds, then end the rest."""
        self.stopping = True
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            self.expired = True
            for fault in await asyncio.gather(*(stop() for stop in list(self._stops)), return_exceptions=True):
                if isinstance(fault, Exception):
                    _log.error("answer_not_stopped", exc_info=fault)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _ERROR_EVENT_SECONDS)
