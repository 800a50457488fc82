import asyncio
import gc
import weakref

import pytest

from gateway.web.presence import Presence


class Client:
    """The client's side of a request: `leave` disconnects it."""

    def __init__(self) -> None:
        self._left = asyncio.Event()

    def leave(self) -> None:
        self._left.set()

    async def receive(self) -> dict[str, str]:
        await self._left.wait()
        return {"type": "http.disconnect"}


async def test_work_for_a_client_that_stays_is_left_alone() -> None:
    with Presence(Client().receive):
        await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_work_ends_when_the_client_leaves_and_what_follows_goes_on() -> None:
    client = Client()
    reached: list[str] = []
    asyncio.get_running_loop().call_later(0.01, client.leave)
    with Presence(client.receive):
        try:
            await asyncio.sleep(60)
        finally:
            reached.append("cleaned up")
    await asyncio.sleep(0)
    assert reached == ["cleaned up"]


async def test_a_cancellation_from_elsewhere_is_passed_on() -> None:
    async def work() -> None:
        with Presence(Client().receive):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_is_passed_on() -> None:
    with pytest.raises(ValueError, match="mine"), Presence(Client().receive):
        raise ValueError("mine")


async def test_nothing_is_left_for_the_garbage_collector() -> None:
    """A cycle per request costs more than the rest of this class: measured at a tenth of a short answer's time."""
    gc.disable()
    try:
        presence = Presence(Client().receive)
        with presence:
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # the watch's own cancellation
        await asyncio.sleep(0)
        freed = weakref.ref(presence)
        del presence
        assert freed() is None
    finally:
        gc.enable()
