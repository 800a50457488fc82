import asyncio
import gc
import json
import sys
import time
import weakref
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.web import bounded_protocol
from gateway.web.bounded_protocol import BoundedProtocol, ConnectionBounds
from tests.gateway.web.test_uvicorn_protocol import Wire
from tests.waiting import until

BOUNDS = ConnectionBounds(
    connections=2,
    head_bytes=1000,
    url_bytes=100,
    discarded_bytes=2000,
    head_seconds=0.1,
    pause_seconds=0.3,
    body_seconds=0.6,
    body_rate=100_000,
    write_seconds=0.3,
)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "_CHECK_SECONDS", 0.02)


async def app(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the number of the body's bytes."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def connect(
    state: ServerState | None = None,
    what: Any = app,
    bounds: ConnectionBounds = BOUNDS,
    clients: Counter[str] | None = None,
) -> tuple[BoundedProtocol, Wire]:
    options: dict[str, Any] = {"bounds": bounds, "clients": clients}
    protocol, wire = BoundedProtocol(uvicorn.Config(what), state or ServerState(), {}, **options), Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def reply(wire: Wire) -> tuple[int, str]:
    """The status, and the error's code or the body."""
    await until(lambda: wire.pieces)
    await asyncio.sleep(0.01)
    head, _, body = b"".join(wire.pieces).partition(b"\r\n\r\n")
    code = json.loads(body)["error"]["code"] if body.startswith(b"{") else body.decode()
    return int(head.split()[1]), code


def head_of(size: int, *, url: str = "/", more: str = "") -> bytes:
    """A request whose head has so many bytes as the bound counts them."""
    start = f"POST {url} HTTP/1.1\r\nhost: here\r\n{more}"
    fields = len(url) + len("host: here\r\n") + len(more) + len("pad: \r\n")
    return f"{start}pad: {'x' * (size - fields)}\r\n\r\n".encode()


@pytest.mark.parametrize(("size", "outcome"), [(1000, (200, "0")), (1001, (431, "head_too_large"))])
async def test_the_bytes_of_a_head_are_bounded(size: int, outcome: tuple[int, str]) -> None:
    protocol, wire = connect()
    # The bound is looked at when more than it has arrived: with the body's beginning, or before the head is whole.
    protocol.data_received(head_of(size, more="content-length: 0\r\n"))
    assert await reply(wire) == outcome
    assert wire.closed == (outcome[0] != 200)


async def test_a_head_that_never_ends_is_refused_when_the_bound_is_passed() -> None:
    protocol, wire = connect()
    protocol.data_received(b"GET / HTTP/1.1\r\n")
    for number in range(100):
        protocol.data_received(b"x-%d: " % number + b"y" * 20 + b"\r\n")
    assert await reply(wire) == (431, "head_too_large")
    assert wire.closed
    assert len(wire.pieces) == 1


@pytest.mark.parametrize(("length", "outcome"), [(100, (200, "0")), (101, (414, "url_too_long"))])
async def test_the_bytes_of_a_url_are_bounded(length: int, outcome: tuple[int, str]) -> None:
    protocol, wire = connect()
    protocol.data_received(head_of(300, url="/" + "u" * (length - 1), more="content-length: 0\r\n"))
    assert await reply(wire) == outcome


async def test_a_body_with_the_head_in_one_packet_is_not_taken_for_a_head() -> None:
    protocol, wire = connect()
    protocol.data_received(head_of(300, more="content-length: 5000\r\n") + b"b" * 5000)
    assert await reply(wire) == (200, "5000")
    protocol.data_received(head_of(300, more="content-length: 3000\r\n"))
    for _ in range(3):
        protocol.data_received(b"b" * 1000)
    await until(lambda: b"".join(wire.pieces).endswith(b"3000"))
    assert not wire.closed


async def test_a_head_that_dribbles_is_refused() -> None:
    protocol, wire = connect()
    for byte in b"GET / HTTP/1.1\r\nhost: here":
        if wire.closed:
            break
        protocol.data_received(bytes([byte]))
        await asyncio.sleep(0.01)
    assert await reply(wire) == (408, "request_too_slow")


async def test_a_connection_that_asks_nothing_is_closed() -> None:
    _, wire = connect()
    await until(lambda: wire.closed)


async def test_a_connection_that_was_used_is_closed_when_it_has_been_idle() -> None:
    protocol, wire = connect(bounds=replace(BOUNDS, idle_seconds=2))
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    assert await reply(wire) == (200, "0")
    await asyncio.sleep(0.1)
    assert not wire.closed
    await until(lambda: wire.closed)


@pytest.mark.parametrize("is_noticed", [False, True], ids=["before the check", "behind it"])
async def test_an_idle_connection_outlives_a_standstill_in_which_a_request_came(is_noticed: bool) -> None:
    """The time of both timers is over when the process goes on, and what came in it hasn't been read yet."""
    protocol, wire = connect(bounds=replace(BOUNDS, idle_seconds=1.5))
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    assert await reply(wire) == (200, "0")
    time.sleep(3)  # noqa: ASYNC251
    if is_noticed:
        protocol._check()  # pyright: ignore[reportPrivateUsage]
    protocol.timeout_keep_alive_handler()
    assert not wire.closed
    wire.pieces.clear()
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    assert await reply(wire) == (200, "0")
    await until(lambda: wire.closed)


async def test_a_connection_that_its_client_reset_leaves_nothing_behind() -> None:
    protocol, wire = connect(bounds=replace(BOUNDS, idle_seconds=1.2))
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    assert await reply(wire) == (200, "0")
    wire.abort()
    protocol.connection_lost(ConnectionResetError())
    left = weakref.ref(protocol)
    del protocol, wire
    await until(lambda: not gc.collect() and left() is None)


async def test_clients_and_proxies_close_an_idle_connection_before_the_server_does() -> None:
    # httpx and Node keep one for 5 s, Java for 30 s, nginx and AWS's balancers for 60 s.
    protocol, _wire = connect(bounds=ConnectionBounds())
    assert protocol.timeout_keep_alive > 60


async def test_a_body_that_pauses_too_long_is_refused() -> None:
    protocol, wire = connect()
    protocol.data_received(head_of(300, more="content-length: 10\r\n") + b"12345")
    assert await reply(wire) == (408, "request_too_slow")
    assert wire.closed


async def test_a_slow_body_that_goes_on_is_taken() -> None:
    protocol, wire = connect()
    protocol.data_received(head_of(300, more="content-length: 10\r\n"))
    for _ in range(10):
        await asyncio.sleep(0.03)
        protocol.data_received(b"1")
    assert await reply(wire) == (200, "10")


async def test_the_time_in_which_the_server_reads_nothing_is_not_the_clients() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1)
        await app(scope, receive, send)  # which reads again

    protocol, wire = connect(what=slow)
    protocol.data_received(head_of(300, more="content-length: 10\r\n") + b"12345")
    protocol.flow.pause_reading()
    await until(lambda: not protocol.flow.read_paused)
    await asyncio.sleep(0.1)  # in which times are looked at
    protocol.data_received(b"67890")
    assert await reply(wire) == (200, "10")


async def test_the_next_body_of_a_connection_has_its_own_time() -> None:
    protocol, wire = connect()
    protocol.data_received(head_of(300, more="content-length: 0\r\n"))
    assert await reply(wire) == (200, "0")
    await asyncio.sleep(0.7)
    wire.pieces.clear()
    protocol.data_received(head_of(300, more="content-length: 10\r\n") + b"12345")
    await asyncio.sleep(0.1)
    protocol.data_received(b"67890")
    assert await reply(wire) == (200, "10")


async def test_a_body_that_goes_on_after_its_answer_is_not_read_for_ever() -> None:
    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    protocol, wire = connect(what=refuse, bounds=replace(BOUNDS, pause_seconds=30, body_seconds=60))
    protocol.data_received(head_of(300, more="content-length: 9000\r\n") + b"b")
    assert await reply(wire) == (401, "")
    for _ in range(20):
        protocol.data_received(b"b" * 100)
    assert not wire.closed
    protocol.data_received(b"b")
    assert wire.closed


async def test_a_slow_answer_is_not_the_clients_fault() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.3)
        await app(scope, receive, send)

    protocol, wire = connect(what=slow)
    protocol.data_received(head_of(300, more="content-length: 2\r\n") + b"12")
    assert await reply(wire) == (200, "2")


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    protocol, wire = connect()
    protocol.data_received(head_of(300, more="content-length: 0\r\n"))
    await reply(wire)
    protocol.pause_writing()
    await until(lambda: wire.closed)


async def test_a_client_that_reads_slowly_is_not() -> None:
    # Each pause is far below the bound, and all of them together are above it.
    protocol, wire = connect(bounds=replace(BOUNDS, write_seconds=2.0))
    protocol.data_received(head_of(300, more="content-length: 0\r\n"))
    await reply(wire)
    for _ in range(10):
        protocol.pause_writing()
        await asyncio.sleep(0.25)
        protocol.resume_writing()
    assert not wire.closed


async def test_connections_are_bounded() -> None:
    state, bounds = ServerState(), replace(BOUNDS, head_seconds=30)
    first, _ = connect(state, bounds=bounds)
    _, second = connect(state, bounds=bounds)
    third, wire = connect(state, bounds=bounds)
    assert await reply(wire) == (503, "too_many_connections")
    assert b"\r\nretry-after: 1\r\n" in b"".join(wire.pieces)
    assert not second.closed
    third.connection_lost(None)
    first.connection_lost(None)
    _, wire = connect(state, bounds=bounds)
    await asyncio.sleep(0.05)
    assert not wire.pieces


@pytest.mark.parametrize("bound", ["connections", "client_connections"])
async def test_of_a_flood_some_are_told_why_and_others_closed_at_once(bound: str) -> None:
    state, clients = ServerState(), Counter[str]()
    bounds = replace(BOUNDS, head_seconds=30, refused_connections=2, **{"connections": 30, bound: 1})
    connect(state, bounds=bounds, clients=clients)
    flood = [connect(state, bounds=bounds, clients=clients) for _ in range(4)]
    assert [wire.closed for _, wire in flood] == [True] * 4
    assert [bool(wire.pieces) for _, wire in flood] == [True, True, False, False]
    flood[3][0].data_received(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    for protocol, _ in flood:
        protocol.connection_lost(None)
    protocol, wire = connect(state, bounds=bounds, clients=clients)
    assert wire.pieces, "those that are gone count no longer"
    protocol.connection_lost(None)
    assert sum(clients.values()) == 1


@pytest.mark.parametrize("bound", ["connections", "client_connections"])
async def test_who_is_told_why_takes_no_place_meanwhile(bound: str) -> None:
    state, clients = ServerState(), Counter[str]()
    bounds = replace(BOUNDS, head_seconds=30, **{"connections": 30, bound: 2})
    places = [connect(state, bounds=bounds, clients=clients) for _ in range(2)]
    refused = [connect(state, bounds=bounds, clients=clients) for _ in range(3)]
    assert all(wire.pieces for _, wire in refused)
    places[0][0].connection_lost(None)
    _, wire = connect(state, bounds=bounds, clients=clients)
    assert not wire.pieces
    _, wire = connect(state, bounds=bounds, clients=clients)
    assert wire.pieces


@pytest.mark.parametrize("bound", ["connections", "client_connections"])
async def test_who_comes_takes_the_place_of_the_connection_that_was_idle_for_longest(bound: str) -> None:
    state, clients = ServerState(), Counter[str]()
    bounds = replace(BOUNDS, head_seconds=30, **{"connections": 30, bound: 3})
    wires: list[Wire] = []
    for _ in range(3):
        protocol, wire = connect(state, bounds=bounds, clients=clients)
        wires.append(wire)
        if len(wires) > 1:  # the first one has asked nothing yet
            protocol.data_received(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            assert await reply(wire) == (200, "0")
    _, fourth = connect(state, bounds=bounds, clients=clients)
    await asyncio.sleep(0.05)
    assert [wire.closed for wire in wires] == [False, True, False]
    assert not fourth.pieces


async def test_what_is_no_http_gets_an_error_in_the_envelope() -> None:
    protocol, wire = connect()
    protocol.data_received(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert await reply(wire) == (400, "invalid_http")
    assert wire.closed


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("PUT /api/documents/Übersicht.md HTTP/1.1", True),
        ("GET /v1/models/my model HTTP/1.1", True),
        ("GET /v1/models HTTP/9.1", False),
        ("get /v1/models HTTP/1.1", False),
    ],
)
async def test_a_url_as_it_was_typed_is_told_what_to_do(line: str, named: bool) -> None:
    protocol, wire = connect()
    protocol.data_received(f"{line}\r\nhost: here\r\n\r\n".encode())
    assert await reply(wire) == (400, "invalid_http")
    assert (b"percent-encoded" in b"".join(wire.pieces)) is named


async def test_nothing_that_was_received_stays_with_an_idle_connection() -> None:
    protocol, wire = connect()
    data = head_of(300, more="content-length: 5000\r\n") + b"b" * 5000
    before = sys.getrefcount(data)
    protocol.data_received(data)
    assert await reply(wire) == (200, "5000")
    assert sys.getrefcount(data) == before


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"])
@pytest.mark.parametrize(
    "line", [b"CONNECT here:443", b"GET http://[::1", b"GET http://here", b"GET http://a:99999999/"]
)
async def test_a_url_that_is_none_gets_an_error_also_on_a_connection_that_was_used(before: bytes, line: bytes) -> None:
    protocol, wire = connect()
    if before:
        protocol.data_received(before)
        await until(lambda: wire.pieces)
        wire.pieces.clear()
    protocol.data_received(line + b" HTTP/1.1\r\nhost: here\r\n\r\n")
    assert await reply(wire) == (400, "invalid_http")


async def test_what_a_client_sent_last_is_not_kept_in_memory() -> None:
    protocol, _wire = connect()
    data = b"GET /v1/models HTTP/1.1\r\nhost: here\r\n\r\n"
    protocol.data_received(data)
    assert not any(value is data for value in vars(protocol).values())


async def test_nothing_is_written_into_a_running_answer_for_a_bad_request_behind_it() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        begun.set()
        await go.wait()
        await send({"type": "http.response.body", "body": b"two"})

    protocol, wire = connect(what=stream)
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    await begun.wait()
    chunked = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"
    protocol.data_received(chunked + b"no number\r\n")
    go.set()
    await until(lambda: wire.closed)
    assert b"".join(wire.pieces).count(b"HTTP/1.1 ") == 1
    protocol.connection_lost(None)
