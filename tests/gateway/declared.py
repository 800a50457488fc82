"""Every error that a test gets from a route is one that the OpenAPI lists for it, in the envelope shown there."""

import json
import re
from functools import cache
from typing import Any

import httpx2

from gateway.app import create_app

ENVELOPE = {"message", "type", "param", "code"}


@cache
def describe_api() -> dict[str, Any]:
    """Return the gateway's OpenAPI, which takes seconds to make; nobody may change it."""
    return create_app(_unopened).openapi()


@cache
def read_description() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    """Return method, path and responses of every route."""
    paths = describe_api()["paths"]
    return [
        (method.upper(), _pattern(path), operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


def _unopened() -> Any:
    raise AssertionError("the lifespan isn't entered here")


def _pattern(path: str) -> re.Pattern[str]:
    # Models and documents have keys with slashes; more of the path stands behind some of the others.
    return re.compile(re.sub(r"\{(\w+)\}", lambda m: ".+" if m[1] in ("key", "model") else "[^/]+", path))


async def check_error(answer: httpx2.Response) -> None:
    """Fail on an error that the route doesn't list; as an event hook of the tests' clients."""
    if answer.status_code < 400:
        return
    request = answer.request
    routes = [responses for method, path, responses in read_description() if _is(request, method, path)]
    if routes and "default" in routes[0]:  # not the three that take no key
        assert str(answer.status_code) in routes[0], f"{request.method} {request.url.path}: {answer.status_code}"
        await answer.aread()
        assert set(json.loads(answer.content)["error"]) == ENVELOPE


def _is(request: httpx2.Request, method: str, path: re.Pattern[str]) -> bool:
    return request.method == method and path.fullmatch(request.url.path) is not None
