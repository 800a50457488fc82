"""A streamed answer: the engine's events made into OpenAI's.

The constant part of each event (id, model, fingerprint) is spliced in as bytes. Only events that carry more than a
piece of text are decoded: the last ones, and every one where citation marks or links have to be checked.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.answering.answer_text import AnswerText
from gateway.answering.engine_answer import CUT, NO_ARGUMENTS, NO_END, BrokenAnswer, decode_event
from gateway.answering.trace import AnswerTrace
from gateway.chat.choice_fields import close_choice, to_logprobs
from gateway.chat.old_functions import OLD_REASONS, to_old_delta
from gateway.errors import BraidError
from gateway.openai_format.braid_object import make_braid_answer

__all__ = ["DONE_EVENT", "ChunkEncoder", "make_error_event"]

DONE_EVENT = b"data: [DONE]\n\n"
_CHOICES = b'"choices":'
# The ends of an event that has nothing beside its choices: as OpenAI has it, and as vLLM does.
_ENGINE_ONLY = b',"token_ids":null'
_THOUGHTS = ("reasoning", "reasoning_content")
_ENDS = (b'"finish_reason":null}]}', b'"finish_reason":null' + _ENGINE_ONLY + b"}]}")
_TEXT = b'"delta":{"content":"'
_TEXT_ENDS = tuple(b'"},"logprobs":null,' + end for end in _ENDS)
_TEXT_END = _TEXT_ENDS[0] + b"\n\n"
_NO_DATA = b"\n"  # which is in no event's data
(_QUOTE,) = b'"'  # as a number: bytes are looked for in bytes at several times the cost


def make_error_event(error: BraidError) -> bytes:
    """Return an error as the event that ends a stream; there is no `[DONE]` after it."""
    return b"data: " + error.encode_body() + b"\n\n"


class ChunkEncoder:
    """Makes one answer's events; `broken` is the reason once the engine sent one that can't be passed on.

    Args:
        trace: The answer's trace; usage and citations are noted in it.
        choices: The number of choices that will come.
        include_usage: Whether the client asked for the usage event.
        functions: Whether the client knows calls in their old form, `function_call`.
    """

    def __init__(self, trace: AnswerTrace, *, choices: int, include_usage: bool, functions: bool = False) -> None:
        head = msgspec.json.encode(
            {
                "id": trace.id,
                "created": trace.created,
                "model": trace.question.model,
                "system_fingerprint": trace.target.fingerprint,
                "object": "chat.completion.chunk",
            }
        )
        self.broken: BrokenAnswer | None = None
        self._usage_head = b"data: " + head[:-1] + b"," + _CHOICES
        # A client that asked for the usage tells the event that has it from the others by their null.
        self._head = b"data: " + head[:-1] + (b',"usage":null,' if include_usage else b",") + _CHOICES
        self._around = (_NO_DATA, _NO_DATA, b"")
        self._trace = trace
        self._filters_text = trace.citable or trace.checks_links
        self._texts: dict[tuple[int, str], AnswerText] = {}
        self._calls: dict[int, dict[int, bool]] = {}
        self._open = set(range(choices))
        self._include_usage = include_usage
        self._functions = functions

    def encode(self, events: Sequence[bytes]) -> bytes:
        """Return what the client gets for the data of some events: its own events, or nothing yet."""
        encoded: list[bytes] = []
        for data in events:
            if text := self.encode_text(data):
                encoded.append(text)
                continue
            try:
                encoded.append(self._decode(data))
            except BrokenAnswer as error:  # what came before it is still the client's
                self.broken = error
                break
        return b"".join(encoded) if len(encoded) != 1 else encoded[0]

    def encode_text(self, data: bytes) -> bytes:
        """Return the event for the data of one that has nothing but a piece of text; b"" for one that `encode` takes.

        All of a choice's are the same up to the text, and behind it: what surrounds the last one is looked for first.
        """
        if self._filters_text:
            return b""
        before, end, head = self._around
        if data.startswith(before) and data.endswith(end):
            text = data[len(before) : -len(end)]
            if _QUOTE not in text:
                return b"%b%b%b" % (head, text, _TEXT_END)
        at = data.find(_CHOICES)
        if at < 0 or not _is_just_text(data):
            return b""
        choices = data[at + len(_CHOICES) :]
        text_at = choices.find(_TEXT)
        end = next((end for end in _TEXT_ENDS if choices.endswith(end)), b"")
        if text_at > 0 and end:
            text_at += len(_TEXT)
            if _QUOTE not in choices[text_at : -len(end)]:
                self._around = data[: at + len(_CHOICES) + text_at], end, self._head + choices[:text_at]
        return self._head + choices.replace(_ENGINE_ONLY, b"") + b"\n\n"

    def check_end(self) -> None:
        """Check, once no event will come any more, that each choice has had its end.

        Raises:
            BrokenAnswer: The engine stopped before that.
        """
        if self._open:
            raise BrokenAnswer(NO_END)

    def _decode(self, data: bytes) -> bytes:
        event = decode_event(data)
        if event.usage is not None:  # some engines have it beside the choices' ends
            self._trace.usage = event.usage.to_token_usage()
        if event.usage is not None and not event.choices:
            if not self._include_usage:
                return b""
            return self._usage_head + b'[],"usage":' + msgspec.json.encode(self._trace.usage) + b"}\n\n"
        choices = [choice for choice in map(self._choice, event.choices) if choice is not None]
        extra: dict[str, Any] | None = None
        for choice in choices:
            if choice["finish_reason"] is None:
                continue
            self._open.discard(choice["index"])
            text, *thoughts = (self._texts.get((choice["index"], name)) for name in ("content", *_THOUGHTS))
            annotations = close_choice(self._trace, text, [thought for thought in thoughts if thought is not None])
            if annotations:
                choice["delta"]["annotations"] = annotations
            if not self._open and (braid := make_braid_answer(self._trace)) is not None:
                extra = {"braid": braid}
        return self._encode(choices, extra) if choices else b""

    def _choice(self, raw: dict[str, Any]) -> dict[str, Any] | None:
        """Return a choice as OpenAI has it; None where its text is withheld for now and nothing else is new."""
        delta: dict[str, Any] = raw.get("delta") or {}
        finish = raw.get("finish_reason")
        index = raw.get("index", 0)
        self._follow_calls(index, delta, finish)
        if self._functions:
            delta, finish = to_old_delta(delta), finish and OLD_REASONS.get(finish, finish)
            if not delta and finish is None and raw.get("logprobs") is None:
                return None
        if self._filters_text and self._check(index, delta, ends=finish is not None) and finish is None:
            if raw.get("logprobs") is None and not any(delta.values()):
                return None
        return {"index": index, "delta": delta, "logprobs": to_logprobs(raw.get("logprobs")), "finish_reason": finish}

    def _follow_calls(self, index: int, delta: dict[str, Any], finish: str | None) -> None:
        """Note which calls of a choice have arguments; those that end without any get an object without members."""
        pieces: list[dict[str, Any]] = delta.get("tool_calls") or []
        calls = self._calls.setdefault(index, {}) if pieces else self._calls.get(index, {})
        for piece in pieces:
            number: int = piece.get("index", 0)
            function: dict[str, Any] = piece.get("function") or {}
            calls[number] = calls.get(number, False) or bool(function.get("arguments"))
        if finish is None or all(calls.values()):
            return
        whole = list(calls)[:-1] if finish in CUT else list(calls)
        filling = [{"index": one, "function": {"arguments": NO_ARGUMENTS}} for one in whole if not calls[one]]
        if filling:
            delta["tool_calls"] = [*pieces, *filling]

    def _check(self, index: int, delta: dict[str, Any], *, ends: bool) -> bool:
        """Check the texts of a choice's delta in place; tell whether any of them is withheld."""
        withheld = False
        for name in ("content", *_THOUGHTS):
            piece = delta.get(name)
            text = self._texts.get((index, name))
            if text is None and piece:
                text = self._trace.make_answer_text() if name == "content" else self._trace.make_thought_text()
                if text is not None:
                    self._texts[index, name] = text
            if text is None:
                continue
            whole = ends or (name != "content" and bool(delta.get("content")))
            shown_text = text.feed(piece or "") + (text.finish() if whole else "")
            withheld = withheld or (bool(piece) and not shown_text)
            if piece is not None or shown_text:
                delta[name] = shown_text
        return withheld

    def _encode(self, choices: list[dict[str, Any]], extra: dict[str, Any] | None) -> bytes:
        tail = b"," + msgspec.json.encode(extra)[1:] if extra else b"}"
        return self._head + msgspec.json.encode(choices) + tail + b"\n\n"


def _is_just_text(data: bytes) -> bool:
    return data.endswith(_ENDS) and not (
        b'"finish_reason":"' in data
        or b'"usage":{' in data
        or b'"system_fingerprint"' in data
        or b'"error"' in data
        or b'"logprobs":{' in data
        or b'"tool_calls":[' in data
    )
