import asyncio
import gc
from weakref import ref

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.web.presence import make_presence
from gateway.web.server_extensions import find_write
from gateway.web.uvicorn_protocol import JoinedProtocol
from tests.waiting import until

REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
LAST_REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what was written to it, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.pieces.append(bytes(data))

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"two", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def read_answer(wire: Wire, request: bytes) -> list[bytes]:
    protocol = JoinedProtocol(uvicorn.Config(app), ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(request)
    await until(lambda: b"".join(wire.pieces).endswith(b"0\r\n\r\n"))
    return wire.pieces


async def test_headers_go_out_with_the_first_event_and_later_ones_when_they_come() -> None:
    first, *later = await read_answer(Wire(), REQUEST)
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert later == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]


class Writing:
    """An application that writes a piece at once at each step of its answer, and notes whether it could."""

    def __init__(self) -> None:
        self.written: dict[str, bool] = {}
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        write = find_write(scope)
        assert write is not None
        headers = [(b"content-length", b"3")] if scope["path"] == "/short" else []
        self.written["before its head"] = write(b"none")
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        self.written["in its middle"] = write(b"one")
        await self.go.wait()
        self.written["later"] = write(b"two")
        await send({"type": "http.response.body", "body": b"end"})
        self.written["after its end"] = write(b"none")


def converse(app: Writing, wire: Wire, request: bytes) -> JoinedProtocol:
    protocol = JoinedProtocol(uvicorn.Config(app), ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(request)
    return protocol


async def test_pieces_are_written_at_once_while_an_answer_lasts() -> None:
    app, wire = Writing(), Wire()
    protocol = converse(app, wire, REQUEST)
    app.go.set()
    await until(lambda: "after its end" in app.written)
    assert app.written == {"before its head": False, "in its middle": True, "later": True, "after its end": False}
    assert b"".join(wire.pieces).partition(b"\r\n\r\n")[2] == b"3\r\none\r\n3\r\ntwo\r\n3\r\nend\r\n0\r\n\r\n"
    protocol.connection_lost(None)


async def test_nothing_is_written_at_once_to_a_client_who_is_slow_or_has_left() -> None:
    slow, left = Writing(), Writing()
    wires = [Wire(), Wire()]
    protocols = [converse(app, wire, REQUEST) for app, wire in zip((slow, left), wires, strict=True)]
    await until(lambda: all("in its middle" in app.written for app in (slow, left)))
    protocols[0].pause_writing()
    protocols[1].connection_lost(None)
    slow.go.set()
    left.go.set()
    await until(lambda: "later" in slow.written and "after its end" in left.written)
    assert (slow.written["later"], left.written["later"]) == (False, False)
    assert wires[0].pieces[-1].endswith(b"3\r\none\r\n")  # and the end waits
    protocols[0].resume_writing()
    await until(lambda: "after its end" in slow.written)
    protocols[0].connection_lost(None)


@pytest.mark.parametrize(
    "request_bytes",
    [
        REQUEST.replace(b"GET /", b"GET /short"),
        REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0"),
        REQUEST.replace(b"GET", b"HEAD"),
    ],
)
async def test_nothing_is_written_at_once_where_no_chunks_are_sent(request_bytes: bytes) -> None:
    app, wire = Writing(), Wire()
    protocol = converse(app, wire, request_bytes)
    app.go.set()
    await until(lambda: "after its end" in app.written)
    assert not any(app.written.values())
    protocol.connection_lost(None)


async def work(scope: Scope, receive: Receive, states: list[str]) -> None:
    with make_presence(scope, receive):
        states.append("working")
        try:
            await asyncio.Event().wait()
        finally:
            states.append("cleaned up")
    states.append("left")


async def test_work_ends_when_the_connection_is_lost_and_no_task_of_its_own_waits_for_that() -> None:
    states: list[str] = []

    async def working(scope: Scope, receive: Receive, _send: Send) -> None:
        await work(scope, receive, states)

    before = len(asyncio.all_tasks())
    protocol = JoinedProtocol(uvicorn.Config(working), ServerState(), {})
    protocol.connection_made(Wire())
    protocol.data_received(REQUEST)
    await until(lambda: states == ["working"])
    assert len(asyncio.all_tasks()) == before + 1  # the request's own
    protocol.connection_lost(None)
    await until(lambda: states == ["working", "cleaned up", "left"])


async def test_the_work_that_a_loss_ends_is_that_of_the_request_being_answered() -> None:
    states: list[str] = []

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/second":
            return await work(scope, receive, states)
        with make_presence(scope, receive):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one"})

    protocol = JoinedProtocol(uvicorn.Config(answering), ServerState(), {})
    protocol.connection_made(Wire())
    protocol.data_received(REQUEST + REQUEST.replace(b"GET /", b"GET /second"))
    await until(lambda: states == ["working"])
    protocol.connection_lost(None)
    await until(lambda: states == ["working", "cleaned up", "left"])


async def test_a_connection_that_is_over_leaves_no_garbage_to_look_for() -> None:
    wire, protocol = Wire(), JoinedProtocol(uvicorn.Config(app), ServerState(), {})
    protocol.connection_made(wire)
    gc.disable()
    try:
        protocol.data_received(REQUEST)
        await until(lambda: b"".join(wire.pieces).endswith(b"0\r\n\r\n"))
        protocol.connection_lost(None)
        before = ref(protocol)
        del protocol
        await until(lambda: before() is None)
    finally:
        gc.enable()


async def test_work_for_a_client_that_has_left_before_it_ends_at_once() -> None:
    states: list[str] = []
    reached, gone = asyncio.Event(), asyncio.Event()

    async def late(scope: Scope, receive: Receive, _send: Send) -> None:
        reached.set()
        await gone.wait()
        await work(scope, receive, states)

    protocol = JoinedProtocol(uvicorn.Config(late), ServerState(), {})
    protocol.connection_made(Wire())
    protocol.data_received(REQUEST)
    await reached.wait()
    protocol.connection_lost(None)
    gone.set()
    await until(lambda: states == ["working", "cleaned up", "left"])


async def test_a_connection_that_is_lost_ends_the_request_that_is_being_answered_too() -> None:
    told = asyncio.Event()

    async def waiting(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    protocol = JoinedProtocol(uvicorn.Config(waiting), ServerState(), {})
    protocol.connection_made(Wire())
    protocol.data_received(REQUEST + REQUEST)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    await asyncio.wait_for(told.wait(), 30)


async def test_what_was_written_before_a_close_goes_out() -> None:
    wire = Wire()
    assert b"".join(await read_answer(wire, LAST_REQUEST)).endswith(b"3\r\ntwo\r\n0\r\n\r\n")
    assert wire.closed


async def parrot(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's body, in brackets, and its method in uppercase."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % (len(body) + 2))]}
    )
    await send({"type": "http.response.body", "body": b"[" + body + b"]"})


WISHES = (
    b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    b"upgrade: h2c\r\nConnection: keep-alive, upgrade\r\n",
    b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
)
BODIES = (b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("body", BODIES)
async def test_who_asks_for_another_protocol_is_answered_in_this_one(wish: bytes, body: bytes) -> None:
    asked = b"POST /a HTTP/1.1\r\nhost: here\r\n" + wish + body
    whole = asked + b"POST /a HTTP/1.1\r\nhost: here\r\n" + body  # clients use the connection again
    for at in range(1, len(whole), 19):
        wire = Wire()
        protocol = JoinedProtocol(uvicorn.Config(parrot), ServerState(), {})
        protocol.connection_made(wire)
        protocol.data_received(whole[:at])
        await asyncio.sleep(0)
        protocol.data_received(whole[at:])
        await until(lambda pieces=wire.pieces: b"".join(pieces).count(b"]") == 2)
        assert b"".join(wire.pieces).count(b"[hello]") == 2
        protocol.connection_lost(None)


async def test_a_wish_for_another_protocol_keeps_the_wish_to_close() -> None:
    wire = Wire()
    protocol = JoinedProtocol(uvicorn.Config(parrot), ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n")
    await until(lambda: wire.closed)
    assert b"".join(wire.pieces).endswith(b"[]")


async def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    wire = Wire()
    protocol = JoinedProtocol(uvicorn.Config(app), ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(b"GET / HTTP/1.0\r\nhost: here\r\nconnection: keep-alive\r\n\r\n")
    await until(lambda: wire.closed)
    head, _, body = b"".join(wire.pieces).partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"chunked" not in head


async def test_a_client_of_http_1_0_gets_a_length_where_there_is_one() -> None:
    wire = Wire()
    protocol = JoinedProtocol(uvicorn.Config(parrot), ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(b"POST / HTTP/1.0\r\nhost: here\r\ncontent-length: 2\r\n\r\nhi")
    await until(lambda: wire.closed)
    head, _, body = b"".join(wire.pieces).partition(b"\r\n\r\n")
    assert body == b"[hi]"
    assert b"content-length: 4" in head
