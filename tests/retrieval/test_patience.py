import asyncio
import socket
import time
from collections.abc import Callable

import pytest
import uvloop

from retrieval.patience import Patience


@pytest.mark.parametrize("seconds", [0.5, 1.6], ids=["long over", "just over"])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_answer_that_came_while_the_process_stood_still_is_read(run: Callable[..., bytes], seconds: float) -> None:
    """As where it was paused: the timer is over by then, and another task hands on what is read."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def stand_still() -> None:
        time.sleep(2)
        theirs.send(b"!")

    async def wait() -> bytes:
        loop = asyncio.get_running_loop()
        reading = asyncio.create_task(loop.sock_recv(ours, 1))
        loop.call_soon(stand_still)
        async with Patience(seconds):
            return await reading

    with ours, theirs:
        assert run(wait()) == b"!"


async def test_a_wait_ends_with_its_time() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with Patience(0.1):
            await asyncio.Event().wait()
    assert time.monotonic() >= began + 0.1


async def test_a_block_that_ends_in_time_leaves_nothing_behind() -> None:
    async with Patience(0.02):
        pass
    await asyncio.sleep(0.1)


async def test_only_one_standstill_is_forgiven() -> None:
    """Where every timer is late there is more to do than time for it."""
    loop, blocks = asyncio.get_running_loop(), 0

    def stand_still() -> None:
        nonlocal blocks
        blocks += 1
        time.sleep(1.3)
        if blocks < 12:
            loop.call_soon(stand_still)

    loop.call_soon(stand_still)
    with pytest.raises(TimeoutError):
        async with Patience(0.2):
            await asyncio.Event().wait()
    assert 1 < blocks < 12
