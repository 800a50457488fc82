"""The errors that a client can get, as classes, but for those of one room alone, and what bad JSON raises; one place
writes OpenAI's error envelope.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = [
    "BAD_JSON",
    "BadRequest",
    "BraidError",
    "Conflict",
    "Denied",
    "InsufficientStorage",
    "Internal",
    "NotFound",
    "PayloadTooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnsupportedEncoding",
    "blur",
    "write_path",
]

BAD_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of decoding bytes that aren't the JSON asked for; msgspec lets the last two through as Python has them."""

_QUOTED_PATH = re.compile(r"""(?P<quote>["'])(?:~|\.{0,2})/[^"'\n]*?(?P<name>[^"'/\n]*)(?P=quote)""")
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>()]+")
_WINDOWS_PATH = re.compile(
    r"(?:\b[A-Za-z]:|\\\\)(?:[\\/]?[^\s\\/:'\",;()\[\]<>]+)*[\\/](?P<name>[^\s\\/:'\",;()\[\]<>]*)"
)
_PATH = re.compile(
    r"(?<![\w/…])(?:~|\.{0,2})/(?!(?:v1|api|docs|healthz|readyz)\b)(?:[^\s:'\",;()\[\]<>]*/)*(?P<name>[^\s/:'\",;()\[\]<>]*)"
)
_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\d)|\[[0-9a-fA-F]*:[0-9a-fA-F:.]*\](?::\d+)?|"
    r"\b[A-Za-z][\w-]*(?:\.[\w-]+)*:\d{2,5}\b|0x[0-9a-fA-F]{6,}|"
    r"(?<![\w:])(?:[0-9a-fA-F]{3,4}(?::[0-9a-fA-F]{1,4})*::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?(?:%\w+)?|::1|"
    r"(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4})(?![\w:])|"
    r"\b(?:[A-Za-z0-9_-]+\.)+(?:local|localdomain|internal|intranet|lan|corp|svc|consul|com|net|org|arpa)\b(?!\.?\w)"
)
_HOST = re.compile(
    r"(?P<frame>\b(?:host(?: ?name)?|server at|resolv(?:e|ing)|connect(?:ing|ion)? to|valid for)[ :=]{1,2}"
    r"(?P<quote>['\"`]))[^'\"`\s]+(?=(?P=quote))|(?P<bare>\bhost(?:name)?(?:=|: ))(?!['\"`…])[\w.-]*\w",
    re.IGNORECASE,
)


def blur(text: str) -> str:
    """Return `text` with the last name of each path only, and without hosts, ports and memory addresses.

    Whatever others have worded, a library, an engine or a trainer, goes through it before a client may read it. Paths
    of this API stay.
    """
    text = _URL.sub("…", text)
    text = _QUOTED_PATH.sub(r"\g<quote>…/\g<name>\g<quote>", text)
    text = _WINDOWS_PATH.sub(r"…/\g<name>", text)
    text = _PATH.sub(r"…/\g<name>", text)
    text = _HOST.sub(lambda host: f"{host['frame'] or host['bare']}…", text)
    return _ADDRESS.sub("…", text)


class BraidError(Exception):
    """An error with an HTTP status; its message says what happened, why, and what to do next.

    `code` is the machine-readable reason, `param` the field or path that is at fault (both as in OpenAI's API).
    `is_lasting` says that the same request would fail again soon: OpenAI's clients, which send what got 409, 429 or
    5xx twice more by themselves, are told not to.
    """

    status = 500
    kind = "server_error"
    code: str | None = None
    is_lasting = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.code
        self.headers: dict[str, str] = dict(headers or {})
        if self.is_lasting:
            self.headers["x-should-retry"] = "false"

    def make_envelope(self) -> dict[str, Any]:
        """Return OpenAI's `{"error": {message, type, param, code}}`."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def encode_body(self) -> bytes:
        """Return the envelope as JSON bytes."""
        return msgspec.json.encode(self.make_envelope())


class BadRequest(BraidError):
    status = 400
    kind = "invalid_request_error"


class Unauthorized(BraidError):
    status = 401
    kind = "invalid_request_error"
    code = "invalid_api_key"


class Denied(BraidError):
    status = 403
    kind = "permission_error"
    code = "insufficient_scope"


class NotFound(BraidError):
    status = 404
    kind = "invalid_request_error"
    code = "not_found"


class Conflict(BraidError):
    status = 409
    kind = "invalid_request_error"
    code = "conflict"
    is_lasting = True


class PayloadTooLarge(BraidError):
    status = 413
    kind = "invalid_request_error"
    code = "payload_too_large"


class TooManyRequests(BraidError):
    """The tenant has as many of something as it may; how often anybody may ask isn't limited."""

    status = 429
    kind = "rate_limit_error"
    is_lasting = True


class UnsupportedEncoding(BraidError):
    status = 415
    kind = "invalid_request_error"
    code = "unsupported_encoding"


class Internal(BraidError):
    code = "internal_error"


class Unavailable(BraidError):
    """A part that the answer needs isn't there now; `retry_after` is in seconds."""

    status = 503
    code = "unavailable"

    def __init__(
        self, message: str, *, retry_after: int = 1, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, param=param, code=code, headers={"retry-after": str(retry_after)})


class InsufficientStorage(BraidError):
    """The server's own disk has no room for more, whoever sends it."""

    status = 507
    code = "disk_full"
    is_lasting = True


def write_path(steps: Sequence[str | int]) -> str:
    """Return the place of a member as `param` has it: `testing_criteria[0].input`, as OpenAI's errors name it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
