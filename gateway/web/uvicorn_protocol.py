"""uvicorn's HTTP protocol with fewer system calls, for clients of other versions of HTTP too.

It tells every request of a connection when that is lost, and writes a stream's pieces without a coroutine each.
"""

import asyncio
from functools import partial
from typing import Any
from weakref import proxy

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.web.server_extensions import LEAVE, WRITE, Leaver

__all__ = ["JoinedProtocol"]


class JoinedProtocol(HttpToolsProtocol):
    """Sends an answer's headers together with its body, or its first event, where uvicorn makes two packets of them.

    A send is the dearest single step of a short answer: it runs the network stack, and wakes whoever reads.
    """

    _running: RequestResponseCycle | None = None
    _leaver: Leaver | None = None
    parser: httptools.HttpRequestParser

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport_joiner = _JoiningTransport(transport, self.loop)
        # By a weak reference, since requests refer to them: a connection that is over has nothing for gc to find.
        connection = proxy(self)
        self._extensions = {
            LEAVE: partial(JoinedProtocol._on_leave, connection),
            WRITE: partial(JoinedProtocol._write_piece, connection),
        }
        super().connection_made(self._transport_joiner)

    def connection_lost(self, exc: Exception | None) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            # uvicorn tells only the last request, which isn't the one being answered if the client sent some ahead.
            running.disconnected = True
            running.message_event.set()
        if self._leaver is not None:
            self._leaver()
        super().connection_lost(exc)

    def _on_leave(self, leaver: Leaver | None) -> None:
        self._leaver = leaver
        if leaver is not None and self._running is not None and self._running.disconnected:
            leaver()

    def _write_piece(self, piece: bytes) -> bool:
        cycle = self._running
        if cycle is None or cycle.disconnected or cycle.response_complete or self.flow.write_paused:
            return False
        if not cycle.chunked_encoding:  # as it is before the answer has begun, and for HEAD
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        except httptools.HttpParserUpgrade as pause:
            self._read_without_upgrade(data[pause.args[0] :])

    def _should_upgrade(self) -> bool:
        # uvicorn leaves a request alone then, of which the parser has skipped the body, until it is read anew.
        return True

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read a request that asks for another protocol (`h2c`, `websocket`) as one that doesn't.

        Java's own HTTP client asks for HTTP/2 in the first request of each connection, and is content without it. The
        parser takes whatever follows the headers for the other protocol: it needs to get them without that wish.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # there is no way to ask for that without it
            self.send_400_response("")
            return
        fields = [field for field in map(_drop_upgrade, self.scope["headers"]) if field is not None]
        head = [b"%b %b HTTP/%b" % (method, self.url, version), *(b"%b: %b" % field for field in fields), b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        JoinedProtocol.data_received(self, b"\r\n".join(head) + rest)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        self._transport_joiner.begin()
        cycle.scope["extensions"] = self._extensions  # pyright: ignore[reportGeneralTypeIssues]
        if cycle.scope["http_version"] == "1.0":
            app = _EndlessAnswers(cycle, app)
        super()._start_asgi_task(cycle, app)


class _EndlessAnswers:
    """An application's answers to clients of HTTP/1.0, which know no chunks: one without a length ends at the close.

    uvicorn sends such answers in chunks to every client.
    """

    def __init__(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._cycle = cycle
        self._app = app
        self._endless = False

    async def __call__(self, scope: Any, receive: Any, _send: Any) -> None:
        await self._app(scope, receive, self._send)

    async def _send(self, message: Any) -> None:
        cycle = self._cycle
        if message["type"] == "http.response.start":
            self._endless = all(name != b"content-length" for name, _ in message.get("headers", ()))
            if self._endless:
                cycle.chunked_encoding = False
        elif self._endless:
            cycle.expected_content_length += len(message.get("body", b""))  # uvicorn wants to know it, and now does
        await cycle.send(message)


class _JoiningTransport(asyncio.Transport):
    """A transport that keeps what is written after `begin` until the event loop's next turn, and nothing after that."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._joins = True

    def begin(self) -> None:
        self._joins = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._joins:
            if not self._transport.is_closing():
                self._transport.write(data)
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(bytes(data))

    def _flush(self) -> None:
        self._joins = False
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            if not self._transport.is_closing():
                self._transport.write(data)

    def write_eof(self) -> None:
        self._flush()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._parts.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


def _drop_upgrade(field: tuple[bytes, bytes]) -> tuple[bytes, bytes] | None:
    """Return a header field without the wish for another protocol; None where it is nothing else."""
    name, value = field
    if name in (b"upgrade", b"http2-settings"):
        return None
    if name == b"connection":
        wishes = [wish.strip() for wish in value.lower().split(b",")]
        return name, b", ".join(wish for wish in wishes if wish not in (b"upgrade", b"http2-settings"))
    return field
