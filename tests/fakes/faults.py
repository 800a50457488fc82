"""What can go wrong with an engine, as one value that a test puts in a queue."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "refuse", "status", "hang", "cut", "bad_chunk", "stall", "drip", "huge_line", "engine_error", "body", "head"
]


@dataclass(frozen=True)
class Fault:
    """One fault of one request. `after` counts the SSE events that still go out whole before it strikes."""

    kind: Kind
    after: int = 0
    status: int = 500
    message: str = "The fake engine was told to fail."
    seconds: float = 0.0
    size: int = 0
    data: bytes = b""
    content_type: str = "application/json"


def refuse() -> Fault:
    """The connection is reset without an answer."""
    return Fault("refuse")


def status(code: int, message: str = "The fake engine was told to fail.") -> Fault:
    """An error answer in vLLM's envelope."""
    return Fault("status", status=code, message=message)


def hang() -> Fault:
    """No byte ever comes."""
    return Fault("hang")


def delay(seconds: float) -> Fault:
    """No byte for a while, then all is well."""
    return Fault("hang", seconds=seconds)


def cut(after: int = 2) -> Fault:
    """The connection is reset in mid-stream (a plain answer: in the middle of its body)."""
    return Fault("cut", after=after)


def bad_chunk(after: int = 2) -> Fault:
    """The transfer encoding breaks: bytes that are no chunk header."""
    return Fault("bad_chunk", after=after)


def stall(after: int = 2) -> Fault:
    """The stream goes silent and stays open."""
    return Fault("stall", after=after)


def drip(seconds: float = 0.0) -> Fault:
    """All is sent, one byte a write."""
    return Fault("drip", seconds=seconds)


def huge_line(size: int, after: int = 2) -> Fault:
    """One event of `size` bytes without a line end in it, then the rest."""
    return Fault("huge_line", after=after, size=size)


def engine_error(after: int = 2) -> Fault:
    """What vLLM does when generation fails in mid-stream: an error event, then [DONE], under status 200."""
    return Fault("engine_error", after=after)


def body(data: bytes, content_type: str = "application/json") -> Fault:
    """Status 200 and these bytes instead of the answer."""
    return Fault("body", data=data, content_type=content_type)


def head() -> Fault:
    """Status and headers of a plain answer, and then nothing."""
    return Fault("head")
