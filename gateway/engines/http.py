"""The engines' HTTP/1.1 client: kept-alive connections, and one request at a time on each."""

import asyncio
import socket
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self, cast

import httptools

from gateway.engines.errors import EngineUnreachable
from gateway.engines.stream import Stream
from gateway.settings import check_url
from retrieval.patience import Patience

__all__ = ["Connections", "Origin"]

_IDLE_SECONDS = 4.0
# A connection that the peer was closing when the request was sent shows it within a round trip. One that breaks later
# was carrying the request.
_STALE_SECONDS = 1.0
_HEAD_BYTES = 64 * 1024
_CLOSING_SECONDS = 1.0
# A host that is gone without a word breaks its connections within half a minute, whatever an answer may take.
_LIFE_SIGNS = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}


class Connections:
    """All connections to all engines, as an async context manager that closes them at its end.

    Their number isn't limited here: that is the limiter's and the pool's affair, and a queue inside the client would
    look like a slow engine. A connection that has been idle for `idle_seconds` isn't used again: vLLM closes it after
    5 s, and a request had better not meet one that is just being closed.
    """

    def __init__(self, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        self.idle_seconds = idle_seconds
        self.closed = False
        self._open: set[Connection] = set()
        self._none_left = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True
        for connection in list(self._open):
            connection.close()
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await self._none_left.wait()

    def make_origin(self, url: str) -> "Origin":
        """Return the client of the server at `url`, which may have a path that all requests' paths are put behind.

        Raises:
            ValueError: It is no URL that can be asked.
        """
        return Origin(self, url)

    def note_opening(self, connection: "Connection") -> None:
        self._open.add(connection)

    def note_loss(self, connection: "Connection") -> None:
        self._open.discard(connection)
        if self.closed and not self._open:
            self._none_left.set()


class Origin:
    """One server. Redirects aren't followed, cookies and encodings not taken, proxies not asked."""

    def __init__(self, connections: Connections, url: str) -> None:
        parts = check_url(url)
        self.url = url
        self._connections = connections
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._authority = parts.netloc
        self._before, self._behind = parts.path.rstrip("/"), f"?{parts.query}" if parts.query else ""
        self._tls = _tls() if parts.scheme == "https" else None
        self._heads: dict[tuple[str, str, bool], bytes] = {}
        self._idle: dict[Connection, float] = {}  # by the time since when; the last one is taken first
        self._sweeper: asyncio.TimerHandle | None = None

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        connect: float,
        first_byte: float,
        gap: float,
        request_id: str = "",
    ) -> Stream:
        """Send a request and wait for the head of its answer; a body is sent as JSON. Times are in seconds.

        `path` is one of a few, each of which is kept with its head. `request_id` is sent as `x-request-id`.

        Raises:
            EngineUnreachable: There is no connection within `connect`, or it broke. A request on a kept connection that
                was just being closed is sent once more, on a new one: every request may be carried out twice.
            EngineTimeout: The answer took longer than `first_byte`.
        """
        message = self._message(method, path, body, request_id)
        idle = self._take()
        if idle is not None:
            loop = asyncio.get_running_loop()
            sent_at = loop.time()
            answer = idle.send(message, first_byte, gap)
            try:
                await answer.read_head()
            except EngineUnreachable:
                if idle.heard or self._connections.closed or loop.time() - sent_at > _STALE_SECONDS:
                    raise
            else:
                return answer
        answer = (await self._connect(connect)).send(message, first_byte, gap)
        await answer.read_head()
        return answer

    def note_opening(self, connection: "Connection") -> None:
        self._connections.note_opening(connection)

    def note_loss(self, connection: "Connection") -> None:
        self._idle.pop(connection, None)
        self._connections.note_loss(connection)

    def keep(self, connection: "Connection") -> None:
        """Take back a connection on which a request and its answer are over."""
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.time()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._connections.idle_seconds, self._sweep)

    def _message(self, method: str, path: str, body: bytes | None, request_id: str) -> bytes:
        key = method, path, body is not None
        head = self._heads.get(key)
        if head is None:
            lines = [f"{method} {self._before}{path}{self._behind} HTTP/1.1", f"host: {self._authority}", "accept: */*"]
            if body is not None:
                lines.append("content-type: application/json")
            head = self._heads[key] = "\r\n".join([*lines, ""]).encode("ascii")
        fields = f"x-request-id: {request_id}\r\n".encode("ascii") if request_id else b""
        if body is None:
            return b"%b%b\r\n" % (head, fields)
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (head, fields, len(body), body)

    def _take(self) -> "Connection | None":
        if not self._idle:
            return None
        oldest = asyncio.get_running_loop().time() - self._connections.idle_seconds
        while self._idle:
            connection, since = self._idle.popitem()
            if since > oldest and not connection.closing:
                return connection
            connection.close()
        return None

    def _sweep(self) -> None:
        self._sweeper = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._connections.idle_seconds
        for connection, since in list(self._idle.items()):
            if since > oldest:
                self._sweeper = loop.call_later(since - oldest, self._sweep)
                break
            del self._idle[connection]
            connection.close()

    async def _connect(self, patience: float) -> "Connection":
        loop = asyncio.get_running_loop()
        try:
            async with Patience(patience):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise EngineUnreachable(f"{self.url}: no connection within {patience:g} s", "connect") from error
        except (OSError, UnicodeError) as error:  # the latter from a name that can't be looked up
            raise EngineUnreachable(f"{self.url}: {type(error).__name__}: {error}", "connect") from error
        if self._connections.closed:
            connection.close()
            raise RuntimeError("A request was sent after its connections had been closed.")
        if connection.closing:
            raise EngineUnreachable(f"{self.url}: closed as soon as it was connected", "connect")
        return connection


class Connection(asyncio.Protocol):
    """One connection: idle, or with the answer to one request coming in.

    Whatever isn't exactly one answer in HTTP/1.1 or 1.0 closes it. `heard` tells whether anything came back since the
    last request was sent.
    """

    def __init__(self, origin: Origin) -> None:
        self.heard = False
        self._origin = origin
        self._answer: Stream | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._check: asyncio.TimerHandle | None = None
        self._check_at = 0.0
        self._reset()

    def _reset(self) -> None:
        self._fields: list[tuple[bytes, bytes]] = []
        self._fields_size = 0
        self._fruitless = 0  # bytes since the last that was a head or a piece of the body
        self._interim = False
        self._whole = False
        self._lasting = False

    @property
    def closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """Close at once; an answer that is still coming in ends in an error."""
        if self._answer is not None:
            self._answer.fail("closed on this side in mid-answer")
        self._transport.abort()

    def send(self, message: bytes, first_byte: float, gap: float) -> Stream:
        """Send a whole request; its answer may be waited for from then on."""
        self.heard = False
        self._reset()
        self._answer = Stream(self._transport, self._origin.url, first_byte, gap)
        self._transport.write(message)
        self._check_within(min(gap, first_byte))
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _watch_life(transport.get_extra_info("socket"))
        self._origin.note_opening(self)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nothing was asked: it is no place to send a request to
            self._transport.abort()
            return
        self.heard = True
        self._fruitless += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._lasting = False
            if not self._whole:
                self._break(f"no answer in HTTP/1.1 ({error.__context__ or error})")
                return
        if self._whole:
            self._end(answer)
        elif self._fruitless > _HEAD_BYTES:
            self._break(f"{self._fruitless} bytes without an end of the header section or chunk header")

    def eof_received(self) -> None:
        answer = self._answer
        if answer is not None and answer.status and not _has_length(answer):
            self._answer = None
            answer.finish()
        else:
            self._break("closed by the engine before the end of its answer")

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(f"{type(exc).__name__}: {exc}" if exc else "the connection was closed")
        self._origin.note_loss(self)
        if self._check is not None:
            self._check.cancel()
        del self._parser  # it refers back to here

    def on_message_begin(self) -> None:
        if self._whole:
            raise _Unfit("bytes after the end of the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))
        self._fields_size += len(name) + len(value)
        if self._fields_size > _HEAD_BYTES:
            raise _Unfit(f"a header section of more than {_HEAD_BYTES} bytes")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        fields, self._fields = self._fields, []
        if status < 200:
            if status < 100:
                raise _Unfit(f"status {status}")
            self._interim = True
        elif self._answer is not None:
            self._fruitless = 0
            self._answer.begin(status, fields)

    def on_body(self, part: bytes) -> None:
        self._fruitless = 0
        if self._answer is not None:
            self._answer.feed(part)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._whole = True
            self._lasting = self._parser.should_keep_alive()

    def _check_within(self, seconds: float) -> None:
        # One timer per connection, not per answer or wait: it looks how long the reader has been waiting. One that is
        # set for a moment before that does as well.
        at = self._loop.time() + seconds
        if self._check is None or self._check_at > at:
            if self._check is not None:
                self._check.cancel()
            self._check = self._loop.call_at(at, self._check_silence)
            self._check_at = at  # uvloop's handle of a moment that is now doesn't tell it

    def _check_silence(self) -> None:
        self._check = None
        if self._answer is not None:
            self._check_within(self._answer.check_silence(self._loop.time() - self._check_at))

    def _end(self, answer: Stream) -> None:
        self._answer = None
        answer.finish()
        # An answer that came before its request was sent leaves a rest that the engine may or may not read.
        if self._lasting and not self.closing and not self._transport.get_write_buffer_size():
            self._origin.keep(self)
        else:
            self._transport.abort()

    def _break(self, detail: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.fail(detail)


class _Unfit(Exception):
    """An answer that the parser takes and we don't."""


def _has_length(answer: Stream) -> bool:
    """Tell whether the answer's head says how long its body is; otherwise it lasts until the connection is closed."""
    headers = answer.headers
    return "content-length" in headers or headers.get("transfer-encoding", "").lower().endswith("chunked")


def _watch_life(connected: socket.socket) -> None:
    """Have the kernel ask an idle peer whether it is there, as far as the system can."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _LIFE_SIGNS.items():
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
