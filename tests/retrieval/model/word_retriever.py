"""A retriever process whose embedder counts words: `python -m tests.retrieval.model.word_retriever --socket --data`."""

import argparse
import asyncio
import signal
from pathlib import Path

from retrieval.backends.embedded import EmbeddedBackend
from retrieval.index import Index
from retrieval.socket_server import serve
from tests.retrieval.words import WordEmbedder


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    embedder = WordEmbedder()
    index = Index(EmbeddedBackend.open(options.data / "words", embedder.dimensions), embedder)
    try:
        await serve(index, options.socket, stop)
    finally:
        await index.close()


if __name__ == "__main__":
    asyncio.run(main())
