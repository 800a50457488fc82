"""The one map from what aiohttp raises, and from what vLLM answers with an error status, to our errors."""

from typing import Any

import aiohttp
import msgspec

from gateway.engines.errors import EngineRefused, EngineTimeout, EngineUnreachable, Phase

__all__ = ["TRANSPORT", "bounded", "refusal", "shown", "transport_error"]

TRANSPORT = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request through aiohttp can raise because of the network or the other side."""

# A refusal's text is shown and logged, so a mad engine must not be able to fill memory or the log with it.
_REFUSAL_BYTES = 64 * 1024
_REFUSAL_CHARACTERS = 2_000


def transport_error(error: Exception, url: str, phase: Phase) -> EngineUnreachable | EngineTimeout:
    """Turn one of ``TRANSPORT`` into ours; ``phase`` is how far the caller knows that the request got."""
    detail = f"{url}: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return EngineTimeout(detail, "connect" if isinstance(error, aiohttp.ConnectionTimeoutError) else phase)
    return EngineUnreachable(detail, "connect" if isinstance(error, aiohttp.ClientConnectorError) else phase)


async def bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body up to ``limit`` bytes; what is longer is cut there and the connection closed."""
    parts: list[bytes] = []
    size = 0
    while size < limit and (part := await response.content.readany()):
        parts.append(part)
        size += len(part)
    if size >= limit:
        response.close()
    return b"".join(parts)[:limit]


async def refusal(response: aiohttp.ClientResponse) -> EngineRefused:
    """Read an error answer: vLLM's envelope, or whatever else came, cut to a length that can be logged."""
    body = await bounded(response, _REFUSAL_BYTES)
    try:
        error = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.DecodeError:
        return EngineRefused(response.status, shown(body))
    return EngineRefused(response.status, error.message[:_REFUSAL_CHARACTERS], error.type, error.param)


def shown(body: bytes) -> str:
    """Return the start of a body as text for a message."""
    return body[:500].decode(errors="replace") or "(empty body)"


class _Problem(msgspec.Struct):
    message: str
    type: str | None = None
    param: str | None = None
    code: Any = None


class _Envelope(msgspec.Struct):
    error: _Problem
