"""Answers to web pages of other origins: which may call, and what their scripts may read."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway.errors import Denied

__all__ = ["OriginNotAllowed", "allow_origins"]


class OriginNotAllowed(Denied):
    code = "origin_not_allowed"


def allow_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return `app` behind the headers that let pages of these origins call it; `app` itself where there are none."""
    if not origins:
        return app
    return _Cors(
        app,
        allow_origins=origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "braid-release", "retry-after", "x-should-retry"],
    )


class _Cors(CORSMiddleware):
    """Starlette's, but for the refusal of a preflight, which is a line of plain text there.

    To a browser one refusal is as good as another, since it lacks the headers; the words are for who looks for the
    reason in the browser's network log.
    """

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        error = OriginNotAllowed(
            "Pages of this origin may not call this server. Its setting cors_origins names others."
        )
        return Response(
            error.encode_body(), error.status, headers={"vary": response.headers["vary"]}, media_type="application/json"
        )
