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
def read_description() -> dict[str, list[tuple[re.Pattern[str], dict[str, Any]]]]:
    """Return path and responses of every route, by method."""
    routes: dict[str, list[tuple[re.Pattern[str], dict[str, Any]]]] = {}
    for path, operations in describe_api()["paths"].items():
        for method, operation in operations.items():
            routes.setdefault(method.upper(), []).append((_pattern(path), operation["responses"]))
    return routes


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
    responses = _find_responses(request)
    if responses is None:
        return
    said = f"{request.method} {request.url.path}: {answer.status_code}"
    response = responses.get(str(answer.status_code))
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


def _find_responses(request: httpx2.Request) -> dict[str, Any] | None:
    path = _drop_extra_slashes(request.url.path, request.url.raw_path)
    routes = read_description().get(request.method, [])
    return next((responses for pattern, responses in routes if pattern.fullmatch(path)), None)
