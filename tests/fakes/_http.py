"""As much of an HTTP/1.1 server as the fakes need: whole requests in, raw bytes out, and the moment a client leaves."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httptools

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}


@dataclass(eq=False)
class Received:
    """One request as it arrived, and what became of it. Times are `time.monotonic()`."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    started: float = field(default_factory=time.monotonic)
    finished: float | None = None
    aborted: float | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def cache_salt(self) -> str | None:
        return self.json.get("cache_salt")


class Wire:
    """Where an answer is written. Chunked framing is done here, so that a fault can also break it."""

    def __init__(self, transport: asyncio.Transport, received: Received) -> None:
        self._transport = transport
        self.received = received

    def raw(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def whole(self, status: int, body: bytes, content_type: str = "application/json", **headers: str) -> None:
        self.raw(_head(status, content_type, f"content-length: {len(body)}", headers) + body)

    def start_chunks(self, content_type: str) -> None:
        self.raw(_head(200, content_type, "transfer-encoding: chunked", {}))

    def chunk(self, data: bytes) -> None:
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunks(self) -> None:
        self.raw(b"0\r\n\r\n")

    def cut(self) -> None:
        self._transport.abort()


def _head(status: int, content_type: str, framing: str, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", "server: uvicorn", framing]
    if content_type:
        lines.append(f"content-type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


Handler = Callable[[Received, Wire], Awaitable[None]]


class Connection(asyncio.Protocol):
    """One client connection; requests on it are answered one after the other."""

    def __init__(self, handler: Handler, everyone: set["Connection"]) -> None:
        self._handler = handler
        self._everyone = everyone
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._url = b""
        self._current: Received | None = None
        self._task: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._everyone.add(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, []

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        path = self._url.partition(b"?")[0].decode()
        self._current = Received(method, path, self._headers, b"".join(self._body))
        self._task = asyncio.get_running_loop().create_task(self._answer(self._current))

    async def _answer(self, received: Received) -> None:
        await self._handler(received, Wire(self.transport, received))
        if received.aborted is None:
            received.finished = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        self._everyone.discard(self)
        self.closed.set()
        if self._current is not None and self._current.finished is None and self._task and not self._task.done():
            self._current.aborted = time.monotonic()
            self._current.gone.set()
            self._task.cancel()
