"""The faults between the gateway and an engine, as classes."""

import re
from typing import Literal

from gateway.errors import BraidError, blur

__all__ = [
    "AdapterNotLoaded",
    "AdapterUnservable",
    "EngineBusy",
    "EngineError",
    "EngineRefused",
    "EngineTimeout",
    "EngineUnreachable",
    "NoReplica",
    "Phase",
]

_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_MOST_SECONDS = 60
_KIND = re.compile(r"[A-Za-z_ ]{1,60}")

Phase = Literal["connect", "answer", "stream"]
"""The point that a request got to: no connection; sent, but no byte of the answer's body is here; in mid-answer."""


class EngineError(BraidError):
    """An engine let a request down.

    The message is for the client and names no host, path or served name; `detail` is for logs and operators.
    """

    status = 502
    code = "engine_error"

    def __init__(self, message: str, *, detail: str, retry_after: int | None = None) -> None:
        super().__init__(message, headers={} if retry_after is None else {"retry-after": str(retry_after)})
        self.detail = detail

    def explain(self) -> str:
        """Return all that is known, in the engine's words: only of requests that have nothing of a client's."""
        return self.detail


class EngineUnreachable(EngineError):
    """No connection, or it broke; nothing is known about the request's fate on the engine."""

    status = 503
    code = "engine_unreachable"

    def __init__(self, detail: str, phase: Phase) -> None:
        super().__init__(
            "The model server can't be reached or closed the connection, maybe because it restarts. Try again.",
            detail=detail,
            retry_after=1,
        )
        self.phase: Phase = phase


class EngineTimeout(EngineError):
    """The engine took longer than `Timeouts` allows."""

    status = 504
    code = "engine_timeout"

    def __init__(self, detail: str, phase: Phase) -> None:
        super().__init__(
            "The model server didn't answer in time: it is overloaded, or the answer is long. Try again, or bound the "
            "answer by max_tokens, in the request or in the release's sampling.",
            detail=detail,
        )
        self.phase: Phase = phase


class EngineRefused(EngineError):
    """The engine answered with an error status.

    `engine_status`, `reason` and `engine_param` are vLLM's own words: whoever answers a client
    decides which of them it may see. The reason may repeat what the client wrote, so it isn't in `detail`.
    """

    code = "engine_refused"

    def __init__(self, status: int, reason: str, kind: str | None = None, param: str | None = None) -> None:
        super().__init__(
            "The model server refused the request. Try again; if it stays so, tell the operator.",
            detail=f"status {status}{f' ({kind})' if kind and _KIND.fullmatch(kind) else ''}",
        )
        self.engine_status = status
        self.reason = reason
        self.engine_param = param

    def explain(self) -> str:
        return f"status {self.engine_status}: {self.reason}"


class EngineBusy(EngineRefused):
    """The engine, or a server before it, has too much to do now, or is just stopping."""

    status = 503
    code = "engine_busy"

    def __init__(self, status: int, reason: str, retry_after: str | None) -> None:
        super().__init__(status, reason)
        seconds = int(retry_after) if retry_after is not None and _SECONDS.fullmatch(retry_after) else 1
        wait = min(max(seconds, 1), _MOST_SECONDS)
        self.args = (f"The model server has too much to do now. Try again in {wait} s.",)
        self.message = str(self)
        self.headers = {"retry-after": str(wait)}


class NoReplica(EngineError):
    """No engine replica is ready."""

    status = 503
    code = "no_replica"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(
            f"No model server is ready now. Try again in {retry_after} s.", detail=detail, retry_after=retry_after
        )


class AdapterNotLoaded(EngineError):
    """No ready replica holds the adapter (yet), or none may ever: `detail` has the reason."""

    status = 503
    code = "adapter_not_loaded"

    def __init__(self, name: str, detail: str, retry_after: int = 2) -> None:
        super().__init__(
            "The adapter isn't loaded on any ready model server yet. Try again shortly.",
            detail=f"adapter {name}: {detail}",
            retry_after=retry_after,
        )
        self.name = name


class AdapterUnservable(EngineError):
    """A replica will never serve this adapter as it is; `reason` says why, to those who manage it."""

    code = "adapter_rejected"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            "The model server can't serve the adapter of this answer. Tell the operator.",
            detail=f"adapter {name}: {reason}",
        )
        self.name = name
        self.reason = blur(reason)
