"""Waiting in tests for what must happen soon, without sleeping longer than it takes."""

import asyncio
import inspect
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Poll; fails after a generous time, so that a slow machine doesn't fail a good test.

    A condition that is awaited asks a server, and is polled less often: each time costs 3 ms of a core that what is
    waited for needs too. So the pauses grow, to a fifth of the time that has gone by or 0.1 s.
    """
    started = time.monotonic()
    async with asyncio.timeout(timeout):
        while True:
            answer = condition()
            shortest = 0.03 if inspect.isawaitable(answer) else 0.005
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(max(shortest, min(0.1, (time.monotonic() - started) / 5)))
