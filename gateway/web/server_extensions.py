"""The extensions of a request's scope by which our server offers more than ASGI has.

Another server, or a test without one, has none of them: whoever uses one has a way without it.
"""

from collections.abc import Callable

from starlette.types import Scope

__all__ = ["LEAVE", "WRITE", "Leaver", "LeaverSetter", "Write", "find_leaver_setter", "find_write"]

LEAVE = "braid.leave"
"""A `LeaverSetter`."""

WRITE = "braid.write"
"""A `Write` for the answer that has begun on the request's connection."""

Leaver = Callable[[], None]

LeaverSetter = Callable[[Leaver | None], None]
"""Takes what is to be called when the client leaves, or has left; None for nothing any more."""

Write = Callable[[bytes], bool]
"""Writes a piece of a body of unknown length without a coroutine, unless the client is slow or has left.

It returns whether it did: if not, nothing was written, and an ordinary send waits as long as it takes.
"""


def find_leaver_setter(scope: Scope) -> LeaverSetter | None:
    """Return what takes a `Leaver` for the request; None where the server has no such thing."""
    return scope.get("extensions", {}).get(LEAVE)


def find_write(scope: Scope) -> Write | None:
    """Return the request's `Write`; None where the server has none."""
    return scope.get("extensions", {}).get(WRITE)
