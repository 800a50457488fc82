from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from retrieval.priority_threads import PriorityThreads
from tests.retrieval.model.retriever_process import RetrieverProcess
from tests.retrieval.words import WordEmbedder

# These tests need the model environment; elsewhere they aren't even collected.
collect_ignore_glob = [] if find_spec("qdrant_edge") else ["*"]


@pytest.fixture
async def threads() -> AsyncIterator[PriorityThreads]:
    threads = PriorityThreads("test")
    yield threads
    await threads.close()


@pytest.fixture
async def retriever_process(tmp_path: Path) -> AsyncIterator[RetrieverProcess]:
    process = RetrieverProcess(tmp_path)
    await process.start()
    yield process
    process.kill()


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()
