"""The client's presence: work for somebody who has left is cancelled."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive, Scope

from gateway.web.server_extensions import LeaverSetter, find_leaver_setter

__all__ = ["Presence", "make_presence"]


class Presence:
    """Cancels the work in its block when the client leaves, wherever that work is waiting just then.

    The block is left without an error then. The request's body has to be read before. Where the server takes the call
    to make by `on_leave`, no task per request has to ask for it.
    """

    def __init__(self, receive: Receive, on_leave: LeaverSetter | None = None) -> None:
        self._receive = receive
        self._on_leave = on_leave
        self._watch: asyncio.Task[None] | None = None
        self._has_left = False

    def __enter__(self) -> Self:
        self._work = work = asyncio.current_task()
        assert work is not None
        if self._on_leave is not None:
            self._on_leave(self._cancel_work)
        else:
            self._watch = work.get_loop().create_task(_wait_for_disconnect(self._receive))
            self._watch.add_done_callback(self._cancel_work)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        work, self._work = self._work, None
        if self._on_leave is not None:
            self._on_leave(None)
        if self._watch is not None:
            self._has_left = self._watch.done()
            self._watch.cancel()
        if self._has_left and kind is asyncio.CancelledError and work is not None:
            work.uncancel()
            return True
        return False

    def _cancel_work(self, _watch: "asyncio.Future[None] | None" = None) -> None:
        if self._work is not None:
            self._has_left = True
            self._work.cancel()


def make_presence(scope: Scope, receive: Receive) -> Presence:
    """Return the presence of a request's client, by the cheaper way where the server has it."""
    return Presence(receive, find_leaver_setter(scope))


async def _wait_for_disconnect(receive: Receive) -> None:
    # Not a method: a cancelled task would refer to itself by way of `self`, one more cycle to collect per request.
    while (await receive())["type"] != "http.disconnect":
        pass
