"""The response of an answer: whole, or its head, events, and comments while there is nothing to say."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.answering.trace import AnswerTrace
from gateway.openai_format.braid_object import make_response_headers

__all__ = ["EventSender", "send_whole"]

# A proxy gives up an answer of which it hears nothing: nginx after 60 s.
_SILENCE_SECONDS = 15.0
_COMMENT = b": the model is at work\n\n"
# Many clients part lines as `str.splitlines` does, at these too, and each event's JSON has to be one line for them.
_SEPARATORS = tuple((sign.encode(), b"\\u%04x" % ord(sign)) for sign in "\u0085\u2028\u2029")
_STREAM_HEADERS = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class EventSender:
    """Sends an answer's events; `begun` once the head is out, after which an error can only be an event.

    The head goes out with the first event, or with a comment when an engine takes long for its first byte. Comments
    are part of the protocol, and clients leave them out.

    Args:
        send: Sends a message of ASGI.
        write: Writes events at once, and returns whether it could; None where the server has no such way.
    """

    def __init__(self, send: Send, write: Callable[[bytes], bool] | None = None) -> None:
        self.begun = False
        self._send = send
        self._write = write
        self._trace: AnswerTrace | None = None
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._comment: asyncio.Task[None] | None = None

    def watch(self, trace: AnswerTrace) -> None:
        """Break the silence from now on, while the engine is waited for."""
        self._trace = trace
        self._sent_at = self._loop.time()
        self._timer = self._loop.call_later(_SILENCE_SECONDS, self._look)

    async def begin(self, trace: AnswerTrace) -> None:
        """Send the head, unless a comment did."""
        if not self.begun:
            self.begun = True
            headers = _answer_headers(trace, b"text/event-stream; charset=utf-8") + _STREAM_HEADERS
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, events: bytes) -> None:
        """Send one or more whole events."""
        self._sent_at = self._loop.time()
        await self._send({"type": "http.response.body", "body": _keep_to_lines(events), "more_body": True})

    def send_at_once(self, events: bytes) -> bool:
        """Send whole events without waiting for anything; False, and nothing was sent, where that can't be done."""
        if self._write is None or not self.begun or not self._write(_keep_to_lines(events)):
            return False
        self._sent_at = self._loop.time()
        return True

    async def end(self, events: bytes = b"") -> None:
        """End the response, if it has begun, with its last events; nothing may be sent after that."""
        self.stop()
        if self.begun:
            await self._send({"type": "http.response.body", "body": _keep_to_lines(events)})

    def stop(self) -> None:
        """Send no more comments."""
        if self._timer is not None:
            self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()

    def _look(self) -> None:
        # One timer per answer, not per event: it looks how long the last one is ago.
        silence = self._loop.time() - self._sent_at
        if silence >= _SILENCE_SECONDS:
            silence = 0.0
            if self._comment is None or self._comment.done():
                self._comment = self._loop.create_task(self._send_comment())
        self._timer = self._loop.call_later(_SILENCE_SECONDS - silence, self._look)

    async def _send_comment(self) -> None:
        assert self._trace is not None
        await self.begin(self._trace)
        await self.send(_COMMENT)


async def send_whole(send: Send, trace: AnswerTrace, body: bytes) -> None:
    """Send an answer's JSON."""
    headers = _answer_headers(trace, b"application/json")
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _keep_to_lines(events: bytes) -> bytes:
    """Return events with escapes for the separators of lines that Unicode has beside the protocol's."""
    for sign, escape in _SEPARATORS:
        if sign in events:
            events = events.replace(sign, escape)
    return events


def _answer_headers(trace: AnswerTrace, content_type: bytes) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers as ASGI has them."""
    headers = [(name.encode(), value.encode()) for name, value in make_response_headers(trace).items()]
    return [*headers, (b"content-type", content_type)]
