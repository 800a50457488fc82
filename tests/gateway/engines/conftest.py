from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.engines import Timeouts, VllmEngine, open_session
from tests.fakes.vllm import FakeVllm


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
async def fake() -> AsyncIterator[FakeVllm]:
    async with FakeVllm() as started:
        yield started


@pytest.fixture
def engine(fake: FakeVllm, session: aiohttp.ClientSession) -> VllmEngine:
    return VllmEngine(fake.url, session, Timeouts(connect=1, first_byte=5, gap=5, control=5, load=5))


@pytest.fixture
def hasty(fake: FakeVllm, session: aiohttp.ClientSession) -> VllmEngine:
    """An engine client that gives up soon."""
    return VllmEngine(fake.url, session, Timeouts(connect=0.3, first_byte=0.3, gap=0.2, control=0.2, load=0.2))


@pytest.fixture
def impatient(fake: FakeVllm, session: aiohttp.ClientSession) -> VllmEngine:
    """An engine client that bears no silence in mid-answer, and waits long for its beginning."""
    return VllmEngine(fake.url, session, Timeouts(connect=5, first_byte=30, gap=0.2, control=5, load=5))
