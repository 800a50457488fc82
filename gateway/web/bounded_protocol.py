"""The protocol of a client's connection, with bounds on what one may send, how slowly, and how many there may be."""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address
from itertools import islice
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.errors import BraidError, TooManyRequests, Unavailable
from gateway.web.request_log import new_request_id
from gateway.web.state import State
from gateway.web.uvicorn_protocol import JoinedProtocol

__all__ = ["BoundedProtocol", "ConnectionBounds", "name_client"]

_CHECK_SECONDS = 1.0
_LATE_SECONDS = 1.0
_LINGER_SECONDS = 1.0
"""To read on, into nothing, behind a refusal: what comes to a socket that is closed throws away what was sent."""
_LOOKED_AT = 64
"""Connections that are asked to make room for another one: to look at thousands for each would cost milliseconds."""
_REFUSED = "turned away"
"""The key of connections that were refused as too many, among the numbers of clients' connections by address."""
_HEAD = b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\nconnection: close\r\n%b\r\n"


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """Limits on what a connection may cost.

    Attributes:
        connections: Open at the same time, in this process.
        client_connections: Of those, from one address; of IPv6 from one /64, which is what one client has.
        refused_connections: Open at the same time beyond these, and told why they are refused; still others are closed
            without a word, so that a flood doesn't take the files that running answers need.
        head_bytes: Of a request's line and headers, and of what a chunked body has as headers behind it.
        url_bytes: Of its path and query.
        discarded_bytes: Of a body that was answered before it was whole; behind them the connection is closed.
        head_seconds: From a request's first byte, or the connection's beginning, to the end of its headers.
        pause_seconds: The longest silence inside a body.
        body_seconds: For a body to arrive, and beyond that one second for each `body_rate` bytes of it.
        body_rate: The bytes per second that a long body has to have on average.
        write_seconds: How long a client may leave what it was sent unread.
        idle_seconds: How long a connection stays open between two requests. Clients and proxies that keep one for up to
            a minute have to be the first to close it: a request that meets the server's close is lost, and one that
            isn't idempotent, as all answers are, is sent again by few. Where there is no room, idle ones are closed.
    """

    connections: int = 4096
    client_connections: int = 1024
    refused_connections: int = 256
    head_bytes: int = 64 * 1024
    url_bytes: int = 16 * 1024
    discarded_bytes: int = 16 * 1024 * 1024
    head_seconds: float = 20.0
    pause_seconds: float = 30.0
    body_seconds: float = 60.0
    body_rate: int = 16 * 1024
    write_seconds: float = 60.0
    idle_seconds: float = 75.0


class _Refusal(BraidError):
    kind = "invalid_request_error"


class HeadTooLarge(_Refusal):
    status = 431
    code = "head_too_large"


class UrlTooLong(_Refusal):
    status = 414
    code = "url_too_long"


class RequestTooSlow(_Refusal):
    status = 408
    code = "request_too_slow"


class InvalidHttp(_Refusal):
    status = 400
    code = "invalid_http"


class TooManyConnections(Unavailable):
    code = "too_many_connections"


class TooManyClientConnections(TooManyRequests):
    code = "too_many_client_connections"
    is_lasting = False


class BoundedProtocol(JoinedProtocol):
    """Refuses, in OpenAI's error envelope, what is beyond its bounds, before a route or a key is looked at.

    Sizes are counted in what arrives, so that no more than one read of the socket is held beyond a bound. Times are
    checked once per second, by one timer per connection. `clients` counts the open connections by client, and is
    one for all connections of a server.
    """

    def __init__(
        self,
        *args: Any,
        bounds: ConnectionBounds | None = None,
        clients: Counter[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._bounds = bounds or ConnectionBounds()
        self.timeout_keep_alive = self._bounds.idle_seconds
        self._clients: Counter[str] = Counter() if clients is None else clients
        self._client: str | None = None  # as which the connection is counted
        self._refusal: BraidError | None = None
        self._latest = b""
        self._in_head = True
        self._head_bytes = self._body_bytes = self._discarded = 0
        self._last_data = self._body_since = self._last_check = self.loop.time()
        self._head_since: float | None = self._last_data
        self._unread_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = self.loop.call_later(_CHECK_SECONDS, self._check)
        self._count_as(client := name_client(self.client))
        count = len(self.connections) - self._clients[_REFUSED]
        if count > self._bounds.connections and not self._make_room():
            self._turn_away(
                TooManyConnections("This server has no room for more connections now. Try again in a moment.")
            )
        elif self._clients[client] > self._bounds.client_connections and not self._make_room(client):
            self._turn_away(
                TooManyClientConnections(
                    f"Your address has {self._bounds.client_connections} connections to this server, and may not have "
                    "more. Close some, or use them for several requests each.",
                    headers={"retry-after": "1"},
                )
            )

    def _turn_away(self, error: BraidError) -> None:
        """Refuse the connection: it takes no place of its client's, nor of all, while it is told why."""
        self._refusal = error
        if self._clients[_REFUSED] >= self._bounds.refused_connections:
            self._count_as(None)
            self.transport.abort()
            return
        self._count_as(_REFUSED)
        self._refuse(error)

    def _count_as(self, client: str | None) -> None:
        if self._client is not None:
            self._clients[self._client] -= 1
            if not self._clients[self._client]:
                del self._clients[self._client]
        self._client = client
        if client is not None:
            self._clients[client] += 1

    def _make_room(self, client: str | None = None) -> bool:
        """Close an idle connection (of a client), of some that are looked at the idlest; false where none is idle."""
        others = cast("set[BoundedProtocol]", self.connections)
        first = random.randrange(max(1, len(others) - _LOOKED_AT + 1))
        some = islice(others, first, first + _LOOKED_AT)
        idle = [one for one in some if one.is_idle and client in (None, one._client)]
        if idle:
            min(idle, key=lambda one: one._last_data).transport.close()
        return bool(idle)

    @property
    def is_idle(self) -> bool:
        """Whether the connection has had its answers and waits for another request."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_answered = cycle is not None and cycle.response_complete and self._in_head and self._head_since is None
        return is_answered and not self.pipeline and not self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._count_as(None)
        self._unset_keepalive_if_required()  # uvicorn leaves it where the client reset the connection
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._last_data = self.loop.time()
        self._head_bytes += len(data)
        if self._in_head:
            if self._head_since is None:
                self._head_since = self._last_data
        elif self.cycle.response_complete:  # the client goes on with a body that was answered already
            self._discarded += len(data)
            if self._discarded > self._bounds.discarded_bytes:
                self.transport.close()
                return
        self._body_bytes += len(data)
        self._latest = data
        super().data_received(data)
        self._latest = b""  # a connection may be idle for long
        if self._head_bytes > self._bounds.head_bytes and self._refusal is None:
            self._refuse(self._head_too_large())

    def on_headers_complete(self) -> None:
        # What is raised here ends the parsing, and comes to `send_400_response`.
        if len(self.url) > self._bounds.url_bytes:
            self._refusal = UrlTooLong(f"The URL is longer than {self._bounds.url_bytes} bytes. Put less into it.")
            raise self._refusal
        if self._head_bytes > self._bounds.head_bytes:  # which may have the body's beginning in it
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._bounds.head_bytes:
                self._refusal = self._head_too_large()
                raise self._refusal
        super().on_headers_complete()  # which raises where the URL is none
        self._in_head = False
        self._head_bytes = self._body_bytes = self._discarded = 0
        self._body_since = self._last_data
        self._head_since = None
        self.headers = []  # what stands behind a chunked body, where nobody has asked for it, is none of the request's

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, but not as the first thing after a standstill: its next request may wait unread."""
        now = self.loop.time()
        stood_still = now - self._last_check > _CHECK_SECONDS + _LATE_SECONDS
        if stood_still or now - self._last_data < self.timeout_keep_alive - _LATE_SECONDS:  # which a late check moved
            again = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = again
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser, or a bound that the parser met, refused."""
        self._refuse(self._refusal or InvalidHttp(_explain_unreadable(self._latest)))

    def _head_too_large(self) -> BraidError:
        return HeadTooLarge(f"The headers are larger than {self._bounds.head_bytes} bytes. Send fewer or shorter ones.")

    def _check(self) -> None:
        now, bounds = self.loop.time(), self._bounds
        late = now - self._last_check - _CHECK_SECONDS
        if late > _LATE_SECONDS:
            self._forgive(now, late)
        if self._unread_since is not None and now - self._unread_since > bounds.write_seconds:
            self.transport.abort()
            return
        problem = self._describe_slowness(now)
        if problem:
            self._refuse(RequestTooSlow(problem))
            return
        self._last_check = now
        self._watch = self.loop.call_later(_CHECK_SECONDS, self._check)

    def _forgive(self, now: float, late: float) -> None:
        """Leave out time in which this process stood still: what the client sent and read in it isn't known yet."""
        self._last_data = now
        # What began behind the standstill, but before this check, hasn't had it.
        self._body_since = min(self._body_since + late, now)
        if self._head_since is not None:
            self._head_since = min(self._head_since + late, now)
        if self._unread_since is not None:
            self._unread_since = min(self._unread_since + late, now)

    def _describe_slowness(self, now: float) -> str:
        """Return the sentences for a client that sends too slowly; empty for one that doesn't."""
        bounds = self._bounds
        if self._head_since is not None and now - self._head_since > bounds.head_seconds:
            return f"The headers didn't arrive within {bounds.head_seconds:g} s. Send them at once."
        if self._in_head:
            return ""
        if self.flow.read_paused:  # it is we who are slow
            self._body_since += now - self._last_check
            self._last_data = now
        elif now - self._last_data > bounds.pause_seconds:
            return f"The body paused for {bounds.pause_seconds:g} s. Send it without pauses."
        elif now - self._body_since > bounds.body_seconds + self._body_bytes / bounds.body_rate:
            return (
                f"The body came so slowly that it had {self._body_bytes} bytes after {now - self._body_since:.0f} s. "
                f"Send it within {bounds.body_seconds:g} s, or a long one at {bounds.body_rate} bytes per second."
            )
        return ""

    def _refuse(self, error: BraidError) -> None:
        """End the connection, with an answer where none is being written."""
        self._refusal = error
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self._running is not None and not self._running.response_complete and self._running is not cycle:
            self.transport.close()  # the answer to a request before this one is being written
        elif cycle is None or (cycle.response_complete if self._in_head else not cycle.response_started):
            body, request = error.encode_body(), new_request_id()
            more = "".join(f"{name}: {value}\r\n" for name, value in error.headers.items()).encode()
            self.transport.write(STATUS_LINE[error.status] + _HEAD % (len(body), request.encode(), more) + body)
            state: State | None = self.app_state.get("braid")
            if state is not None:  # none where a test serves an application without its state
                state.requests.note_refusal(request, error)
            self.transport.write_eof()
            if self._watch is not None:
                self._watch.cancel()
            self._watch = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()


def _explain_unreadable(data: bytes) -> str:
    """Return the sentences for bytes that are no request; programs such as curl send a URL as it was typed."""
    line = re.match(rb"[A-Z]{3,10} (?P<url>/[^\r\n]*) HTTP/1\.[01]\r\n", data)
    if line is not None and re.search(rb"[^!-~]", line["url"]):
        return (
            "The URL has a space or another character that a URL can't have as it is. Write it percent-encoded: a "
            "space is %20, and \u00fc is %C3%BC."
        )
    return "This is no HTTP request that can be read. Send HTTP/1.1."


def name_client(address: tuple[str, int] | None) -> str:
    if address is None:  # of a Unix socket
        return ""
    host = address[0]
    if ":" not in host:
        return host
    number = IPv6Address(host)
    return str(number.ipv4_mapped or IPv6Address(int(number) >> 64 << 64))
