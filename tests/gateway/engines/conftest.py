import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from gateway.engines import Connections, Engine, Timeouts
from tests.fakes.vllm import FakeVllm

BOTH_LOOPS = ("test_http.py", "test_client.py")


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What is said to transports directly is tested on the loop of production, too."""
    if item.path.name in BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    async with Connections() as opened:
        yield opened


@pytest.fixture
async def fake() -> AsyncIterator[FakeVllm]:
    async with FakeVllm() as started:
        yield started


@pytest.fixture
def engine(fake: FakeVllm, connections: Connections) -> Engine:
    return Engine(fake.url, connections, Timeouts(connect=5, first_byte=5, gap=5, control=5, load=5))


@pytest.fixture
def hasty(fake: FakeVllm, connections: Connections) -> Engine:
    """An engine client that gives up soon."""
    return Engine(fake.url, connections, Timeouts(connect=0.3, first_byte=0.3, gap=0.2, control=0.2, load=0.2))


@pytest.fixture
def impatient(fake: FakeVllm, connections: Connections) -> Engine:
    """An engine client that bears no silence in mid-answer, and waits long for its beginning."""
    return Engine(fake.url, connections, Timeouts(connect=5, first_byte=30, gap=0.2, control=5, load=5))
