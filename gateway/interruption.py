"""A wait that others can end."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Interruption"]


class Interruption:
    """A block in which a task waits until `interrupt` ends it, which raises what `explain` returns in there.

    `asyncio.timeout(None)` that is rescheduled does the same, and costs each answer more. Like that it lets pass what
    else cancels the task, and is entered once.
    """

    __slots__ = ("_cancelling", "_explain", "_interrupted", "_task")

    def __init__(self, explain: Callable[[], Exception]) -> None:
        self._explain = explain
        self._task: asyncio.Task[object] | None = None
        self._interrupted = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._interrupted and task is not None:
            if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise self._explain() from None

    def interrupt(self) -> None:
        """End the wait; does nothing before the block, behind it, or a second time."""
        if self._task is not None and not self._interrupted:
            self._interrupted = True
            self._task.cancel()
