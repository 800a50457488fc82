import asyncio

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

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


async def answered(wire: Wire, request: bytes) -> list[bytes]:
    protocol = JoinedProtocol(uvicorn.Config(app), ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(request)
    await until(lambda: b"".join(wire.pieces).endswith(b"0\r\n\r\n"))
    return wire.pieces


async def test_headers_go_out_with_the_first_event_and_later_ones_when_they_come() -> None:
    first, *later = await answered(Wire(), REQUEST)
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert later == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]


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
    await asyncio.wait_for(told.wait(), 5)


async def test_what_was_written_before_a_close_goes_out() -> None:
    wire = Wire()
    assert b"".join(await answered(wire, LAST_REQUEST)).endswith(b"3\r\ntwo\r\n0\r\n\r\n")
    assert wire.closed
