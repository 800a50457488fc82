"""A closed-loop load: so many connections, each of which asks again as soon as its answer is whole.

What is measured beside the times is the processor time of the processes under load: the scheduler's own count in
nanoseconds, over all threads and children.
"""

import asyncio
import contextlib
import gc
import json
import socket
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import psutil

from tests.bench.upstream import MODEL

MESSAGES = [
    {"role": "system", "content": "Answer for the tenant of the key, from the documents, in the house's own style."},
    {"role": "user", "content": "What do you take back, how late, and who pays for the parcel? " * 5},
]


@dataclass(frozen=True)
class Sample:
    """One window of one target.

    Attributes:
        cpu_us: Microseconds of processor time per request, or per event of a stream.
        p50_ms: Milliseconds from a request to its whole answer, median.
        first_ms: Milliseconds from a request to the first bytes of its answer's body, median.
        per_second: Requests per second.
    """

    stream: bool
    concurrency: int
    requests: int
    errors: int
    cpu_us: float
    p50_ms: float
    first_ms: float
    per_second: float


class _Load:
    """What the connections of one window have in common."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.stopping = False
        self.clear()

    def clear(self) -> None:
        self.seconds: list[float] = []
        self.firsts: list[float] = []
        self.events = 0
        self.errors = 0


class _Client(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ask()

    def _ask(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._events = 0
        self._whole = False
        self._first = 0.0
        self._began = time.perf_counter()
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        if self._whole:
            if self._load.stopping:
                self._transport.close()
            else:
                self._ask()

    def on_body(self, body: bytes) -> None:
        if not self._first:
            self._first = time.perf_counter()
        self._events += body.count(b"data: {")

    def on_message_complete(self) -> None:
        self._whole = True
        self._load.seconds.append(time.perf_counter() - self._began)
        self._load.firsts.append((self._first or time.perf_counter()) - self._began)
        self._load.events += self._events
        self._load.errors += self._parser.get_status_code() != 200

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.errors += not self._whole
        self.closed.set()


async def _connection(load: _Load, host: str, port: int) -> None:
    while not load.stopping:
        try:
            _, client = await asyncio.get_running_loop().create_connection(lambda: _Client(load), host, port)
            await client.closed.wait()
        except OSError:
            load.errors += 1
            await asyncio.sleep(0.05)


def request(url: str, key: str, *, stream: bool, model: str = MODEL) -> bytes:
    """Return the bytes of one request on a connection that stays open."""
    where = urlsplit(url)
    more = {"stream": True} if stream else {}
    body = json.dumps({"model": model, "messages": MESSAGES, "max_tokens": 64, "temperature": 0.2, **more}).encode()
    head = [
        *(f"POST {where.path} HTTP/1.1", f"host: {where.netloc}", f"authorization: Bearer {key}"),
        *("content-type: application/json", f"content-length: {len(body)}", "accept: */*"),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def processor_seconds(pid: int) -> float:
    """Return what a process and its children have used, all threads, on the processor so far."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    total += int(thread.read_text().split()[0])
    return total * 1e-9


async def measure(
    url: str,
    key: str,
    pid: int,
    *,
    stream: bool,
    concurrency: int,
    warm_up: float,
    seconds: float,
    model: str = MODEL,
) -> Sample:
    """Load one target, `pid` and its children, for `warm_up` seconds, and then for the `seconds` that count."""
    gc.collect()  # ahead of the first connection: one that hears nothing for long is closed by a server
    gc.disable()
    load, where = _Load(request(url, key, stream=stream, model=model)), urlsplit(url)
    host, port = where.hostname or "127.0.0.1", where.port or 80
    tasks = [asyncio.create_task(_connection(load, host, port)) for _ in range(concurrency)]
    await asyncio.sleep(warm_up)
    load.clear()
    before, began = processor_seconds(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    used, elapsed = processor_seconds(pid) - before, time.perf_counter() - began
    times, firsts, events, errors = load.seconds, load.firsts, load.events, load.errors
    gc.enable()
    load.stopping = True
    _, left = await asyncio.wait(tasks, timeout=5)
    for task in left:
        task.cancel()
    return Sample(
        stream=stream,
        concurrency=concurrency,
        requests=len(times),
        errors=errors,
        cpu_us=used / max(events if stream else len(times), 1) * 1e6,
        p50_ms=statistics.median(times or [0.0]) * 1e3,
        first_ms=statistics.median(firsts or [0.0]) * 1e3,
        per_second=len(times) / elapsed,
    )
