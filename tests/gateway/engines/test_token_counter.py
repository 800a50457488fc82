import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.engines import Connections, Engine, EngineError, EnginePool, Timeouts
from gateway.engines.token_counter import TokenCounter
from tests.fakes import faults
from tests.fakes.vllm import TOKENIZE, FakeVllm
from tests.waiting import until


@pytest.fixture
async def counter(engine: Engine) -> AsyncIterator[TokenCounter]:
    async with EnginePool([engine], interval=5) as pool:
        await until(lambda: all(replica.ready for replica in pool.replicas))
        yield TokenCounter(pool)


async def test_few_counts_are_in_the_engine_at_once(counter: TokenCounter, fake: FakeVllm) -> None:
    fake.rule = lambda received: faults.delay(0.02) if received.path == TOKENIZE else None
    counts = await counter.count([f"text number {number}" for number in range(40)])
    assert len(counts) == 40
    asked = fake.requests(TOKENIZE)
    moments = sorted([(one.started, 1) for one in asked] + [(one.finished or 0.0, -1) for one in asked])
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    assert 1 < most <= 8


async def test_a_text_is_counted_once(counter: TokenCounter, fake: FakeVllm) -> None:
    first = await counter.count(["the same", "another", ""])
    assert await counter.count(["another", "the same"]) == [first[1], first[0]]
    assert first[2] == 0
    assert len(fake.requests(TOKENIZE)) == 2
    assert counter.recall(["another", "", "the same"]) == [first[1], 0, first[0]]
    assert counter.recall(["the same", "a new one"]) is None


async def test_counts_in_the_background_are_shared_and_take_no_place_of_a_request(
    counter: TokenCounter, fake: FakeVllm
) -> None:
    background = counter.make_sibling(2)
    fake.rule = lambda received: faults.hang() if b"slow" in received.body else None
    counting = asyncio.create_task(background.count([f"slow {number}" for number in range(40)]))
    await until(lambda: len(fake.requests(TOKENIZE)) == 2)
    await asyncio.wait_for(counter.count([f"quick {number}" for number in range(8)]), 5)
    asked = len(fake.requests(TOKENIZE))
    assert asked == 10
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)
    await background.count(["quick 1"])
    assert len(fake.requests(TOKENIZE)) == asked


async def test_what_one_text_made_fail_is_not_asked_any_more(counter: TokenCounter, fake: FakeVllm) -> None:
    fake.rule = lambda received: faults.status(500) if b"number 0" in received.body else faults.delay(0.1)
    with pytest.raises(EngineError):
        await counter.count([f"text number {number}" for number in range(40)])
    await asyncio.sleep(0.3)
    assert len(fake.requests(TOKENIZE)) <= 16


@pytest.mark.parametrize("fault", [faults.hang(), faults.refuse()])
async def test_what_one_replica_does_not_count_another_one_does(fault: faults.Fault, connections: Connections) -> None:
    async with FakeVllm() as bad, FakeVllm() as good:
        engines = [Engine(one.url, connections, Timeouts(control=2)) for one in (bad, good)]
        async with EnginePool(engines, interval=1) as pool:
            await until(lambda: all(replica.ready for replica in pool.replicas))
            bad.rule = lambda received: fault if received.path == TOKENIZE else None
            counter = TokenCounter(pool)
            assert all(await counter.count(["one text", "another text", "a third"]))
            good.rule = bad.rule
            with pytest.raises(EngineError):
                await counter.count(["something new"])
