"""Every request's id, its line in the access log, and its count in the metrics."""

import re
import time
from collections.abc import Awaitable

from starlette.types import Message, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from gateway.errors import BraidError
from gateway.ids import new_id
from gateway.metrics import Metrics
from gateway.web.access_log import AccessLine, AccessLog

__all__ = [
    "MONITORS",
    "RequestLog",
    "RequestTrace",
    "new_request_id",
    "note_answer",
    "note_tenant",
    "request_id_of",
    "trace_of",
]

_WELL_FORMED = re.compile(rb"[A-Za-z0-9._:=+/@-]{1,128}")
_HEADER = b"x-request-id"
_NO_ROUTE = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MONITORS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that a monitor asks every few seconds; while they say 200 there is nothing to read about it."""


def new_request_id() -> str:
    return new_id("req_")


def request_id_of(scope: Scope) -> str:
    """Return the id of the request that is being answered."""
    return trace_of(scope).id


def trace_of(scope: Scope) -> "RequestTrace":
    """Return the trace of the request that is being answered."""
    return scope["state"]["request"]


def note_tenant(scope: Scope, tenant: str) -> None:
    """Note whose request it is, for its line and for every log line that follows."""
    trace_of(scope).tenant = tenant
    bind_contextvars(tenant=tenant)


def note_answer(scope: Scope, answer: str) -> None:
    """Note the id of the answer that the request got, which leads to its record."""
    trace_of(scope).answer = answer


class RequestTrace:
    """One request from its headers to its answer's end.

    The client's own `x-request-id` is taken if it is at most 128 letters, digits and `._:=+/@-`; else one is made. It
    is in the answer's headers, whatever the answer, and in every log line until then.
    """

    __slots__ = ("_method", "_scope", "_send", "_start", "answer", "begun", "id", "status", "tenant", "whole")

    def __init__(self, scope: Scope, send: Send, method: str) -> None:
        self.id = _read_id(scope) or new_request_id()
        self.tenant = ""
        self.answer = ""
        self.status = 0
        self.begun = False
        self.whole = False
        self._scope = scope
        self._send = send
        self._method = method
        self._start = time.perf_counter()
        scope.setdefault("state", {})["request"] = self
        clear_contextvars()  # a pipelined request's task is made in the context of the one before
        bind_contextvars(request=self.id)

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on; the answer's beginning gets the id."""
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (_HEADER, self.id.encode())]
        elif not message.get("more_body", False):
            self.whole = True
        return self._send(message)

    def end(self, log: "RequestLog") -> None:
        """Note the request, whatever ended it; its scope has no trace from then on."""
        self._scope["state"].pop("request", None)  # a cycle per request is dear to collect
        log.note(
            AccessLine(
                request=self.id,
                method=self._method,
                route=getattr(self._scope.get("route"), "path", _NO_ROUTE),
                status=self.status,
                ms=round((time.perf_counter() - self._start) * 1_000_000) / 1000,
                level="info",
                tenant=self.tenant,
                answer=self.answer,
                cut=self.begun and not self.whole,
            )
        )


class RequestLog:
    """Counts requests, and writes their lines where there is an access log."""

    def __init__(self, metrics: Metrics, lines: AccessLog | None = None) -> None:
        self._metrics = metrics
        self._lines = lines

    def note(self, line: AccessLine) -> None:
        """Note a request that has ended."""
        method = line.method if line.method in _METHODS else "other"
        status = f"{line.status // 100}xx" if line.status else "left"
        self._metrics.count_request(method, line.route, status, line.ms / 1000)
        if self._lines is not None and not (line.route in MONITORS and line.status == 200):
            self._lines.put(line)

    def note_refusal(self, request: str, error: BraidError) -> None:
        """Note bytes that were refused before they were a request that can be routed."""
        line = AccessLine(
            request=request,
            method="",
            route=_NO_ROUTE,
            status=error.status,
            ms=0.0,
            level="info",
            code=error.code or "",
        )
        self.note(line)


def _read_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER and _WELL_FORMED.fullmatch(value):
            return value.decode("ascii")
    return None
