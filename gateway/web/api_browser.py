"""The browser of the API at `/docs`: one page, from files of this package, that asks nobody but this gateway."""

import os
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["ApiBrowser"]

_FILES = Path(__file__).with_name("static")
# Swagger UI sets styles on elements; scripts come from files only, and what it sends goes to this gateway alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",  # asked for each time, and answered with 304 while it is the same
}


class ApiBrowser(StaticFiles):
    """The page and its files, with headers that let nothing else in."""

    def __init__(self) -> None:
        super().__init__(directory=_FILES, html=True)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response
