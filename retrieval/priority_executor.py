"""One thread for work that mustn't run twice at once, with questions served before documents."""

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Any, ParamSpec, TypeVar

__all__ = ["Priority", "PriorityExecutor"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Priority(IntEnum):
    """Lower goes first. A step that has begun is never interrupted: keep the steps of an ingest short."""

    QUERY = 0
    INGEST = 1
    LAST = 2
    """Only the end of the thread: work that was handed in before it still runs."""


class PriorityExecutor:
    """Runs functions in one thread, in the order of priority, then of arrival. Belongs to one event loop."""

    def __init__(self, name: str) -> None:
        self._order = itertools.count()
        self._work: queue.PriorityQueue[tuple[Priority, int, Callable[[], Any] | None]] = queue.PriorityQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def run(
        self,
        priority: Priority,
        work: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Run `work` in the thread and return its result. If the caller is cancelled first, it isn't begun."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()

        def step() -> None:
            if future.cancelled():
                return
            try:
                result = work(*args, **kwargs)
            except BaseException as error:
                loop.call_soon_threadsafe(_fail, future, error)
            else:
                loop.call_soon_threadsafe(_finish, future, result)

        self._work.put((priority, next(self._order), step))
        return await future

    async def close(self) -> None:
        """Let the work that was handed in finish, then end the thread."""
        self._work.put((Priority.LAST, next(self._order), None))
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while (step := self._work.get()[2]) is not None:
            step()


def _finish(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
