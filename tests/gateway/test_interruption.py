import asyncio
from collections.abc import Callable

import pytest

from gateway.interruption import Interruption


class Ended(Exception):
    pass


async def wait(interruption: Interruption, passed: list[str]) -> None:
    with interruption:
        passed.append("inside")
        await asyncio.sleep(60)
    passed.append("behind")


async def start(interruption: Interruption) -> "asyncio.Task[None]":
    passed: list[str] = []
    task = asyncio.create_task(wait(interruption, passed))
    await asyncio.sleep(0)
    assert passed == ["inside"]
    return task


async def test_a_wait_that_is_interrupted_ends_in_the_reason() -> None:
    interruption = Interruption(Ended)
    task = await start(interruption)
    interruption.interrupt()
    interruption.interrupt()
    with pytest.raises(Ended):
        await task
    assert not task.cancelling()


async def test_who_cancels_the_task_cancels_it() -> None:
    task = await start(Interruption(Ended))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("order", [1, -1])
async def test_a_cancellation_goes_before_an_interruption(order: int) -> None:
    interruption = Interruption(Ended)
    task = await start(interruption)
    ends: list[Callable[[], object]] = [interruption.interrupt, task.cancel]
    for end in ends[::order]:
        end()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_of_time_around_it_is_its_own() -> None:
    interruption = Interruption(Ended)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(interruption, []), 0.01)
    interruption.interrupt()
    await asyncio.sleep(0)  # nobody is cancelled who isn't in the block


async def test_an_error_in_the_block_passes() -> None:
    with pytest.raises(ValueError, match="mine"), Interruption(Ended):
        raise ValueError("mine")
    early = Interruption(Ended)
    early.interrupt()
    with early:
        await asyncio.sleep(0)
