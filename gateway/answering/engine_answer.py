"""The engine's answer as vLLM writes it: JSON, or server-sent events that end with `[DONE]`."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.errors import BAD_JSON, BraidError

__all__ = [
    "CUT",
    "NO_ARGUMENTS",
    "NO_END",
    "BrokenAnswer",
    "CompletionTokensDetails",
    "EngineAnswer",
    "EngineChoice",
    "EngineEvent",
    "EngineMessage",
    "EngineUsage",
    "EventReader",
    "PromptTokensDetails",
    "TokenUsage",
    "decode_answer",
    "decode_event",
]

NO_ARGUMENTS = "{}"
"""The arguments of a call that has none: clients decode them, and parsers of engines leave them out (vllm #28806)."""
CUT = ("length", "content_filter")
"""The reasons of a choice's end at which its last call may be less than a whole one."""
NO_END = "The model server stopped before the answer's end. Try again."
"""The message for an answer in which a choice has no reason of its end, so that nobody can tell whether it is whole."""

_EVENT_BYTES = 8 * 1024 * 1024
_NEWLINE, _RETURN = b"\n\r"  # as numbers: bytes are looked for in bytes at several times the cost
_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")
_GIVEN_UP = ("abort", "error")


class BrokenAnswer(BraidError):
    """The engine's answer ended early or can't be read."""

    status = 502
    code = "stream_interrupted"


class PromptTokensDetails(msgspec.Struct, frozen=True):
    """Tokens of the prompt that the engine found in its prefix cache."""

    cached_tokens: int


class CompletionTokensDetails(msgspec.Struct, frozen=True):
    """Tokens of the answer that the model thought in."""

    reasoning_tokens: int


class TokenUsage(msgspec.Struct, frozen=True):
    """Token counts of one answer, without those that only one engine has."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | UnsetType = UNSET
    completion_tokens_details: CompletionTokensDetails | UnsetType = UNSET


class _EngineDetails(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class EngineUsage(msgspec.Struct):
    """Token counts as the engine writes them: null or absent where it has none, and more than is ours to pass on."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _EngineDetails | None = None
    completion_tokens_details: _EngineDetails | None = None

    def to_token_usage(self) -> TokenUsage:
        """Return the counts that every engine has."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        cached = prompt.cached_tokens if prompt is not None else None
        reasoning = completion.reasoning_tokens if completion is not None else None
        return TokenUsage(
            self.prompt_tokens or 0,
            self.completion_tokens or 0,
            self.total_tokens or 0,
            UNSET if cached is None else PromptTokensDetails(cached),
            UNSET if reasoning is None else CompletionTokensDetails(reasoning),
        )


class EngineMessage(msgspec.Struct):
    """The text of one choice, or the tools that it calls."""

    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class EngineChoice(msgspec.Struct):
    """One of the answers that were asked for."""

    index: int = 0
    message: EngineMessage | None = None
    logprobs: dict[str, Any] | None = None
    finish_reason: str | None = None


class EngineAnswer(msgspec.Struct):
    """A whole answer."""

    choices: list[EngineChoice]
    usage: EngineUsage | None = None


class EngineEvent(msgspec.Struct):
    """One event of a streamed answer: choices with a `delta` each, as written, or none and the usage of the whole."""

    choices: list[dict[str, Any]] = []
    usage: EngineUsage | None = None
    error: Any = None


_answers = msgspec.json.Decoder(EngineAnswer)
_events = msgspec.json.Decoder(EngineEvent)


def decode_answer(body: bytes, choices: int = 1) -> EngineAnswer:
    """Decode a whole answer of so many choices, each of which has its end.

    Raises:
        BrokenAnswer: It can't be read, or was given up; the code is `engine_error`, since no stream was interrupted.
    """
    try:
        answer = _answers.decode(body)
    except BAD_JSON:
        answer = None
    if answer is None or not answer.choices:  # clients take the first choice without a look
        raise BrokenAnswer("The model server sent an answer that can't be read. Try again.", code="engine_error")
    if len(answer.choices) < choices or any(not choice.finish_reason for choice in answer.choices):
        raise BrokenAnswer(NO_END, code="engine_error")
    for choice in answer.choices:
        if choice.finish_reason not in _REASONS:
            choice.finish_reason = _to_reason(choice.finish_reason, code="engine_error")
        calls = (choice.message and choice.message.tool_calls) or []
        _fill_arguments(calls[:-1] if choice.finish_reason in CUT else calls)
    return answer


def _fill_arguments(calls: Iterable[dict[str, Any]]) -> None:
    for call in calls:
        function: dict[str, Any] | None = call.get("function")
        if function:
            function["arguments"] = function.get("arguments") or NO_ARGUMENTS


def decode_event(data: bytes) -> EngineEvent:
    """Decode one event's data.

    Raises:
        BrokenAnswer: It can't be read, reports an error, or says that the answer was given up.
    """
    try:
        event = _events.decode(data)
    except BAD_JSON:
        raise BrokenAnswer("The model server sent an event that can't be read. Try again.") from None
    if event.error is not None:
        raise BrokenAnswer("The model server reported an error in the middle of the answer. Try again.")
    for choice in event.choices:
        reason = choice["finish_reason"] = choice.get("finish_reason") or None  # "" is some engines' null
        if reason is not None and reason not in _REASONS:
            choice["finish_reason"] = _to_reason(reason)
    return event


def _to_reason(reason: object, *, code: str | None = None) -> str:
    """Return the end of a choice in OpenAI's words, of which many clients know no others.

    Raises:
        BrokenAnswer: The engine gave the answer up.
    """
    if reason in _GIVEN_UP:
        raise BrokenAnswer("The model server gave the answer up. Try again.", code=code)
    return "length"  # it was cut, for a reason that only one engine has, such as vLLM's `repetition`


class EventReader:
    """Cuts the bytes of a stream into its events' data; `is_whole` once the engine has said that it is."""

    def __init__(self) -> None:
        self.is_whole = False
        self._rest = b""

    def read_single(self, part: bytes) -> bytes:
        """Return the data of the one event that the next bytes are, as nearly all are, and take nothing; else b""."""
        if not self._rest and part.startswith(b"data: {") and part.endswith(b"}\n\n"):
            data = part[6:-2]
            if _NEWLINE not in data and _RETURN not in data:
                return data
        return b""

    def feed(self, part: bytes) -> list[bytes]:
        """Take the next bytes; return the data of the events that they complete, `[DONE]` and comments left out.

        Raises:
            BrokenAnswer: An event has grown too long.
        """
        if data := self.read_single(part):
            return [data]
        rest = self._rest + (part.replace(b"\r", b"") if _RETURN in part else part)
        whole, separator, self._rest = rest.rpartition(b"\n\n")
        if not separator:
            if len(rest) > _EVENT_BYTES:
                raise BrokenAnswer("The model server sent an event that is too long. Try again.")
            return []
        events: list[bytes] = []
        for event in whole.split(b"\n\n"):
            data = event[5:].strip() if event.startswith(b"data:") and b"\n" not in event else _join_data(event)
            if data == b"[DONE]":
                self.is_whole = True
            elif data:
                events.append(data)
        return events


def _join_data(event: bytes) -> bytes:
    """Return the data of an event that has other fields too, comments, several lines of data, or none."""
    return b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
