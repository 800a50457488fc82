"""One answer of an engine: its head, and its body while that is still being written."""

import asyncio
from collections.abc import Callable
from typing import Self

from gateway.engines.errors import EngineRefused, EngineTimeout, EngineUnreachable

__all__ = ["Stream"]

_PLAIN_BYTES = 64 * 1024 * 1024
_UNREAD_BYTES = 256 * 1024
_LATE_SECONDS = 1.0


class Stream:
    """Raw bytes as they come from the engine, in pieces that know nothing of lines or events.

    Iterate it once, or `read()` it whole; always `aclose()` it. Closing before the end, or cancelling a task that
    waits in here, aborts the generation on the engine at once. Reading raises `EngineUnreachable` if the connection
    breaks before the proper end, and `EngineTimeout` if the first bytes aren't there `first_byte` seconds after the
    request was sent, or `gap` seconds pass without a byte after that; time in which nobody asks for bytes doesn't
    count. What is left unread for long holds up the engine, not this process's memory.

    A `listener` gets what comes in while a reader waits, and returns whether it took it; the reader gets the rest.

    `begin`, `feed`, `finish`, `fail` and `check_silence` are for the connection that the answer comes in on.
    """

    def __init__(self, transport: asyncio.Transport, url: str, first_byte: float, gap: float) -> None:
        self.listener: Callable[[bytes], bool] | None = None
        self._transport: asyncio.Transport | None = transport  # ours until the answer has ended, in whatever way
        self._url = url
        self._first_byte = first_byte
        self._gap = gap
        self._status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._unread = 0
        self._paused = False
        self._has_started = False
        self._whole = False
        self._problem: EngineUnreachable | EngineTimeout | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._anew = float("-inf")  # the beginning of a silence that a late check gave it

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name in lower case; values of a name that came several times are joined with commas."""
        headers: dict[str, str] = {}
        for name, value in self._fields:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return headers

    async def read_head(self) -> None:
        """Wait for status and headers; raises what iterating raises."""
        while not self._status:
            await self._more()

    async def start(self) -> bytes:
        """Wait for the first bytes and return them; iterating yields them again. Raises what iterating raises.

        vLLM sends a stream's headers before it has looked at the prompt, so only this tells that the answer has begun.
        """
        while not self._parts and not self._whole:
            await self._more()
        return self._parts[0] if self._parts else b""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._parts:
            if self._whole:
                raise StopAsyncIteration
            await self._more()
        parts, self._parts, self._unread = self._parts, [], 0
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def read(self) -> bytes:
        """Read the whole body, which is a plain JSON answer."""
        body = await self.read_up_to(_PLAIN_BYTES + 1)
        if len(body) > _PLAIN_BYTES:
            raise EngineRefused(self.status, f"The answer is longer than {_PLAIN_BYTES} bytes.")
        return body

    async def read_up_to(self, limit: int) -> bytes:
        """Read a body up to `limit` bytes; what is longer is cut there and the connection closed."""
        parts: list[bytes] = []
        size = 0
        async for part in self:
            parts.append(part)
            size += len(part)
            if size >= limit:
                await self.aclose()
                break
        return b"".join(parts)[:limit]

    async def aclose(self) -> None:
        """Cut the connection, unless the body's end has come in: then it is back in the pool already."""
        if self._transport is not None:
            self._parts.clear()
            self.fail("closed on this side in mid-answer")

    def begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Take in status and headers."""
        self._status = status
        self._fields = fields
        self._wake()

    def feed(self, part: bytes) -> None:
        """Take in a piece of the body."""
        if self._transport is None:
            return
        self._has_started = True
        waiter = self._waiter
        if self.listener is not None and waiter is not None and not waiter.done() and self.listener(part):
            self._since = self._loop.time()
            return
        self._parts.append(part)
        self._unread += len(part)
        if self._unread > _UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def finish(self) -> None:
        """Note that the body is whole; the connection is the caller's again."""
        transport = self._let_go_of_transport()
        if transport is None:
            return
        self._whole = True
        if self._paused and not transport.is_closing():
            transport.resume_reading()
        self._wake()

    def fail(self, detail: str, kind: type[EngineUnreachable] | type[EngineTimeout] = EngineUnreachable) -> None:
        """End in an error and cut the connection, unless the answer has ended before."""
        transport = self._let_go_of_transport()
        if transport is None:
            return
        self._problem = kind(f"{self._url}: {detail}", "stream" if self._has_started else "answer")
        transport.abort()
        self._wake()

    def check_silence(self, late: float = 0.0) -> float:
        """Fail if the engine has been silent for too long; return in how many seconds to check again.

        One that comes `late` finds that this process stood still, as where it was paused: what the engine said in that
        time hasn't been read yet, so the silence begins anew. It does so once: where each check is late, since there is
        more to do than time for it, what was said would have been read by the second.
        """
        now = self._loop.time()
        if late > _LATE_SECONDS:
            if self._since == self._anew:
                now -= late
            else:
                self._since = self._anew = now
        is_awaited = self._waiter is not None and not self._waiter.done()
        silence = now - self._since if is_awaited else 0.0
        patience = self._gap if self._has_started else self._first_byte
        if silence >= patience:
            words = (
                f"silent for {self._gap:g} s in mid-answer" if self._has_started else f"no answer within {patience:g} s"
            )
            self.fail(words, EngineTimeout)
            return patience
        return min(self._gap, patience - silence)

    def _let_go_of_transport(self) -> asyncio.Transport | None:
        transport, self._transport = self._transport, None
        self.listener = None  # it refers to who reads, and they to this
        return transport

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        """Wait until anything has come in; raises if nothing will."""
        if self._problem is not None:
            raise self._problem
        if self._has_started:
            self._since = self._loop.time()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            await self.aclose()
            raise
        finally:
            self._waiter = None
