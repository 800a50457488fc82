"""A few threads for work that takes turns: questions before documents, and both have their share."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ParamSpec, TypeVar

__all__ = ["Priority", "PriorityThreads"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


_IN_A_ROW = 2
"""Turns after which the priority below has one, if it waits. A turn of the embedder is a batch on either side."""


class Priority(IntEnum):
    """Lower goes first. A step that has begun is never interrupted: keep the steps of an ingest short."""

    QUERY = 0
    EDIT = 1
    """A document that was changed, whose owner looks for it; one of many is an `INGEST`."""
    INGEST = 2
    AHEAD = 3
    """Documents whose turn to be written hasn't come."""


@dataclass(frozen=True, slots=True)
class _Step:
    run: Callable[[], None]
    future: asyncio.Future[Any]


class PriorityThreads:
    """Runs functions in its threads, by priority, then in the order of arrival. Belongs to one event loop.

    Questions go first, but every third turn is a document's: however many clients ask without a pause, an ingest goes
    on. Likewise a document that is written goes before those that are read ahead. Work whose caller has gone takes no
    turn.

    Args:
        name: Of its threads.
        threads: How many steps run at once: one, unless they may meet each other.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._work: dict[Priority, deque[_Step]] = {priority: deque() for priority in Priority}
        self._ready = threading.Condition()
        self._closing = False
        self._in_a_row = dict.fromkeys(Priority, 0)
        self._threads = [threading.Thread(target=self._serve, name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    async def run(
        self,
        priority: Priority,
        work: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Run `work` in a thread and return its result. If the caller is cancelled first, it isn't begun."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        context = copy_context()  # what it logs in the thread has the caller's cause

        def step() -> None:
            try:
                result = context.run(work, *args, **kwargs)
            except BaseException as error:
                loop.call_soon_threadsafe(_fail, future, error)
            else:
                loop.call_soon_threadsafe(_finish, future, result)

        with self._ready:
            self._work[priority].append(_Step(step, future))
            self._ready.notify()
        return await future

    def count_waiting(self, priority: Priority) -> int:
        """Return how many steps of a priority wait for their turn."""
        return len(self._work[priority])

    async def close(self) -> None:
        """Let the work that was handed in finish, then end the threads."""
        with self._ready:
            self._closing = True
            self._ready.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _serve(self) -> None:
        while (step := self._next()) is not None:
            step.run()

    def _next(self) -> "_Step | None":
        """Wait for work, and choose the next step; None at the end."""
        with self._ready:
            while True:
                for steps in self._work.values():
                    while steps and steps[0].future.cancelled():
                        steps.popleft()
                if (priority := self._choose()) is not None:
                    return self._work[priority].popleft()
                if self._closing:
                    return None
                self._ready.wait()

    def _choose(self) -> "Priority | None":
        """Choose the first priority that has work, unless it had its turns in a row and one below waits."""
        waiting = [priority for priority in Priority if self._work[priority]]
        for at, priority in enumerate(waiting):
            if at == len(waiting) - 1 or self._in_a_row[priority] < _IN_A_ROW:
                self._in_a_row[priority] += 1
                for above in waiting[:at]:
                    self._in_a_row[above] = 0
                return priority
        return None


def _finish(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
