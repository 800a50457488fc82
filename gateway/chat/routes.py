"""`POST /v1/chat/completions`: OpenAI's chat, as a face of the answers that `gateway.answering` makes."""

from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.answering.generation import Generation
from gateway.answering.question import Question
from gateway.answering.service import AnsweringService
from gateway.chat.completion import encode_completion
from gateway.chat.described_parts import PARTS
from gateway.chat.request import ChatCompletionCreate, decode_request, to_question
from gateway.chat.schemas import ChatCompletion, ChatCompletionChunk
from gateway.chat.stream import DONE_EVENT, ChunkEncoder, make_error_event
from gateway.errors import BraidError
from gateway.openai_format.event_sender import EventSender, send_whole
from gateway.tenants.authenticator import Principal
from gateway.web.content_schemas import describe
from gateway.web.dependencies import ChatKey
from gateway.web.error_responses import declare_errors
from gateway.web.lean_route import LeanRoute, read_body
from gateway.web.presence import make_presence
from gateway.web.request_log import note_answer, request_id_of
from gateway.web.server_extensions import find_write
from gateway.web.state import part_of, state_of

__all__ = ["SCHEMAS", "ChatAnswer", "router"]

_log = structlog.get_logger()

_BODY_BYTES = 4 * 1024 * 1024

(_REQUEST, _COMPLETION, _CHUNK, *_), SCHEMAS = describe(
    ChatCompletionCreate, ChatCompletion, ChatCompletionChunk, *PARTS
)
_DESCRIPTION: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream` server-sent events, each with a chunk, and `[DONE]` at the end.",
        "content": {"application/json": {"schema": _COMPLETION}, "text/event-stream": {"schema": _CHUNK}},
    }
}

router = APIRouter(
    prefix="/v1/chat",
    tags=["chat"],
    route_class=LeanRoute,
    responses=declare_errors(404, 409, 502, 504),
)


@router.post(
    "/completions", max_body_size=_BODY_BYTES, response_class=Response, responses=_RESPONSES, openapi_extra=_DESCRIPTION
)
async def create_chat_completion(request: Request, principal: ChatKey) -> Response:
    """Answer a conversation, in the style, with the facts and by the prompt of what `model` names."""
    body = await read_body(request, _BODY_BYTES)
    chat = decode_request(body, grammars=state_of(request).settings.allow_grammars)
    return ChatAnswer(part_of(request, AnsweringService), principal, chat)


class ChatAnswer(Response):
    """An answer that is made while it is sent, so that its generation never leaves the block that closes it."""

    def __init__(self, service: AnsweringService, principal: Principal, chat: ChatCompletionCreate) -> None:
        self._service = service
        self._principal = principal
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        question = to_question(self._chat, request_id_of(scope))
        note_answer(scope, question.id)
        with make_presence(scope, receive):
            if self._chat.stream:
                await self._send_events(question, EventSender(send, find_write(scope)))
            else:
                await self._send_whole(question, send)

    async def _send_whole(self, question: Question, send: Send) -> None:
        async with await self._service.begin(self._principal, question) as generation:
            body = encode_completion(generation.trace, await generation.read(), functions=self._chat.calls_functions)
        await send_whole(send, generation.trace, body)

    async def _send_events(self, question: Question, sender: EventSender) -> None:
        """Send the events as they come; once the stream has begun, an error is its last event."""
        try:
            async with await self._service.begin(self._principal, question, sender.watch) as generation:
                await self._relay(generation, sender)
            last = DONE_EVENT
        except BraidError as error:
            if not sender.begun:
                raise
            reason = getattr(error, "detail", error.message)
            _log.warning("stream_interrupted", answer=question.id, reason=reason)
            last = make_error_event(error)
        finally:
            sender.stop()
        await sender.end(last)

    async def _relay(self, generation: Generation, sender: EventSender) -> None:
        trace = generation.trace
        encoder = ChunkEncoder(
            trace,
            choices=self._chat.n or 1,
            include_usage=self._chat.include_usage,
            functions=self._chat.calls_functions,
        )
        await sender.begin(trace)
        generation.pass_on(lambda data: (piece := encoder.encode_text(data)) != b"" and sender.send_at_once(piece))
        async for events in generation:
            body = encoder.encode(events)
            if body:
                await sender.send(body)
            if encoder.broken is not None:
                raise encoder.broken
        encoder.check_end()
