"""What the chat road gives back: a whole answer, or a stream of one."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

__all__ = ["PlainAnswer", "StreamedAnswer"]


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """OpenAI's `chat.completion` as JSON bytes."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """Server-sent events as bytes. Iterate `events` to the end or close it: that settles the answer.

    An error after the first event is an event of the stream, never an exception.
    """

    headers: Mapping[str, str]
    events: AsyncGenerator[bytes, None]
