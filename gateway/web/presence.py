"""The client's presence: work for somebody who has left is cancelled."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

__all__ = ["Presence"]


class Presence:
    """Cancels the work in its block when the client leaves, wherever that work is waiting just then.

    The block is left without an error then. The request's body has to be read before.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def __enter__(self) -> Self:
        self._work = work = asyncio.current_task()
        assert work is not None
        self._watch = work.get_loop().create_task(_wait_for_disconnect(self._receive))
        self._watch.add_done_callback(self._cancel_work)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        work, self._work = self._work, None
        left = self._watch.done()
        self._watch.cancel()
        if left and kind is asyncio.CancelledError and work is not None:
            work.uncancel()
            return True
        return False

    def _cancel_work(self, _watch: "asyncio.Future[None]") -> None:
        if self._work is not None:
            self._work.cancel()


async def _wait_for_disconnect(receive: Receive) -> None:
    # Not a method: a cancelled task would refer to itself by way of `self`, one more cycle to collect per request.
    while (await receive())["type"] != "http.disconnect":
        pass
