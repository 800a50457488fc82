"""A streamed answer on its way from the engine to the client, event by event.

The constant part of each event (id, model, fingerprint) is spliced in as bytes; only events that say something else
than a piece of text are decoded: the last ones, and every one where citation marks have to be checked.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from gateway.chat.citations import MarkFilter
from gateway.chat.contract import logprobs_of, usage_of
from gateway.errors import BAD_JSON, BraidError

__all__ = ["BrokenStream", "Relay", "error_event"]

_EVENT_BYTES = 8 * 1024 * 1024
_CHOICES = b'"choices":'
# How an event ends that has nothing beside its choices: as OpenAI has it, and as vLLM does.
_ENGINE_ONLY = b',"token_ids":null'
_ENDS = (b'"finish_reason":null}]}', b'"finish_reason":null' + _ENGINE_ONLY + b"}]}")
_NOT_JUST_TEXT = (b'"finish_reason":"', b'"usage":{', b'"system_fingerprint"', b'"error"', b'"logprobs":{')


class BrokenStream(BraidError):
    """The engine's stream ended early or can't be read; the client gets it as the stream's last event."""

    status = 502
    code = "stream_interrupted"


class _Chunk(msgspec.Struct):
    choices: list[dict[str, Any]] = []
    usage: dict[str, Any] | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Chunk)


def error_event(error: BraidError) -> bytes:
    """Return an error as the event that ends a stream (there is no `[DONE]` after it)."""
    return b"data: " + error.body() + b"\n\n"


class Relay:
    """One stream. After `events` ended: `usage` as the engine said it, `finished` if the answer is whole.

    Args:
        constant: `id`, `created`, `model` and `system_fingerprint` of every event.
        choices: How many choices will come.
        include_usage: Whether the client asked for the usage event.
        marks: Makes the filter of one choice's citation marks, or None where marks aren't checked.
        closing: Gives the choices' annotations and the object `braid`, for the events that end a choice.
    """

    def __init__(
        self,
        constant: Mapping[str, Any],
        *,
        choices: int,
        include_usage: bool,
        marks: Callable[[], MarkFilter] | None,
        closing: Callable[[MarkFilter | None], tuple[list[dict[str, Any]], dict[str, Any] | None]],
    ) -> None:
        head = msgspec.json.encode({**constant, "object": "chat.completion.chunk"})
        self._head = b"data: " + head[:-1] + b"," + _CHOICES
        self._open = choices
        self._include_usage = include_usage
        self._marks = marks
        self._filters: dict[int, MarkFilter] = {}
        self._closing = closing
        self._done = False
        self.pieces = 0
        self.usage: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        return self._done

    async def events(self, upstream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield what the client gets; ends with `[DONE]` if and only if the engine's stream did.

        Raises:
            BrokenStream: The engine's stream was cut, can't be read, or carried an error.
            EngineError: The connection broke.
        """
        rest = b""
        async for part in upstream:
            rest += part.replace(b"\r", b"") if b"\r" in part else part
            whole, found, rest = rest.rpartition(b"\n\n")
            if not found:
                if len(rest) > _EVENT_BYTES:
                    raise BrokenStream("The model server sent an event that is too long. Try again.")
                continue
            out: list[bytes] = []
            broken: BrokenStream | None = None
            for event in whole.split(b"\n\n"):
                try:
                    out.append(self._event(event))
                except BrokenStream as error:  # what came before it is still the client's
                    broken = error
                    break
            if any(out):
                yield b"".join(out)
            if broken is not None:
                raise broken
        if not self._done:
            raise BrokenStream("The model server's stream ended before the answer did. Try again.")
        yield b"data: [DONE]\n\n"

    def _event(self, event: bytes) -> bytes:
        if not event.startswith(b"data:"):
            return b""  # a comment that keeps the connection alive
        data = event[5:].strip()
        if data == b"[DONE]":
            self._done = True
            return b""
        if self._marks is None and data.endswith(_ENDS) and not any(sign in data for sign in _NOT_JUST_TEXT):
            at = data.find(_CHOICES)
            if at > 0:
                self.pieces += 1
                return self._head + data[at + len(_CHOICES) :].replace(_ENGINE_ONLY, b"") + b"\n\n"
        return self._decoded(data)

    def _decoded(self, data: bytes) -> bytes:
        try:
            chunk = _decoder.decode(data)
        except BAD_JSON:
            raise BrokenStream("The model server sent an event that can't be read. Try again.") from None
        if chunk.error is not None:
            raise BrokenStream("The model server reported an error in the middle of the answer. Try again.")
        if chunk.usage is not None and not chunk.choices:
            self.usage = usage_of(chunk.usage)
            return self._encode([], {"usage": self.usage}) if self._include_usage else b""
        self.pieces += 1
        extra: dict[str, Any] | None = None
        choices = [choice for choice in map(self._choice, chunk.choices) if choice is not None]
        for choice in choices:
            if choice["finish_reason"] is None:
                continue
            self._open -= 1
            annotations, braid = self._closing(self._filters.get(choice["index"]))
            if annotations:
                choice["delta"]["annotations"] = annotations
            if self._open == 0 and braid is not None:
                extra = {"braid": braid}
        return self._encode(choices, extra) if choices else b""

    def _choice(self, raw: dict[str, Any]) -> dict[str, Any] | None:
        """Return a choice as the contract has it; None where its text is still held back and nothing else is new."""
        delta: dict[str, Any] = raw.get("delta") or {}
        finish = raw.get("finish_reason")
        index = raw.get("index", 0)
        if self._marks is not None:
            held = self._filters.get(index)
            if held is None:
                held = self._filters[index] = self._marks()
            before = delta.get("content")
            if before is not None or finish is not None:
                text = held.feed(before or "") + (held.finish() if finish is not None else "")
                if before and not text and finish is None and len(delta) == 1 and raw.get("logprobs") is None:
                    return None
                if before is not None or text:
                    delta["content"] = text
        return {"index": index, "delta": delta, "logprobs": logprobs_of(raw.get("logprobs")), "finish_reason": finish}

    def _encode(self, choices: list[dict[str, Any]], extra: dict[str, Any] | None) -> bytes:
        tail = b"," + msgspec.json.encode(extra)[1:] if extra else b"}"
        return self._head + msgspec.json.encode(choices) + tail + b"\n\n"
