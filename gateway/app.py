"""The FastAPI application: routes, error envelope, lifespan."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.adapters.routes import router as adapters
from gateway.administration.routes import router as tenants
from gateway.advice.report import AdviceReport
from gateway.answers.routes import SCHEMAS as ANSWER_SCHEMAS
from gateway.answers.routes import routers as answers
from gateway.assistants.routes import router as assistants
from gateway.chat.routes import SCHEMAS as CHAT_SCHEMAS
from gateway.chat.routes import router as chat
from gateway.comparisons.routes import SCHEMAS as COMPARISON_SCHEMAS
from gateway.comparisons.routes import router as comparisons
from gateway.db import explain_full_disk, is_disk_full, is_unavailable
from gateway.diagnoses.routes import SCHEMAS as DIAGNOSIS_SCHEMAS
from gateway.diagnoses.routes import router as diagnoses
from gateway.embeddings.routes import router as embeddings
from gateway.errors import (
    BadRequest,
    BraidError,
    Conflict,
    Internal,
    Unavailable,
    UnsupportedEncoding,
)
from gateway.evals.routes import SCHEMAS as EVAL_SCHEMAS
from gateway.evals.routes import routers as evals
from gateway.evaluation_jobs.routes import SCHEMAS as EVALUATION_SCHEMAS
from gateway.evaluation_jobs.routes import router as evaluations
from gateway.feedback.routes import router as feedback
from gateway.files.routes import routers as files
from gateway.fine_tuning.fact_routes import router as stale_facts
from gateway.fine_tuning.routes import router as fine_tuning
from gateway.gates.closed_book_routes import router as closed_book
from gateway.gates.routes import router as gates
from gateway.health.routes import SCHEMAS as HEALTH_SCHEMAS
from gateway.health.routes import router as health
from gateway.models.routes import router as models
from gateway.preferences.routes import router as preferences
from gateway.prompts.routes import router as prompts
from gateway.responses.routes import SCHEMAS as RESPONSE_SCHEMAS
from gateway.responses.routes import router as responses
from gateway.shutdown import explain_cut, explain_stopping
from gateway.sources.routes import exports
from gateway.sources.routes import router as sources
from gateway.vector_stores.routes import routers as vector_stores
from gateway.web.api_browser import ApiBrowser
from gateway.web.body_limit import BodyLimitSender, make_body_error
from gateway.web.content_schemas import describe
from gateway.web.cors import allow_origins
from gateway.web.error_responses import SCHEMAS as ERROR_SCHEMAS
from gateway.web.invalid_requests import explain_invalid, explain_unreadable
from gateway.web.lean_route import LeanRoute, ModelMismatch
from gateway.web.nul_check import NulCheck
from gateway.web.request_log import MONITORS, RequestTrace, trace_of
from gateway.web.state import State
from gateway.web.unknown_urls import explain_unknown

__all__ = ["create_app"]

_log = structlog.get_logger()

_MAX_BODY_BYTES = 1024 * 1024
"""Of a request on a route that doesn't say more itself; FastAPI reads a body before it looks at the key."""

_, _ADVICE_SCHEMAS = describe(AdviceReport)

_SLASHES = re.compile("/{2,}")

_NO_ENCODING = "The body has a {header}, which isn't taken here. Send it as it is, without compressing it."
_NO_RANGE = "The body is a part of something (content-range), and would replace the whole here. Send the whole."
_WHOLE_FORMS = {b"content-encoding": (b"identity", b""), b"transfer-encoding": (b"chunked",)}

_ROUTERS = (
    chat, responses, embeddings, health, models, *files, *vector_stores, fine_tuning, tenants, prompts, assistants,
    closed_book, adapters, *answers, *evals, evaluations, gates, diagnoses, comparisons, feedback, preferences,
    stale_facts, sources, exports,
)  # fmt: skip


def create_app(
    open_state: Callable[[], AbstractAsyncContextManager[State]], *, cors_origins: Sequence[str] = ()
) -> FastAPI:
    """Build the application.

    Args:
        open_state: Entered when it starts and left when it stops.
        cors_origins: The web pages' origins whose scripts may call it; `*` for any, none by default.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[dict[str, State]]:
        async with open_state() as state:
            yield {"braid": state}

    app = _Gateway(
        cors_origins,
        title="Braid",
        summary="Style from adapters, facts from documents, and a versioned prompt for both.",
        version=version("braid-gateway"),
        lifespan=lifespan,
        max_body_size=_MAX_BODY_BYTES,
        docs_url=None,
        redoc_url=None,
    )
    for router in _ROUTERS:
        app.include_router(router)
    app.mount("/docs", ApiBrowser())
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app


class _Gateway(FastAPI):
    """FastAPI with a shortcut to its lean routes.

    Ten layers of middleware and routing cost a short answer a tenth of its time. A request for a lean route goes to
    that route at once, and what it raises is answered by the same handlers. Any other spelling of the request is
    routed, and may come to the same route then.
    """

    def __init__(self, cors_origins: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self._answer = allow_origins(self._dispatch, cors_origins)
        self._answer_cut = allow_origins(_answer_cut, cors_origins)
        self._lean = {
            (method, route.path): route
            for router in _ROUTERS
            for route in router.routes
            if isinstance(route, LeanRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        method: str = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server sends no body for it
        trace = RequestTrace(scope, send, method)
        state: State = scope["state"]["braid"]
        running = state.drain.begin_request() if scope["path"] not in MONITORS else None
        try:
            await self._answer(scope, receive, trace.send)
        except asyncio.CancelledError:
            if not state.drain.stopping:
                raise
            if not trace.begun:  # else the server closes the connection, since the answer isn't whole
                await self._answer_cut(scope, receive, trace.send)
        except Exception:
            if not trace.whole:
                raise
            # The framework raises anew what it has logged and answered; the connection is good for another request.
        finally:
            trace.end(state.requests)
            if running is not None:
                state.drain.end_request(running)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        unread = _find_unread_form(scope)
        if unread is not None:
            await _respond(unread)(scope, receive, send)
            return
        drain = scope["state"]["braid"].drain
        if drain.stopping and scope["path"] not in MONITORS:
            await _respond(explain_stopping())(scope, receive, send)
            return
        lean = self._lean.get((scope["method"], scope["path"]))
        if lean is not None:
            scope["route"] = lean
            try:
                await lean.handle(scope, receive, send)
            except Exception as error:
                if trace_of(scope).begun:
                    raise
                await _answer_error(error, scope, receive, send)
        else:
            scope["path"] = _drop_extra_slashes(scope["path"], scope.get("raw_path") or b"")
            scope["query_string"] = _drop_empty_parameters(scope["query_string"])
            await super().__call__(scope, NulCheck.wrap(scope, receive), BodyLimitSender(send).send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI, with the schemas of what FastAPI doesn't decode itself."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        document["components"]["schemas"] = (
            EVAL_SCHEMAS
            | ANSWER_SCHEMAS
            | EVALUATION_SCHEMAS
            | _ADVICE_SCHEMAS
            | HEALTH_SCHEMAS
            | COMPARISON_SCHEMAS
            | DIAGNOSIS_SCHEMAS
            | ERROR_SCHEMAS
            | schemas
            | CHAT_SCHEMAS
            | RESPONSE_SCHEMAS
        )
        return document


async def _answer_error(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    handler = next(_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS)
    response = await handler(Request(scope, receive, send), error)
    await response(scope, receive, send)


async def _answer_cut(scope: Scope, receive: Receive, send: Send) -> None:
    await _respond(explain_cut())(scope, receive, send)


def _drop_extra_slashes(path: str, raw: bytes) -> str:
    """Return a path of the API as its route has it: a base URL that ends with a slash doubles the next one, and many
    clients write one at the end. A document's key is its tenant's, and stays as it is, as does an encoded slash
    (`%2F`), which is part of a name.
    """
    if b"%2f" in raw.lower():
        return unquote(_drop_extra_slashes(raw.decode("latin-1"), b""))
    place, mark, key = path.partition("/documents/")
    place = _SLASHES.sub("/", place)
    if not place.startswith(("/v1/", "/api/")):
        return path
    return place + mark + key if mark else place.rstrip("/")


def _drop_empty_parameters(query: bytes) -> bytes:
    """Return a query without the parameters that have no value, such as the cursor of the first page (`after=`).

    Many clients write all that they know. A key of a tenant's own (`metadata[area]=`) may have an empty value.
    """
    if not query.endswith(b"=") and b"=&" not in query:
        return query
    return b"&".join(one for one in query.split(b"&") if one.partition(b"=")[2] or b"[" in one or b"%5" in one)


def _find_unread_form(scope: Scope) -> BraidError | None:
    """Return the error for a body that isn't what it says as it stands: it would be stored, or read, as what it isn't.

    The server takes a body's chunks apart, and any other `transfer-encoding` before them is left in it.
    """
    for name, value in scope["headers"]:
        if name == b"content-range":
            return BadRequest(_NO_RANGE, code="unsupported_range")
        if name in _WHOLE_FORMS and value.strip().lower() not in _WHOLE_FORMS[name]:
            return UnsupportedEncoding(_NO_ENCODING.format(header=name.decode()))
    return None


def _respond(error: BraidError) -> Response:
    return Response(error.encode_body(), error.status, headers=error.headers, media_type="application/json")


async def _braid_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BraidError)
    if error.status >= 500:
        _log.warning("request_failed", code=error.code, reason=getattr(error, "detail", error.message))
    return _respond(error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if isinstance(error, ModelMismatch):
        return _respond(explain_invalid(error, error.form))
    body = getattr(request.scope.get("route"), "body_field", None)
    return _respond(explain_invalid(error, body.field_info.annotation if body else None))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _respond(explain_unknown(request.method, request.url.path))
    if error.status_code == 413:
        return _respond(make_body_error())
    if (unreadable := explain_unreadable(error)) is not None:
        return _respond(unreadable)
    detail = str(error.detail)
    if error.status_code == 405:
        detail = (
            f"{request.url.path} can't be asked with {request.method}. The methods that it takes are on the page /docs."
        )
    problem = BraidError(detail, code="http_error", headers=dict(error.headers or {}))
    problem.status = error.status_code
    problem.kind = "invalid_request_error" if error.status_code < 500 else problem.kind
    return _respond(problem)


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it: the client left before its request was whole


async def _conflict(_request: Request, error: Exception) -> Response:
    _log.warning("conflicting_write", reason=str(error))
    return _respond(Conflict("Somebody else changed the same thing at the same time. Read it again and decide anew."))


async def _out_of_range(_request: Request, error: Exception) -> Response:
    _log.warning("value_out_of_range", reason=str(error))
    return _respond(
        BadRequest(
            "A value in the request can't be kept: a number beyond 64 bit, or a text that is too long or has a "
            "character with code 0 or half of one (a lone surrogate).",
            code="out_of_range",
        )
    )


async def _database_down(request: Request, error: Exception) -> Response:
    if not is_unavailable(error):  # drivers have one class for servers that only read and for faults of ours
        return await _unexpected(request, error)
    _log.error("database_unavailable", reason=str(error))
    if is_disk_full(error):
        return _respond(explain_full_disk())
    return _respond(Unavailable("The database can't be used now. Try again.", code="database_unavailable"))


async def _unexpected(_request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", exc_info=error)
    problem = Internal(
        "Something failed that shouldn't have; it was logged under the id in x-request-id. Try again, or tell the "
        "operator that id.",
        headers={"connection": "close"},
    )
    return _respond(problem)


_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    BraidError: _braid_error,
    RequestValidationError: _invalid,
    HTTPException: _http_error,
    ClientDisconnect: _answer_nobody,
    IntegrityError: _conflict,
    StaleDataError: _conflict,  # the row that was to be changed has gone since it was read
    DataError: _out_of_range,
    OverflowError: _out_of_range,
    UnicodeEncodeError: _out_of_range,
    OperationalError: _database_down,
    InterfaceError: _database_down,
    InternalError: _database_down,
    PoolTimeout: _database_down,
    Exception: _unexpected,
}
