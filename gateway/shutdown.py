"""The end of a process's life: running requests finish within the grace time, then say that they can't."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from gateway.errors import Unavailable

__all__ = ["Drain", "explain_cut", "explain_stopping"]

_log = structlog.get_logger()
_ERROR_EVENT_SECONDS = 2.0  # for the error events of the streams that were cut


class Drain:
    """The requests and the answers that are running, and whether the process is stopping.

    `stopping` says that no new ones are admitted, `expired` that the grace time of the running ones is over.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.expired = False
        self._requests: set[asyncio.Task[Any]] = set()
        self._stops: dict[Callable[[], Awaitable[None]], asyncio.Task[Any] | None] = {}
        self._idle = asyncio.Event()

    @property
    def running(self) -> int:
        """The number of answers that are running."""
        return len(self._stops)

    def begin_request(self) -> "asyncio.Task[Any] | None":
        """Count the request that the current task answers; None while stopping, when there is nothing to wait for."""
        task = asyncio.current_task()
        if self.stopping or task is None:
            return None
        self._requests.add(task)
        return task

    def end_request(self, task: "asyncio.Task[Any]") -> None:
        """Note that the request of `begin_request` has ended."""
        self._requests.discard(task)
        self._note_idle()

    def admit(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Let an answer begin; `stop` will be called if it is still running at the end of the grace time.

        Raises:
            Unavailable: The process is stopping.
        """
        if self.stopping:
            raise explain_stopping()
        self._stops[stop] = asyncio.current_task()

    def dismiss(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Note that the answer admitted with `stop` has ended; doing so twice is fine."""
        self._stops.pop(stop, None)
        self._note_idle()

    def check_expired(self) -> None:
        """Raise the error for a client whose answer was cut by the end of the grace time, if that is over.

        Raises:
            Unavailable: It is.
        """
        if self.expired:
            raise explain_cut()

    async def finish(self, grace: float) -> None:
        """Refuse new requests and answers, wait for the running ones up to `grace` seconds, then end the rest.

        An answer is ended by its own `stop`, which tells its client; any other request's task is cancelled.
        """
        self.stopping = True
        self._note_idle()
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            self.expired = True
            for task in self._requests.difference(self._stops.values()):
                task.cancel()
            for fault in await asyncio.gather(*(stop() for stop in list(self._stops)), return_exceptions=True):
                if isinstance(fault, Exception):
                    _log.error("answer_not_stopped", exc_info=fault)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _ERROR_EVENT_SECONDS)

    def _note_idle(self) -> None:
        if self.stopping and not self._requests and not self._stops:
            self._idle.set()


def explain_stopping() -> Unavailable:
    """Return the error for a client that comes while the process is stopping; it has to leave its connection."""
    return _stopping("This server is stopping. Send the request again; another one takes it.")


def explain_cut() -> Unavailable:
    """Return the error for a client whose answer was cut by the process's end."""
    return _stopping("The server stopped before the answer was finished. Ask again.")


def _stopping(message: str) -> Unavailable:
    error = Unavailable(message, code="stopping")
    error.headers["connection"] = "close"
    return error
