"""The refusal of the character U+0000 in JSON bodies, for all routes at once."""

import re

from starlette.types import Message, Receive, Scope

from gateway.errors import BadRequest

__all__ = ["NulCheck"]

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_MEDIA_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json\b", re.IGNORECASE)


class NulCheck:
    """Passes a request's body on, unless a text in it has the character with code 0.

    What clients send as JSON ends in columns of text or JSON, and PostgreSQL takes that character in neither: a column
    refuses it, or keeps an escape that no function can read again. SQLite ends a text there in comparisons.
    """

    __slots__ = ("_receive", "_rest")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._rest = b""

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
        message = await self._receive()
        body: bytes = self._rest + message.get("body", b"")
        if b"\\u0000" in body and _NUL.search(body):
            raise BadRequest(
                "A text in the body has the character with code 0 (\\u0000), which can't be kept. Leave it out.",
                code="out_of_range",
            )
        self._rest = _take_begun_escape(body)
        return message


def _take_begun_escape(body: bytes) -> bytes:
    """Return the end of a part that may be the beginning of an escape, with all backslashes before it."""
    before = body.rstrip(b"0").removesuffix(b"u")
    escape = body[len(before.rstrip(b"\\")) :]
    return escape if escape.startswith(b"\\") else b""
