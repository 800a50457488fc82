"""Work that is done at once, and ends with what wanted it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import nullcontext
from typing import Any, TypeVar

__all__ = ["await_each", "await_whole"]

Item = TypeVar("Item")
Result = TypeVar("Result")


async def await_each(
    work: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, at_once: int | None = None
) -> list[Result]:
    """Do the work of every item at once, or of `at_once` of them at a time; return the results in the items' order.

    The first that fails ends the others before its exception is raised. `asyncio.gather` would leave them running: they
    would hold connections of a request that was answered, or ask engines for a job that is over.

    Args:
        work: Does one item.
        items: All of them; each has a task from the start, which waits for its place.
        at_once: How many have a place; None for all.

    Raises:
        BaseException: What the first that failed has raised, itself and not in a group.
    """
    places = nullcontext() if at_once is None else asyncio.Semaphore(at_once)

    async def place(item: Item) -> Result:
        async with places:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(place(item)) for item in items]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


async def await_whole(work: Coroutine[Any, Any, Result]) -> Result:
    """Do work to its end, and raise behind it what would have ended it.

    It is for closing things: who presses Ctrl-C twice cancels a task while the first one's end is under way, and what
    hadn't been closed by then would stay open.

    Raises:
        CancelledError: The task was cancelled meanwhile.
    """
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        raise interruption
    return task.result()
