"""A model server without a model, for measuring what stands before it: every answer is bytes made beforehand.

    python -m tests.bench.upstream --port 9100

It answers chat as vLLM does: whole, or as a stream of `EVENTS` events, one each `GAP_SECONDS`, so that they arrive one
by one as tokens do, and with the usage behind them where that is asked for. No framework and no task per request: a
gateway of any language costs more than this.
"""

import argparse
import asyncio
import json
from typing import cast

import httptools
import uvloop

EVENTS = 64
GAP_SECONDS = 0.005
MODEL = "mock"

_HEAD = {"id": "chatcmpl-0123456789abcdef", "created": 1790000000, "model": MODEL}
_TEXT = "Style comes from the adapter, facts come from the documents, and the prompt says how the two meet. " * 2
_USAGE = {"prompt_tokens": 80, "completion_tokens": 40, "total_tokens": 120}


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(body: bytes, content_type: str = "application/json", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _completion() -> bytes:
    message = {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": None, "reasoning": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
    return _dump({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE})


def _events(*, usage: bool) -> list[bytes]:
    """Return the stream's events in HTTP chunks; the last ones go out together, with the end of the body."""
    chunks: list[bytes] = []
    for number in range(EVENTS):
        delta = {"content": f" word{number}"} if number else {"role": "assistant", "content": ""}
        finish = "stop" if number == EVENTS - 1 else None
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunks.append(b"data: " + _dump({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n")
    if usage:
        told = {**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}
        chunks[-1] += b"data: " + _dump(told) + b"\n\n"
    chunks[-1] += b"data: [DONE]\n\n"
    framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    framed[-1] += b"0\r\n\r\n"
    return framed


_CARD = {"id": MODEL, "object": "model", "created": 1790000000, "owned_by": "vllm", "max_model_len": 8192}
_WHOLE = _answer(_completion())
_STREAMS = {usage: _events(usage=usage) for usage in (False, True)}
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_OTHERS = {
    b"/v1/models": _answer(_dump({"object": "list", "data": [_CARD]})),
    b"/health": _answer(b"{}"),
    b"/metrics": _answer(b"vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", "text/plain"),
    b"/tokenize": _answer(_dump({"count": 4, "max_model_len": 8192, "tokens": [1, 2, 3, 4]})),
}
_MISSING = _answer(b'{"error":{"message":"not here"}}', status="404 Not Found")


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._streams = self._tells_usage = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url
        self._streams = self._tells_usage = False

    def on_body(self, body: bytes) -> None:
        self._streams = self._streams or b'"stream":true' in body or b'"stream": true' in body
        self._tells_usage = self._tells_usage or b'"include_usage":true' in body

    def on_message_complete(self) -> None:
        path = self._url.partition(b"?")[0]
        if path != b"/v1/chat/completions":
            self._transport.write(_OTHERS.get(path, _MISSING))
        elif self._streams:
            self._transport.write(_STREAM_HEAD)
            self._send(_STREAMS[self._tells_usage], 0, self._loop.time())
        else:
            self._transport.write(_WHOLE)

    def _send(self, events: list[bytes], number: int, began: float) -> None:
        """Send one event and set the time of the next one by the stream's beginning, so that delays don't add up."""
        if self._transport.is_closing():
            return
        self._transport.write(events[number])
        if number + 1 < EVENTS:
            self._loop.call_at(began + (number + 1) * GAP_SECONDS, self._send, events, number + 1, began)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=9100)
    uvloop.run(_serve(options.parse_args().port))
