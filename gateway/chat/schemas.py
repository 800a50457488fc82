"""The bodies of OpenAI's chat completions with Braid's own object, as they are sent and described."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from gateway.answering.engine_answer import TokenUsage
from gateway.chat.described_parts import (
    CalledFunction,
    ChatCompletionMessageToolCall,
    ChatCompletionTokenLogprob,
    ChoiceDeltaFunction,
    ChoiceDeltaToolCall,
    describe_as,
)
from gateway.openai_format.braid_object import BraidAnswer

__all__ = [
    "Annotation",
    "AnnotationURLCitation",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatCompletionMessage",
    "Choice",
    "ChoiceDelta",
    "ChoiceLogprobs",
    "ChunkChoice",
]

# What engines wrote is passed on as it is, and described as OpenAI has it.
_Call = Annotated[dict[str, Any], describe_as(ChatCompletionMessageToolCall)]
_Function = Annotated[dict[str, Any], describe_as(CalledFunction)]
_CallDelta = Annotated[dict[str, Any], describe_as(ChoiceDeltaToolCall)]
_FunctionDelta = Annotated[dict[str, Any], describe_as(ChoiceDeltaFunction)]
_TokenLogprob = Annotated[dict[str, Any], describe_as(ChatCompletionTokenLogprob)]


class AnnotationURLCitation(msgspec.Struct, kw_only=True):
    """A mark at characters `start_index` to `end_index` of the answer's text; `url` is a path of this server."""

    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(msgspec.Struct, kw_only=True):
    """A part of the text that stands for a source."""

    type: Literal["url_citation"]
    url_citation: AnnotationURLCitation


class ChoiceLogprobs(msgspec.Struct, kw_only=True):
    """Log-probabilities by token, as OpenAI's contract has them."""

    content: list[_TokenLogprob] | None
    refusal: list[_TokenLogprob] | None


class ChatCompletionMessage(msgspec.Struct, kw_only=True):
    """The message that answers; a call is a `function_call` where the request had `functions`."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Annotation]
    tool_calls: list[_Call] | UnsetType = UNSET
    function_call: _Function | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET


class Choice(msgspec.Struct, kw_only=True):
    """One of the `n` answers."""

    index: int
    message: ChatCompletionMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: str


class ChatCompletion(msgspec.Struct, kw_only=True):
    """OpenAI's `chat.completion`; `braid` is there where a release answered or passages were searched."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None
    object: Literal["chat.completion"]
    choices: list[Choice]
    usage: TokenUsage | None
    braid: BraidAnswer | UnsetType = UNSET


class ChoiceDelta(msgspec.Struct, kw_only=True):
    """An event's addition to a choice's message; the annotations come with the last one of a choice."""

    role: str | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[_CallDelta] | UnsetType = UNSET
    function_call: _FunctionDelta | UnsetType = UNSET
    reasoning: str | UnsetType | None = UNSET
    annotations: list[Annotation] | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, kw_only=True):
    """One choice's part of an event."""

    index: int
    delta: ChoiceDelta
    logprobs: ChoiceLogprobs | None
    finish_reason: str | None


class ChatCompletionChunk(msgspec.Struct, kw_only=True):
    """One event of a streamed answer, OpenAI's `chat.completion.chunk`; the stream ends with `data: [DONE]`.

    `braid` comes with the event that ends the last choice; `usage`, if asked for, with the last event, which has no
    choices, and is null in the others.
    """

    id: str
    created: int
    model: str
    system_fingerprint: str | None
    object: Literal["chat.completion.chunk"]
    choices: list[ChunkChoice]
    usage: TokenUsage | UnsetType | None = UNSET
    braid: BraidAnswer | UnsetType = UNSET
