"""The routes of OpenAI's Responses."""

from typing import Any

import msgspec
import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response as Reply
from starlette.types import Receive, Scope, Send

from gateway.answering.generation import Generation
from gateway.answering.question import Question
from gateway.answering.service import AnsweringService
from gateway.errors import BraidError
from gateway.openai_format.event_sender import EventSender, send_whole
from gateway.responses.callables import Callables
from gateway.responses.output import ResponseBuilder
from gateway.responses.request import ResponseCreate, decode_request, to_question
from gateway.responses.schemas import Response
from gateway.responses.stream import ResponseEvents
from gateway.tenants.authenticator import Principal
from gateway.web.content_schemas import describe
from gateway.web.dependencies import ChatKey
from gateway.web.error_responses import declare_errors
from gateway.web.lean_route import LeanRoute, read_body
from gateway.web.presence import make_presence
from gateway.web.request_log import note_answer, request_id_of
from gateway.web.state import part_of, state_of

__all__ = ["SCHEMAS", "ResponseReply", "router"]

_log = structlog.get_logger()

_BODY_BYTES = 4 * 1024 * 1024

(_REQUEST, _RESPONSE), SCHEMAS = describe(ResponseCreate, Response)
_DESCRIPTION: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The response; with `stream` OpenAI's named server-sent events, the last of which has it whole.",
        "content": {"application/json": {"schema": _RESPONSE}, "text/event-stream": {"schema": {"type": "string"}}},
    }
}

router = APIRouter(
    prefix="/v1/responses", tags=["responses"], route_class=LeanRoute, responses=declare_errors(404, 409, 502, 504)
)


@router.post("", max_body_size=_BODY_BYTES, response_class=Reply, responses=_RESPONSES, openapi_extra=_DESCRIPTION)
async def create_response(request: Request, principal: ChatKey) -> Reply:
    """Answer items, in the style, with the facts and by the prompt of what `model` names."""
    body = await read_body(request, _BODY_BYTES)
    response_request = decode_request(body)
    question, tools = to_question(
        response_request, request_id_of(request.scope), grammars=state_of(request).settings.allow_grammars
    )
    return ResponseReply(part_of(request, AnsweringService), principal, response_request, question, tools)


class ResponseReply(Reply):
    """A response that is made while it is sent, so that its generation never leaves the block that closes it."""

    def __init__(
        self,
        service: AnsweringService,
        principal: Principal,
        request: ResponseCreate,
        question: Question,
        tools: Callables,
    ) -> None:
        self._service = service
        self._principal = principal
        self._request = request
        self._question = question
        self._tools = tools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note_answer(scope, self._question.id)
        with make_presence(scope, receive):
            if self._question.stream:
                await self._send_events(EventSender(send))
            else:
                await self._send_whole(send)

    async def _send_whole(self, send: Send) -> None:
        async with await self._service.begin(self._principal, self._question) as generation:
            builder = ResponseBuilder(generation.trace, self._request, self._tools)
            body = msgspec.json.encode(builder.build_whole(await generation.read()))
        await send_whole(send, generation.trace, body)

    async def _send_events(self, sender: EventSender) -> None:
        """Send the events as they come; once the stream has begun, an error is its last event."""
        try:
            async with await self._service.begin(self._principal, self._question, sender.watch) as generation:
                await self._relay(generation, sender)
        except BraidError as error:
            if not sender.begun:
                raise
            # It failed behind a comment, before there was a response to fail.
            await sender.send(b"event: error\ndata: " + _to_error(error) + b"\n\n")
        finally:
            sender.stop()
        await sender.end()

    async def _relay(self, generation: Generation, sender: EventSender) -> None:
        events = ResponseEvents(ResponseBuilder(generation.trace, self._request, self._tools))
        await sender.begin(generation.trace)
        await sender.send(events.begin())
        try:
            async for pieces in generation:
                if body := events.encode(pieces):
                    await sender.send(body)
                if events.broken is not None:
                    raise events.broken
            end = events.finish()
        except BraidError as error:
            reason = getattr(error, "detail", error.message)
            _log.warning("stream_interrupted", answer=generation.trace.id, reason=reason)
            await generation.check_sources()
            end = events.fail(error)
            await generation.aclose(error)
        await sender.send(end)


def _to_error(error: BraidError) -> bytes:
    members = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
    return msgspec.json.encode({**members, "sequence_number": 0})
