"""From a request, its target and its evidence to the body that the engine gets."""

import hashlib
import hmac
from functools import cache
from typing import Any

import msgspec

import prompts
from gateway.chat.evidence import Evidence
from gateway.chat.request import ChatMessage, ChatRequest
from gateway.chat.target import Target
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest

__all__ = ["Composed", "compose"]

_PASSED_ON = (
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
)
_RESERVED_SHARE = 4  # of the context, one part in so many is kept for an answer whose length nobody gave
_RESERVED_TOKENS = 1024
_MESSAGE_TOKENS = 8  # what a chat template puts around a message, at most, in the families that vLLM serves
_GENERATION_TOKENS = 16
_ALMOST_GREEDY = 0.01  # vLLM refuses several choices at temperature 0, which OpenAI's contract allows


class Composed(msgspec.Struct, frozen=True):
    """The engine's body, and what went into its prompt.

    `rendered` is None where the client's messages went on as they were; `segments` are its texts by part.
    """

    body: bytes
    rendered: prompts.Rendered | None
    segments: tuple[prompts.Segment, ...] = ()


async def compose(
    request: ChatRequest, target: Target, evidence: Evidence, tenant: str, counter: TokenCounter
) -> Composed:
    """Render the prompt within the context and encode the engine's body.

    Raises:
        BadRequest: The prompt is too long even without passages and earlier turns (`context_length_exceeded`), or
            there is no user message to answer.
    """
    rendered, segments = None, ()
    if target.prompt is None:
        messages = [_plain(message) for message in request.messages]
    else:
        draft = _draft(request, target.prompt, evidence)
        rendered = await _fit(draft, request, target, counter)
        messages, segments = rendered.messages, _shown(draft, rendered)
    body: dict[str, Any] = {"model": target.engine_model, "messages": messages, **(target.sampling or {})}
    for name in _PASSED_ON:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.most_tokens is not None:
        body["max_tokens"] = request.most_tokens
    if body.get("n", 1) > 1 and body.get("temperature") == 0:
        body["temperature"] = _ALMOST_GREEDY
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}  # always, because settling needs it
    body["cache_salt"] = cache_salt(tenant)
    return Composed(msgspec.json.encode(body), rendered, segments)


@cache
def cache_salt(tenant: str) -> str:
    """Return the salt that keeps one tenant's prefix cache apart from another's; a client's own is never used."""
    return hmac.new(tenant.encode(), b"prefix-cache", hashlib.sha256).hexdigest()[:32]


def _draft(request: ChatRequest, template: prompts.Template, evidence: Evidence) -> prompts.Draft:
    try:
        said = prompts.split([_message(message) for message in request.messages])
        return prompts.draft(
            template,
            question=said.question,
            instructions=said.instructions,
            history=said.history,
            passages=evidence.numbered(),
            cite=not request.structured,
            after=said.after,
        )
    except prompts.PromptError as error:
        raise BadRequest(f"The prompt can't be made: {error}", param="messages", code="invalid_prompt") from None


def _shown(draft: prompts.Draft, rendered: prompts.Rendered) -> tuple[prompts.Segment, ...]:
    """Return the segments without the words for no evidence, where there is some."""
    if draft.no_evidence is None or not rendered.used_passages:
        return draft.segments
    at = next(index for index, segment in enumerate(draft.segments) if segment.part == "question")
    return draft.segments[:at] + draft.segments[at + 1 :]


async def _fit(draft: prompts.Draft, request: ChatRequest, target: Target, counter: TokenCounter) -> prompts.Rendered:
    budget = counter.context - _GENERATION_TOKENS - _reserved(request, target, counter.context)
    # A byte-level tokenizer never makes more tokens than bytes: where even those fit, nothing needs to be counted.
    sizes = [len(segment.text.encode()) + _MESSAGE_TOKENS * segment.messages for segment in draft.segments]
    if sum(sizes) > budget:
        counts = await counter.count([segment.text for segment in draft.segments])
        pairs = zip(counts, draft.segments, strict=True)
        # One more a segment: texts that are counted apart can make one token more than together.
        sizes = [count + 1 + _MESSAGE_TOKENS * segment.messages for count, segment in pairs]
    try:
        return draft.fit(sizes, budget)
    except prompts.ContextTooLong as error:
        raise BadRequest(
            f"The context holds {counter.context} tokens: {error}.", param="messages", code="context_length_exceeded"
        ) from None


def _reserved(request: ChatRequest, target: Target, context: int) -> int:
    given = request.most_tokens or (target.sampling or {}).get("max_tokens")
    return given or min(_RESERVED_TOKENS, context // _RESERVED_SHARE)


def _plain(message: ChatMessage) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": _role(message), "content": message.content}
    for name in ("name", "tool_calls", "tool_call_id"):
        value = getattr(message, name)
        if value is not None:
            plain[name] = value
    return plain


def _message(message: ChatMessage) -> prompts.Message:
    plain = _plain(message)
    role, content = plain.pop("role"), plain.pop("content") or ""
    return prompts.Message(role, content, plain)


def _role(message: ChatMessage) -> prompts.Role:
    if message.role == "developer":
        return "system"
    return "tool" if message.role == "function" else message.role
