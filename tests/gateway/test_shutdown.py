import asyncio
from contextlib import suppress

import pytest

from gateway.errors import Unavailable
from gateway.shutdown import Drain


class Running:
    """An answer that is running; stopping it ends it."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        self.stopped = 0
        drain.admit(self.stop)

    async def stop(self) -> None:
        self.stopped += 1
        self.end()

    def end(self) -> None:
        self.drain.dismiss(self.stop)


async def test_what_runs_is_counted_until_it_ends() -> None:
    drain = Drain()
    first, second = Running(drain), Running(drain)
    assert drain.running == 2
    first.end()
    first.end()
    assert drain.running == 1
    second.end()
    assert drain.running == 0


async def test_an_idle_process_stops_at_once() -> None:
    drain = Drain()
    await asyncio.wait_for(drain.finish(60), 1)
    assert drain.stopping
    assert not drain.expired


async def test_a_stopping_process_admits_nothing_new() -> None:
    drain = Drain()
    await drain.finish(0)
    with pytest.raises(Unavailable) as caught:
        Running(drain)
    assert caught.value.code == "stopping"
    assert drain.running == 0


async def test_running_answers_are_waited_for() -> None:
    drain = Drain()
    answer = Running(drain)
    finishing = asyncio.create_task(drain.finish(60))
    await asyncio.sleep(0.01)
    assert not finishing.done()
    answer.end()
    await asyncio.wait_for(finishing, 30)
    assert not drain.expired
    assert answer.stopped == 0
    drain.check_expired()


async def test_running_requests_are_waited_for_and_counted_once_each() -> None:
    drain = Drain()
    first = asyncio.Event()

    async def answer() -> None:
        task = drain.begin_request()
        assert task is not None
        assert task is asyncio.current_task()
        await first.wait()
        drain.end_request(task)
        drain.end_request(task)

    answers = [asyncio.create_task(answer()) for _ in range(2)]
    await asyncio.sleep(0)
    assert drain.running == 0  # which are answers of models
    finishing = asyncio.create_task(drain.finish(60))
    await asyncio.sleep(0.01)
    assert not finishing.done()
    assert drain.begin_request() is None
    first.set()
    await asyncio.wait_for(finishing, 30)
    assert not drain.expired
    await asyncio.gather(*answers)


async def test_after_the_grace_time_a_request_is_cancelled_and_one_with_an_answer_is_left_to_that() -> None:
    drain = Drain()
    ends: list[str] = []

    async def request(name: str, *, admitted: bool) -> None:
        task = drain.begin_request()
        assert task is not None
        stopped = asyncio.Event()

        async def stop() -> None:
            stopped.set()

        try:
            if admitted:
                drain.admit(stop)
            await stopped.wait()
            ends.append(f"{name} was stopped")
            drain.dismiss(stop)
        except asyncio.CancelledError:
            ends.append(f"{name} was cancelled")
        finally:
            drain.end_request(task)

    tasks = [asyncio.create_task(request("answer", admitted=True)), asyncio.create_task(request("x", admitted=False))]
    await asyncio.sleep(0)
    await asyncio.wait_for(drain.finish(0.01), 30)  # sooner than the two seconds of what doesn't end
    await asyncio.gather(*tasks)
    assert sorted(ends) == ["answer was stopped", "x was cancelled"]


async def test_a_request_that_does_not_end_holds_the_process_for_two_seconds_only() -> None:
    drain = Drain()

    async def ignore() -> None:
        assert drain.begin_request() is not None
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    task = asyncio.create_task(ignore())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await drain.finish(0)
    task.cancel()
    await task


async def test_after_the_grace_time_the_rest_is_stopped_and_can_say_why() -> None:
    drain = Drain()
    answers = [Running(drain) for _ in range(3)]
    await asyncio.wait_for(drain.finish(0.01), 30)
    assert drain.expired
    assert [answer.stopped for answer in answers] == [1, 1, 1]
    with pytest.raises(Unavailable) as caught:
        drain.check_expired()
    assert caught.value.code == "stopping"


async def test_an_answer_whose_end_fails_keeps_no_other_from_its_own() -> None:
    drain = Drain()

    async def fail() -> None:
        raise RuntimeError("a fault of ours")

    drain.admit(fail)
    answer = Running(drain)
    finishing = asyncio.create_task(drain.finish(0))
    await asyncio.sleep(0.01)
    assert answer.stopped == 1
    drain.dismiss(fail)
    await asyncio.wait_for(finishing, 30)


async def test_an_answer_that_does_not_stop_holds_the_process_for_two_seconds_only() -> None:
    drain = Drain()

    async def ignore() -> None:
        pass

    drain.admit(ignore)
    async with asyncio.timeout(30):
        await drain.finish(0)
    assert drain.running == 1
