"""The refusal of the character U+0000 in JSON bodies, for all routes at once."""

import json
import re
from typing import Any, cast

from starlette.types import Message, Receive, Scope

from gateway.errors import BadRequest

__all__ = ["NulCheck", "find_nul"]

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_MOST_SEARCHED = 64 * 1024
"""Bytes of a body in which the text is looked for that has the character; of a larger one the error names none."""
_MEDIA_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json\b", re.IGNORECASE)


class NulCheck:
    """Passes a request's body on, unless a text in it has the character with code 0.

    What clients send as JSON ends in columns of text or JSON, and PostgreSQL takes that character in neither: a column
    refuses it, or keeps an escape that no function can read again. SQLite ends a text there in comparisons.
    """

    __slots__ = ("_parts", "_receive", "_rest", "_size")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._rest = b""
        self._parts: list[bytes] = []
        self._size = 0

    @staticmethod
    def wrap(scope: Scope, receive: Receive) -> Receive:
        """Return what receives a request's body: with the check where it is JSON."""
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        return NulCheck(receive).receive if _MEDIA_TYPE.match(kind) else receive

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            BadRequest: The body has an escape of the character; raw, it is no JSON.
        """
        message = await self._take()
        body: bytes = self._rest + message.get("body", b"")
        if b"\\u0000" in body and _NUL.search(body):
            while message.get("more_body", False) and self._size <= _MOST_SEARCHED:
                message = await self._take()
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            raise _refuse(find_nul(b"".join(self._parts)) if is_whole and self._size <= _MOST_SEARCHED else None)
        self._rest = _take_begun_escape(body)
        return message

    async def _take(self) -> Message:
        message = await self._receive()
        part: bytes = message.get("body", b"")
        self._size += len(part)
        if self._size <= _MOST_SEARCHED:
            self._parts.append(part)
        else:
            self._parts.clear()
        return message


def find_nul(body: bytes) -> str | None:
    """Return the path of the first text with the character in a JSON body, or of the object with a name that has it.

    None stands for the body itself, and for one that can't be read.
    """
    try:
        below: list[tuple[str, Any]] = [("", json.loads(body))]
    except (ValueError, RecursionError):
        return None
    while below:
        path, node = below.pop()
        if isinstance(node, str) and "\0" in node:
            return path or None
        if isinstance(node, dict):
            members = cast("dict[str, Any]", node)
            if any("\0" in name for name in members):
                return path or None
            below += [(f"{path}.{name}" if path else name, one) for name, one in reversed(members.items())]
        elif isinstance(node, list):
            items = list(enumerate(cast("list[Any]", node)))
            below += [(f"{path}[{index}]", one) for index, one in reversed(items)]
    return None


def _refuse(param: str | None) -> BadRequest:
    where = f"in {param!r}" if param else "in the body"
    return BadRequest(
        f"A text {where} has the character with code 0 (\\u0000), which can't be kept. Leave it out.",
        param=param,
        code="out_of_range",
    )


def _take_begun_escape(body: bytes) -> bytes:
    """Return the end of a part that may be the beginning of an escape, with all backslashes before it."""
    before = body.rstrip(b"0").removesuffix(b"u")
    escape = body[len(before.rstrip(b"\\")) :]
    return escape if escape.startswith(b"\\") else b""
