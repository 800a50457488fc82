"""The other end of a client's socket, as a test scripts it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Raw

from retrieval.frames import Call, Reply, encode_frame, read_frame

Kind = Literal["progress", "result", "error"]
Answer = Callable[[Call], list[tuple[Kind, object]] | None]
"""Kinds and bodies of the replies to a call, in order; None closes the connection."""


class Peer:
    """A little server that speaks the retriever's protocol over a real socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[Call] = []
        self.connections = 0
        self.answer: Answer = lambda _: []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)
        self.path.unlink(missing_ok=True)

    async def send(self, call: Call, kind: Kind, body: object) -> None:
        reply = Reply(call.id, kind, Raw(msgspec.msgpack.encode(body)))
        for writer in self._writers:
            writer.write(encode_frame(reply))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
