"""vLLM's answers with an error status, as our error."""

from typing import Any

import msgspec

from gateway.engines.errors import EngineBusy, EngineRefused
from gateway.engines.stream import Stream
from gateway.errors import BAD_JSON

__all__ = ["cut_excerpt", "read_refusal"]

# A refusal's text is shown and logged, so a mad engine must not be able to fill memory or the log with it.
_REFUSAL_BYTES = 64 * 1024
_REFUSAL_CHARACTERS = 2_000


async def read_refusal(answer: Stream) -> EngineRefused:
    """Read an error answer: vLLM's envelope, or whatever else came, cut to a length that can be logged."""
    body = await answer.read_up_to(_REFUSAL_BYTES)
    try:
        error = msgspec.json.decode(body, type=_Envelope).error
    except BAD_JSON:
        error = _Problem(cut_excerpt(body))
    reason = error.message[:_REFUSAL_CHARACTERS]
    if answer.status in (429, 503):
        return EngineBusy(answer.status, reason, answer.headers.get("retry-after"))
    return EngineRefused(answer.status, reason, error.type, error.param)


def cut_excerpt(body: bytes) -> str:
    """Return the start of a body as text for a message."""
    return body[:500].decode(errors="replace") or "(empty body)"


class _Problem(msgspec.Struct):
    message: str
    type: str | None = None
    param: str | None = None
    code: Any = None


class _Envelope(msgspec.Struct):
    error: _Problem
