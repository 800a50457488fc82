"""Waiting in tests for what must happen soon, without sleeping longer than it takes."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Poll; fails after a generous time, so that a slow machine doesn't fail a good test."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
