"""From a question, its target and its evidence to the body that the engine gets."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

import prompts
from gateway.answering.engine_refusal import explain_overflow
from gateway.answering.prompt_sizes import measure_segments
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.engines.client import make_cache_salt
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest
from training.chat_format import fold_system

__all__ = ["NOT_COMPOSED", "ComposedPrompt", "compose"]

_RESERVED_SHARE = 4  # of the context, one part in so many is reserved for an answer whose length nobody gave
_MOST_RESERVED_SHARE = 2  # of it at most: a client's limit is often more than any answer takes, and engines cut it
_RESERVED_TOKENS = 1024
_GENERATION_TOKENS = 16
_TOOL_WORDS = 256  # what a chat template says about tools, beside their descriptions
# vLLM refuses several choices at temperature 0, and a `top_p` of 0, which OpenAI's contract allows.
_ALMOST_GREEDY = 0.01
_LIKELIEST_ALONE = 1e-6


class ComposedPrompt(msgspec.Struct, frozen=True):
    """The engine's body, and what went into its prompt.

    `rendering` is None where the client's messages went on as they were; `segments` are its texts by part.
    """

    body: bytes
    rendering: prompts.Rendering | None
    segments: tuple[prompts.Segment, ...] = ()


NOT_COMPOSED = ComposedPrompt(b"", None)


async def compose(
    question: Question,
    target: Target,
    evidence: Evidence,
    tenant: str,
    counter: TokenCounter,
    *,
    folds_system: bool = False,
    markers: prompts.Markers = prompts.GENERIC,
) -> ComposedPrompt:
    """Render the prompt within the context and encode the engine's body.

    With `folds_system` the system text goes into the first user message, as in the rows that adapters learn; `markers`
    are what the base takes for more than text, as in those rows.

    Raises:
        BadRequest: The prompt is too long even without passages and earlier turns (`context_length_exceeded`), or
            there is no user message to answer.
    """
    rendering, segments = None, ()
    if target.prompt is None:
        messages = question.messages
    else:
        draft = _draft(question, target.prompt, target.variables, evidence, markers)
        rendering = await _fit(draft, question, target, counter)
        messages, segments = rendering.messages, _used_segments(draft, rendering)
    if folds_system:
        messages = fold_system(msgspec.to_builtins(messages))
    sampling = _sampling(question, target, counter)
    body: dict[str, Any] = {"model": target.engine_model, "messages": messages, **sampling}
    if question.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}  # always, because settling needs it
    if target.chat_template_kwargs:
        body["chat_template_kwargs"] = target.chat_template_kwargs
    body["cache_salt"] = make_cache_salt(tenant)
    return ComposedPrompt(msgspec.json.encode(body), rendering, segments)


def _sampling(question: Question, target: Target, counter: TokenCounter) -> dict[str, Any]:
    """Return the parameters of the answer, the release's and the client's, as engines take them."""
    own = dict(target.sampling or {})
    if own.get("max_tokens"):  # beyond the context it is refused, and no client could mend it
        own["max_tokens"] = min(own["max_tokens"], counter.context)
    parameters = {**own, **question.parameters}
    if parameters.get("n", 1) > 1 and parameters.get("temperature") == 0:
        parameters["temperature"] = _ALMOST_GREEDY
    if parameters.get("top_p") == 0:
        parameters["top_p"] = _LIKELIEST_ALONE
    return parameters


def _draft(
    question: Question,
    template: prompts.Template,
    variables: Mapping[str, Any] | None,
    evidence: Evidence,
    markers: prompts.Markers,
) -> prompts.Draft:
    try:
        conversation = prompts.split([_prompt_message(message) for message in question.messages])
        return prompts.draft(
            template,
            question=conversation.question,
            instructions=conversation.instructions,
            history=conversation.history,
            passages=evidence.for_prompt(),
            variables=variables,
            cite=not question.structured,
            after=conversation.after,
            markers=markers,
        )
    except prompts.PromptError as error:
        raise BadRequest(f"The prompt can't be made: {error}", param="messages", code="invalid_prompt") from None


def _prompt_message(message: Message) -> prompts.Message:
    if message.name is UNSET and message.tool_calls is UNSET and message.tool_call_id is UNSET:
        return prompts.Message(
            message.role, message.content or ""
        )  # most are plain, and conversion costs most of it all
    fields = msgspec.to_builtins(message)
    role, content = fields.pop("role"), fields.pop("content") or ""
    return prompts.Message(role, content, fields)


def _used_segments(draft: prompts.Draft, rendering: prompts.Rendering) -> tuple[prompts.Segment, ...]:
    """Return the segments without the words for no evidence, where there is some."""
    if draft.no_evidence is None or not rendering.used_passages:
        return draft.segments
    at = next(index for index, segment in enumerate(draft.segments) if segment.part == "question")
    return draft.segments[:at] + draft.segments[at + 1 :]


async def _fit(draft: prompts.Draft, question: Question, target: Target, counter: TokenCounter) -> prompts.Rendering:
    context = counter.context
    budget = context - _GENERATION_TOKENS - _reserved(question, target, context)
    if tools := question.parameters.get("tools"):
        budget -= _TOOL_WORDS + await _measure_tools(tools, budget - _TOOL_WORDS - _count_bytes(draft), counter)
    sizes = await measure_segments(draft, budget, counter)
    try:
        return draft.fit(sizes, budget)
    except prompts.ContextTooLong as error:
        raise explain_overflow(context, str(error)) from None


async def _measure_tools(tools: Any, room: int, counter: TokenCounter) -> int:
    """Return the tokens of the tools' descriptions; 0 where even their bytes fit into what the other bytes leave."""
    text = msgspec.json.format(msgspec.json.encode(tools), indent=4).decode()  # as the widest of templates prints them
    return 0 if len(text.encode()) <= room else (await counter.count([text]))[0]


def _count_bytes(draft: prompts.Draft) -> int:
    return sum(len(segment.text.encode()) for segment in draft.segments)


def _reserved(question: Question, target: Target, context: int) -> int:
    limit = question.parameters.get("max_tokens") or (target.sampling or {}).get("max_tokens")
    return min(limit or _RESERVED_TOKENS, context // (_MOST_RESERVED_SHARE if limit else _RESERVED_SHARE))
