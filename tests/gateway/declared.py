"""Every answer that a client of `Gateway` gets from a route is one that the OpenAPI lists for it: its status, its
content type, and of JSON the body.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx2
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from gateway.app import _drop_extra_slashes, create_app  # pyright: ignore[reportPrivateUsage]
from tests.architecture.test_routes import routes

_JSON = "application/json"
_NAME = "urn:openapi"
_MOST_BYTES = 100_000
"""Of a body that is validated: a longer one says nothing that a shorter one of the same route doesn't."""


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
    return re.compile(re.sub(r"\{(\w+)\}", lambda m: ".+" if m[1] in _list_long_parameters() else "[^/]+", path))


@cache
def _list_long_parameters() -> set[str]:
    """Return the names of what may have slashes in it, such as documents' keys."""
    return {name for route in routes() for name in re.findall(r"\{(\w+):path\}", route.path)}


async def check_answer(answer: httpx2.Response) -> None:
    """Fail on an answer that the route doesn't list; as an event hook of the tests' clients."""
    request = answer.request
    routes = [responses for method, path, responses in read_description() if _is(request, method, path)]
    if not routes:
        return
    said = f"{request.method} {request.url.path}: {answer.status_code}"
    response = routes[0].get(str(answer.status_code))
    assert response is not None, said
    content: Mapping[str, Any] = response.get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert kind in content or "*/*" in content or not (kind or content), f"{said} {kind}"
    if kind != _JSON or _JSON not in content or int(answer.headers.get("content-length", "0")) > _MOST_BYTES:
        return
    await answer.aread()
    faults = list(_validator(json.dumps(content[_JSON]["schema"])).iter_errors(json.loads(answer.content)))
    assert not faults, f"{said} {[(fault.json_path, fault.message) for fault in faults]}"


@cache
def _registry() -> Registry[Any]:
    return Registry().with_resource(_NAME, Resource(describe_api(), DRAFT202012))


@cache
def _validator(schema: str) -> Draft202012Validator:
    """Return the validator of a route's schema, whose references go to the whole description."""
    pointed = json.loads(schema.replace('"#/', f'"{_NAME}#/'))
    return Draft202012Validator(pointed, registry=_registry())


def _is(request: httpx2.Request, method: str, path: re.Pattern[str]) -> bool:
    asked = _drop_extra_slashes(request.url.path, request.url.raw_path)
    return request.method == method and path.fullmatch(asked) is not None
