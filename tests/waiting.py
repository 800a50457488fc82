"""Waiting in tests for what must happen soon, without sleeping longer than it takes."""

import asyncio
import inspect
from collections.abc import Callable


async def until(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Poll; fails after a generous time, so that a slow machine doesn't fail a good test.

    A condition that is awaited asks another process, and is polled less often.
    """
    async with asyncio.timeout(timeout):
        while True:
            answer = condition()
            pause = 0.03 if inspect.isawaitable(answer) else 0.005
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(pause)
