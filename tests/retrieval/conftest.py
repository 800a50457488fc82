import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from retrieval.frames import Call, Reply, encode_frame, read_frame
from retrieval.client import Retriever

Answer = Callable[[Call], list[tuple[str, object]] | None]
"""What a peer sends for a call: (kind, body) in order; None closes the connection."""


def word_offsets(text: str) -> list[int]:
    return [match.start() for match in re.finditer(r"\w+|[^\w\s]", text)]


class Peer:
    """A little server that speaks the wire over a real socket, as scripted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[Call] = []
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.answer: Answer = lambda _: []

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, str(self.path))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)
        self.path.unlink(missing_ok=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - any state of a test can be waited for
                await asyncio.sleep(0.005)

    async def send(self, call: Call, kind: str, body: object) -> None:
        reply = Reply(call.id, kind, Raw(msgspec.msgpack.encode(body)))  # type: ignore[arg-type]
        for writer in self._writers:
            writer.write(encode_frame(reply))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while (frame := await read_frame(reader)) is not None:
                call = msgspec.msgpack.decode(frame, type=Call)
                self.calls.append(call)
                replies = self.answer(call)
                if replies is None:
                    return
                for kind, body in replies:
                    await self.send(call, kind, body)
        finally:
            self._writers.discard(writer)
            writer.close()


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
