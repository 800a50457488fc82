"""A retriever process whose embedder counts words: `python -m tests.retrieval.model.word_retriever --socket --data`.

With `--fake-qdrant` its index is in a Qdrant server of its own, over HTTP; the exit status is 1 if a request broke one
of its rules.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from retrieval.backends import IndexBackend
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.qdrant_server import QdrantServer
from retrieval.backends.remote import RemoteBackend
from retrieval.embedder import Embedder
from retrieval.index import Index
from retrieval.socket_server import serve
from tests.fakes.qdrant import FakeQdrant
from tests.retrieval.words import WordEmbedder


@asynccontextmanager
async def open_fake(dimensions: int) -> AsyncGenerator[IndexBackend]:
    with FakeQdrant().running() as server:
        client = QdrantServer(server.url).make_client()
        yield await RemoteBackend.open(client, "words", dimensions)
        await client.close()
    if server.faults:
        sys.exit("\n".join(server.faults))


@asynccontextmanager
async def open_shard(folder: Path, dimensions: int) -> AsyncGenerator[IndexBackend]:
    yield EmbeddedBackend.open(folder, dimensions)


async def main(embedder: Embedder) -> None:
    """Serve an index with this embedder until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fake-qdrant", action="store_true")
    options = parser.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    size, folder = embedder.dimensions, options.data / embedder.identity
    async with open_fake(size) if options.fake_qdrant else open_shard(folder, size) as backend:
        index = Index(backend, embedder)
        try:
            await serve(index, options.socket, stop)
        finally:
            await index.close()


if __name__ == "__main__":
    asyncio.run(main(WordEmbedder()))
