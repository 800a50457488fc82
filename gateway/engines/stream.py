"""The body of one answer that an engine is still writing."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp

from gateway.engines.errors import EngineRefused, EngineTimeout
from gateway.engines.transport import TRANSPORT, bounded, transport_error

__all__ = ["Stream"]

_PLAIN_BYTES = 64 * 1024 * 1024
# aiohttp 3.14 answers a read on a connection that has just gone with a bare RuntimeError.
_BROKEN = (*TRANSPORT, RuntimeError)


class Stream:
    """Raw bytes as they come from the engine, in pieces that know nothing of lines or events.

    Iterate it once, or ``read()`` it whole; always ``aclose()`` it. Closing before the end aborts the generation on
    the engine at once. Iterating raises ``EngineUnreachable`` if the connection breaks before the proper end, and
    ``EngineTimeout`` after ``gap`` seconds without a byte; time in which nobody asks for bytes doesn't count.
    """

    def __init__(self, response: aiohttp.ClientResponse, url: str, gap: float) -> None:
        self._response = response
        self._content = response.content
        self._url = url
        self._gap = gap
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._started = False
        self._first = b""
        self._silent = False
        self._timer: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[None] | None = None
        # A chunk header that can't be parsed makes aiohttp 3.14 close the connection without waking the reader.
        connection = response.connection
        if connection is not None and connection.protocol is not None:
            self._lost = connection.protocol.closed
            if self._lost is None:
                self._break()
            else:
                self._lost.add_done_callback(self._wake)

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def start(self) -> None:
        """Wait for the first bytes, which iterating then yields first; raises what iterating raises.

        vLLM sends a stream's headers before it has looked at the prompt, so only this tells that the answer has begun.
        """
        if not self._started:
            self._first = await self._next()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            if self._first:
                first, self._first = self._first, b""
                yield first
            while piece := await self._next():
                yield piece
        finally:
            self._stop_watching()

    async def _next(self) -> bytes:
        # A timer a stream, not a timer a piece: it looks once a gap how long the reader has been waiting. Before the
        # first piece (the prompt is being read, or waits in the engine's queue) the session's read timeout holds.
        self._waiting_since = self._loop.time()
        try:
            piece = await self._content.readany()
        except _BROKEN as error:
            self._response.close()
            if self._silent:
                raise EngineTimeout(f"{self._url}: silent for {self._gap:g} s in mid-answer", "stream") from error
            raise transport_error(error, self._url, "stream" if self._started else "answer") from error
        finally:
            self._waiting_since = None
        if not self._started:
            self._started = True
            self._timer = self._loop.call_later(self._gap, self._watch)
        return piece

    async def read(self) -> bytes:
        """Read the whole body, which is a plain JSON answer."""
        try:
            body = self._first + await bounded(self._response, _PLAIN_BYTES)
        except _BROKEN as error:
            raise transport_error(error, self._url, "stream") from error
        if len(body) >= _PLAIN_BYTES:
            raise EngineRefused(self.status, f"The answer is longer than {_PLAIN_BYTES} bytes.")
        return body

    async def aclose(self) -> None:
        """Let go of the connection: back to the pool after the body's end, cut before it."""
        self._stop_watching()
        if self._lost is not None:
            self._lost.remove_done_callback(self._wake)
        self._response.close()

    def _wake(self, lost: asyncio.Future[None]) -> None:
        if not lost.cancelled():
            lost.exception()
        self._break()

    def _break(self) -> None:
        if not self._content.is_eof() and self._content.exception() is None:
            self._content.set_exception(aiohttp.ClientPayloadError("the connection broke in mid-body"))

    def _watch(self) -> None:
        now = self._loop.time()
        silence = 0.0 if self._waiting_since is None else now - self._waiting_since
        if silence >= self._gap:
            self._silent = True
            self._response.close()
            return
        self._timer = self._loop.call_later(self._gap - silence, self._watch)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
