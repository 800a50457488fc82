"""Two gateways with nothing in them, as floors: what the least costs, and what the least on the framework costs.

    python -m tests.bench.floors bare --port 9201 --upstream http://127.0.0.1:9100
    python -m tests.bench.floors fastapi --port 9202 --upstream http://127.0.0.1:9100

Both do for each request what every gateway here does: look the key up by its digest, decode the body, render a prompt,
encode the engine's request, read the usage, count, and write a record to a database in batches. `bare` has two
asyncio protocols around that and no task; `fastapi` a route on uvicorn, and the same client.
"""

import argparse
import asyncio
import hashlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvicorn
import uvloop
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from jinja2.sandbox import ImmutableSandboxedEnvironment
from prometheus_client import Counter, Histogram

PATH = "/v1/chat/completions"
KEY = "sk-floor"
_TEMPLATE = "{% for message in messages %}{% if loop.last %}Question: {{ message.content }}{% endif %}{% endfor %}"
_DENIED = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class _Ask(msgspec.Struct):
    model: str
    messages: list[dict[str, Any]]
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None


class _Usage(msgspec.Struct):
    usage: dict[str, Any] | None = None


class Work:
    """What a request costs anywhere, without any server or client around it."""

    def __init__(self) -> None:
        self._tenants = {hashlib.sha256(KEY.encode()).digest(): "tenant"}
        self._decode = msgspec.json.Decoder(_Ask).decode
        self._usage = msgspec.json.Decoder(_Usage).decode
        self._encode = msgspec.json.Encoder().encode
        self._template = ImmutableSandboxedEnvironment().from_string(_TEMPLATE)
        self._count = Counter("floor_answers", "Answers.", ["outcome"]).labels("completed")
        self._seconds = Histogram("floor_seconds", "Seconds of an answer.")
        self._database = sqlite3.connect(":memory:")
        self._database.execute("CREATE TABLE answers (tenant TEXT, began REAL, seconds REAL)")
        self._rows: list[tuple[str, float, float]] = []

    def admit(self, authorization: bytes) -> str | None:
        """Return the key's tenant."""
        return self._tenants.get(hashlib.sha256(authorization[7:]).digest())

    def prepare(self, body: bytes) -> bytes:
        """Return the engine's request."""
        asked = self._decode(body)
        asked.messages[-1]["content"] = self._template.render(messages=asked.messages)
        return self._encode(asked)

    def finish(self, tenant: str, began: float, tail: bytes) -> None:
        """Count and record an answer."""
        if tail.startswith(b"{"):
            self._usage(tail)
        seconds = time.perf_counter() - began
        self._count.inc()
        self._seconds.observe(seconds)
        self._rows.append((tenant, began, seconds))
        if len(self._rows) >= 100:
            self._database.executemany("INSERT INTO answers VALUES (?, ?, ?)", self._rows)
            self._rows.clear()


class Upstream(asyncio.Protocol):
    """One connection to the engine. Its bytes go to whoever has it: `received(data, body)`, then `finished(tail)`."""

    def __init__(self, host: str) -> None:
        self._head = f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: "
        self.owner: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, owner: Any, body: bytes) -> None:
        self.owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._whole, self._tail = False, b""
        self._transport.write(b"%s%d\r\n\r\n%s" % (self._head.encode(), len(body), body))

    def data_received(self, data: bytes) -> None:
        self._parts: list[bytes] = []
        self._parser.feed_data(data)
        owner = self.owner
        owner.received(data, self._parts)
        if self._whole:
            owner.finished(self, self._tail)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._tail = body

    def on_message_complete(self) -> None:
        self._whole = True


class Pool:
    """Connections to the engine that nobody uses now."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._host, self._port = where.hostname or "", where.port or 80
        self._idle: list[Upstream] = []

    async def connect(self) -> Upstream:
        make = asyncio.get_running_loop().create_connection
        return (await make(lambda: Upstream(self._host), self._host, self._port))[1]

    def take(self) -> Upstream | None:
        return self._idle.pop() if self._idle else None

    def give(self, connection: Upstream) -> None:
        self._idle.append(connection)


class Bare(asyncio.Protocol):
    """A client's connection that hands each request on and passes the engine's bytes back as they come."""

    def __init__(self, work: Work, pool: Pool) -> None:
        self._work, self._pool = work, pool
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body, self._authorization = b"", b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self._authorization = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._began = time.perf_counter()
        tenant = self._work.admit(self._authorization)
        if tenant is None:
            self._transport.write(_DENIED)
            return
        self._tenant = tenant
        body = self._work.prepare(self._body)
        upstream = self._pool.take()
        if upstream is None:
            self._opening = asyncio.ensure_future(self._open(body))
        else:
            upstream.ask(self, body)

    async def _open(self, body: bytes) -> None:
        (await self._pool.connect()).ask(self, body)

    def received(self, data: bytes, _parts: list[bytes]) -> None:
        self._transport.write(data)

    def finished(self, upstream: Upstream, tail: bytes) -> None:
        self._pool.give(upstream)
        self._work.finish(self._tenant, self._began, tail)


class _Answer:
    """The engine's answer as parts that a route can await."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.upstream: Upstream | None = None
        self.tail = b""
        self._news = asyncio.Event()

    def received(self, _data: bytes, parts: list[bytes]) -> None:
        self.parts += parts
        self._news.set()

    def finished(self, upstream: Upstream, tail: bytes) -> None:
        self.upstream, self.tail = upstream, tail
        self._news.set()

    async def read(self) -> AsyncIterator[bytes]:
        while self.upstream is None or self.parts:
            await self._news.wait()
            self._news.clear()
            if self.parts:
                joined = b"".join(self.parts)
                self.parts.clear()
                yield joined


def create_app(upstream: str) -> FastAPI:
    """One route on the framework."""
    app, work, pool = FastAPI(), Work(), Pool(upstream)

    @app.post(PATH)
    async def chat(request: Request) -> Response:
        began = time.perf_counter()
        tenant = work.admit(request.headers.get("authorization", "").encode())
        if tenant is None:
            return Response(b"{}", 401)
        answer, body = _Answer(), work.prepare(await request.body())
        (pool.take() or await pool.connect()).ask(answer, body)

        async def parts() -> AsyncIterator[bytes]:
            async for part in answer.read():
                yield part
            assert answer.upstream is not None
            pool.give(answer.upstream)
            work.finish(tenant, began, answer.tail)

        if b'"stream":true' in body:
            return StreamingResponse(parts(), media_type="text/event-stream")
        return Response(b"".join([part async for part in parts()]), media_type="application/json")

    return app


async def _serve_bare(port: int, upstream: str) -> None:
    work, pool = Work(), Pool(upstream)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bare(work, pool), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Serve one of the floors until it is stopped."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("floor", choices=("bare", "fastapi"))
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--upstream", default=os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:9100"))
    chosen = options.parse_args()
    if chosen.floor == "bare":
        uvloop.run(_serve_bare(chosen.port, chosen.upstream))
    else:
        app = create_app(chosen.upstream)
        uvicorn.run(app, port=chosen.port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
