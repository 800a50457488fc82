"""Default deny: every route takes a key or a signed link, but for the four that machines read which have none."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Mount

from gateway.app import create_app
from gateway.tenants.authenticator import Scope
from gateway.web.api_browser import ApiBrowser
from gateway.web.dependencies import KeyCheck
from tests.architecture.source import ROOT

OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json"}
SIGNED = {"/api/eval_runs/{run_id}/report"}
"""Routes whose links are signed, since a browser follows them; without a signature they refuse as the others do."""


def _unopened() -> Any:
    raise AssertionError("the lifespan isn't entered here")


def _scopes(dependant: Dependant) -> Iterator[Scope]:
    if isinstance(dependant.call, KeyCheck):
        yield dependant.call.scope
    for inner in dependant.dependencies:
        yield from _scopes(inner)


def scopes_of(route: APIRoute) -> list[Scope]:
    return list(_scopes(route.dependant))


def routes() -> list[APIRoute]:
    found = create_app(_unopened).routes
    return [route for route in _flat(found) if isinstance(route, APIRoute)]


def _flat(found: Any) -> Iterator[Any]:
    for route in found:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from _flat(included.routes)
        else:
            yield route


def test_every_route_takes_a_key() -> None:
    open_routes = {route.path for route in routes() if not scopes_of(route)}
    assert open_routes <= OPEN | SIGNED


def test_what_takes_no_key_is_listed_for_whoever_asks_what_is_trusted() -> None:
    trusted = (ROOT / "SECURITY.md").read_text().partition("## What it trusts")[2]
    listed = {path.removeprefix("GET ") for path in re.findall(r"`((?:GET )?/[^`]+)`", trusted)}
    without_key = {route.path for route in routes() if not scopes_of(route)}
    assert without_key
    assert listed == without_key | {"/openapi.json", "/docs"}


def test_nothing_but_the_api_browser_is_mounted() -> None:
    mounted = [route for route in create_app(_unopened).routes if isinstance(route, Mount)]
    assert [(route.path, type(route.app)) for route in mounted] == [("/docs", ApiBrowser)]


def test_there_are_routes() -> None:
    paths = {route.path for route in routes()}
    assert {"/v1/chat/completions", "/v1/models", "/api/assistants"} <= paths


def test_administration_takes_the_scope_admin() -> None:
    tenants = [route for route in routes() if route.path == "/api/tenants"]
    assert tenants
    assert all(Scope.ADMIN in scopes_of(route) for route in tenants)
