import asyncio
import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.retrieval.conftest import word_offsets

# These tests need the model environment; elsewhere they aren't even collected.
collect_ignore_glob = [] if find_spec("qdrant_edge") else ["*"]


class WordEmbedder:
    """An embedder that counts hashed words: no model, and similar words still give similar vectors."""

    identity = "words"
    dimensions = 64
    window = 256

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def question(self, text: str) -> list[float]:
        vector = [0.01] * self.dimensions
        for word in text.lower().split():
            vector[hashlib.sha256(word.strip(".,?!:").encode()).digest()[0] % self.dimensions] += 1
        return vector

    def passages(self, texts: Sequence[str]) -> list[list[float]]:
        self.embedded += texts
        return [self.question(text) for text in texts]

    def token_offsets(self, text: str) -> list[int]:
        return word_offsets(text)


class Worker:
    """A real retriever process."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "r.sock"
        self.data = folder / "data"
        self.log = folder / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [sys.executable, "-m", "retrieval", "--socket", str(self.socket), "--data", str(self.data)],
                stderr=log,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
            )
        async with asyncio.timeout(90):
            while not self._answers():
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.socket)) == 0


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    worker = Worker(tmp_path)
    await worker.start()
    yield worker
    if worker.process is not None and worker.process.poll() is None:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()
