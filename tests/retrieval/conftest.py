from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from retrieval.client import Retriever
from tests.retrieval.peer import Peer


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    peer = Peer(tmp_path / "r.sock")
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
async def retriever(peer: Peer) -> AsyncIterator[Retriever]:
    async with Retriever(peer.path) as retriever:
        yield retriever
