"""Clients that send slowly, or open many connections, on a real server with small bounds."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import pytest
import uvicorn

from gateway.web import bounded_protocol
from gateway.web.bounded_protocol import BoundedProtocol, ConnectionBounds
from tests.gateway.web.test_bounded_protocol import app, often
from tests.waiting import until

__all__ = ["often"]

BOUNDS = ConnectionBounds(
    client_connections=3, head_bytes=1000, head_seconds=0.5, pause_seconds=0.5, body_seconds=0.8, body_rate=1000
)
CHUNKED = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def serving(what: Any = app, bounds: ConnectionBounds = BOUNDS) -> AsyncGenerator[int]:
    """Serve on a free port, and yield it."""
    protocol: Any = partial(BoundedProtocol, bounds=bounds, clients=Counter())
    config = uvicorn.Config(what, port=0, log_level="error", lifespan="off", http=protocol, ws="none")
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving() as number:
        yield number


async def send(port: int, first: bytes, piece: bytes, times: int, every: float) -> tuple[int, str, float]:
    """Send the first bytes and then so many pieces until there is an answer; return its status, code and seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = asyncio.get_running_loop().time()
    try:
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        writer.write(first)
        for number in range(times):
            due = (
                began + (number + 1) * every - asyncio.get_running_loop().time()
            )  # a busy machine makes no client slow
            await asyncio.wait([answer], timeout=max(due, 0))
            if answer.done():
                break
            writer.write(piece)
        head = (await asyncio.wait_for(answer, 60)).lower()
        seconds = asyncio.get_running_loop().time() - began
        length = int(head.partition(b"content-length: ")[2].split()[0])
        body = (await reader.readexactly(length)).decode()
        status = int(head.split()[1])
        assert (b"connection: close" in head) == (status != 200)
        if status != 200:
            assert await reader.read() == b""  # it is closed
            error = json.loads(body)["error"]
            assert error["type"] == "invalid_request_error"
            return status, error["code"], seconds
        return status, body, seconds
    finally:
        writer.close()


def announce(length: int) -> bytes:
    return b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n" % length


@pytest.mark.parametrize("head", [announce(10_000), CHUNKED])
async def test_a_body_that_trickles_without_pauses_is_refused(port: int, head: bytes) -> None:
    piece = b"1\r\nb\r\n" if head == CHUNKED else b"b"
    status, code, seconds = await send(port, head, piece, 1000, 0.05)
    assert (status, code) == (408, "request_too_slow")
    assert 0.8 <= seconds


async def test_time_in_which_the_gateway_stands_still_makes_no_client_slow(port: int) -> None:
    """As where its container is paused: what the client sent meanwhile waits to be read."""
    sending = asyncio.create_task(send(port, announce(10), b"b", 10, 0.03))
    await asyncio.sleep(0.1)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        pass
    assert (await sending)[:2] == (200, "10")


async def test_a_head_that_begins_behind_a_standstill_has_no_longer_than_others() -> None:
    async with serving(bounds=ConnectionBounds(head_seconds=0.5)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(announce(1) + b"b")
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"POST / HT")
            end = time.monotonic() + 4
            while time.monotonic() < end:
                pass
            assert b"408" in await asyncio.wait_for(reader.read(), 3)
        finally:
            writer.close()


async def test_a_body_that_is_whole_in_time_may_trickle(port: int) -> None:
    assert (await send(port, announce(10), b"b", 10, 0.02))[:2] == (200, "10")


async def test_a_long_body_at_the_least_rate_is_taken_however_long_it_takes(port: int) -> None:
    status, size, seconds = await send(port, announce(3600), b"b" * 120, 30, 0.08)  # 1,500 bytes per second
    assert (status, size) == (200, "3600")
    assert seconds > 2


async def test_a_long_body_below_the_least_rate_is_refused(port: int) -> None:
    status, code, seconds = await send(port, announce(3600), b"b" * 30, 120, 0.06)  # 500 bytes per second, 7 s
    assert (status, code) == (408, "request_too_slow")
    assert 1 <= seconds


async def test_a_body_that_pauses_is_refused(port: int) -> None:
    status, code, seconds = await send(port, announce(10), b"b", 0, 0)
    assert (status, code) == (408, "request_too_slow")
    assert 0.4 <= seconds < 30  # the server's clock began before this one


async def test_headers_that_trickle_are_refused(port: int) -> None:
    status, code, seconds = await send(port, b"GET / HTTP/1.1\r\n", b"x: y\r\n", 1000, 0.05)
    assert (status, code) == (408, "request_too_slow")
    assert 0.4 <= seconds < 30  # the server's clock began before this one


async def test_a_client_that_goes_on_after_its_refusal_is_left_soon(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "_LINGER_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(announce(10_000))
    assert b"408" in await reader.read()  # to its end

    def is_lost() -> bool:
        writer.write(b"b")
        return writer.transport.is_closing()

    await until(is_lost)


@pytest.mark.parametrize("piece", [b"x-more: y\r\n", b"y" * 50])
async def test_headers_behind_a_body_are_bounded(port: int, piece: bytes) -> None:
    status, code, _ = await send(port, CHUNKED + b"1\r\nb\r\n0\r\nx-more: y", piece, 1000, 0.001)
    assert (status, code) == (431, "head_too_large")


async def test_headers_behind_a_body_say_nothing_of_the_request() -> None:
    async def list_headers(scope: Any, receive: Any, reply: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        body = b",".join(name for name, _ in scope["headers"])
        length = [(b"content-length", b"%d" % len(body))]
        await reply({"type": "http.response.start", "status": 200, "headers": length})
        await reply({"type": "http.response.body", "body": body})

    async with serving(list_headers) as port:
        sent = CHUNKED + b"1\r\nb\r\n0\r\nauthorization: Bearer other\r\n\r\n"
        assert (await send(port, sent, b"", 0, 0))[:2] == (200, "host,transfer-encoding")


async def test_connections_of_one_address_are_bounded_and_others_get_theirs() -> None:
    async with serving(bounds=ConnectionBounds(client_connections=3)) as port:

        async def begin(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            """Open a connection, and send a request of which one byte is missing."""
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            writer.write(announce(1))
            return reader, writer

        async def end(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
            connection[1].write(b"b")
            return (await asyncio.wait_for(connection[0].readuntil(b"\r\n\r\n"), 30)).split()[1]

        held = [await begin("127.0.0.1") for _ in range(3)]
        reader, writer = await begin("127.0.0.1")
        head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
        assert head.split()[1] == b"429"
        assert json.loads(body)["error"]["code"] == "too_many_client_connections"
        assert b"\r\nretry-after: 1" in head
        assert b"x-should-retry" not in head
        writer.close()
        other = await begin("127.0.0.2")
        assert await end(other) == b"200"
        assert await end(held[0]) == b"200"  # It is idle now, and makes room.
        late = await begin("127.0.0.1")
        assert [await end(one) for one in (*held[1:], late)] == [b"200"] * 3
        for _, writer in [*held, late, other]:
            writer.close()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::2:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("10.0.0.1", "10.0.0.2", False),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(first: str, second: str, same: bool) -> None:
    names = {bounded_protocol.name_client((host, 1)) for host in (first, second)}
    assert (len(names) == 1) == same
