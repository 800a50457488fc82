"""`POST /v1/chat/completions`: the hot route.

Plain ASGI, to which the application sends this path ahead of its routing; the route below is its entry in the OpenAPI.
It takes the same `authenticate` as every door, without what the framework costs for parsing and encoding.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.chat.answer import StreamedAnswer
from gateway.chat.request import decode_request
from gateway.chat.service import ChatService
from gateway.errors import NotFound, PayloadTooLarge
from gateway.tenants.authenticator import Scope as KeyScope
from gateway.web.dependencies import ChatKey
from gateway.web.state import part_of, state_of

__all__ = ["CHAT_PATH", "completions", "router"]

CHAT_PATH = "/v1/chat/completions"
_BODY_BYTES = 16 * 1024 * 1024
_Headers = list[tuple[bytes, bytes]]


async def completions(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request as plain ASGI; what is raised before the first `send` is the caller's to answer."""
    request = Request(scope)
    state = state_of(request)
    principal = await state.authenticator.authenticate(request.headers.get("authorization"), KeyScope.CHAT)
    body = await _body(receive)
    if body is None:
        return
    asked = decode_request(body)
    with _Presence(receive):
        answer = await part_of(request, ChatService).answer(principal, asked)
        if isinstance(answer, StreamedAnswer):
            await _send_stream(send, answer)
        else:
            headers = _encoded(answer.headers, b"application/json")
            headers.append((b"content-length", str(len(answer.body)).encode()))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})


class _Presence:
    """Cancels the work in its block when the client leaves, which closes the upstream and so ends the generation."""

    def __init__(self, receive: Receive) -> None:
        self._watch = asyncio.ensure_future(_disconnected(receive))
        self._work = asyncio.current_task()

    def __enter__(self) -> None:
        self._watch.add_done_callback(self._gone)

    def _gone(self, _watch: "asyncio.Future[None]") -> None:
        if self._work is not None:
            self._work.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        work, self._work = self._work, None
        left = self._watch.done()
        self._watch.cancel()
        if left and kind is asyncio.CancelledError and work is not None:
            work.uncancel()
            return True
        return False


async def _send_stream(send: Send, answer: StreamedAnswer) -> None:
    headers = _encoded(answer.headers, b"text/event-stream; charset=utf-8")
    headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async with aclosing(answer.events) as parts:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body, None if the client left before it was whole."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > _BODY_BYTES:
            raise PayloadTooLarge(f"The body is larger than {_BODY_BYTES} bytes. Send less text.")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _encoded(headers: Mapping[str, str], content_type: bytes) -> _Headers:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    encoded.append((b"content-type", content_type))
    return encoded


router = APIRouter(prefix="/v1/chat", tags=["chat"])


@router.post("/completions")
async def create_chat_completion(principal: ChatKey, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a conversation, in the style, with the facts and by the prompt of what `model` names."""
    raise NotFound(f"Chat is asked at {CHAT_PATH}.", code="unknown_url")  # only what looks like that path comes here
