"""Interruptions at every point where a coroutine waits, one after the other."""

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["interrupted"]

T = TypeVar("T")


@types.coroutine
def interrupted(work: Coroutine[Any, Any, T], step: int, interrupt: Callable[[], object]) -> Generator[Any, Any, T]:
    """Await `work`, and call `interrupt` as it begins to wait for the `step`th time, from 0 on."""
    waits = 0
    error: BaseException | None = None
    while True:
        try:
            future = work.send(None) if error is None else work.throw(error)
        except StopIteration as done:
            return done.value
        if waits == step:
            interrupt()
        waits += 1
        try:
            yield future
            error = None
        except BaseException as raised:
            error = raised
