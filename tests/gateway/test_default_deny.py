"""Default deny as a stranger meets it: every route, asked without a key and with a wrong one."""

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2
import pytest

from tests.architecture.test_routes import OPEN, routes
from tests.gateway.conftest import Gateway


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-braid-of-nobody"}])
async def test_every_route_refuses_who_has_no_key(gateway: Gateway, headers: dict[str, str]) -> None:
    answers: dict[str, int] = {}
    async with httpx2.AsyncClient(base_url=gateway.url, headers=headers) as stranger:
        for route in routes():
            if route.path in OPEN:
                continue
            for method in sorted(route.methods or ()):
                answer = await stranger.request(method, re.sub(r"\{[^}]*\}", "x", route.path))
                answers[f"{method} {route.path}"] = answer.status_code
    assert answers == dict.fromkeys(answers, 401)
    assert "POST /v1/chat/completions" in answers


def _takers() -> list[tuple[str, str]]:
    """Method and URL of each route that may take a body."""
    return [
        (method, re.sub(r"\{[^}]*\}", "x", route.path))
        for route in routes()
        for method in sorted({"POST", "PUT", "PATCH"} & (route.methods or set()))
    ]


async def test_a_large_body_of_who_has_no_key_is_refused_everywhere(gateway: Gateway) -> None:
    answers: dict[str, tuple[int, str]] = {}
    async with httpx2.AsyncClient(base_url=gateway.url, headers={"content-type": "application/json"}) as stranger:
        for method, url in _takers():
            answer = await stranger.request(method, url, content=_parts(64))
            answers[f"{method} {url}"] = answer.status_code, answer.json()["error"]["code"]
    allowed = {(401, "missing_api_key"), (413, "payload_too_large")}
    assert {url: answer for url, answer in answers.items() if answer not in allowed} == {}
    assert answers["POST /v1/vector_stores"] == (413, "payload_too_large")


async def test_a_body_without_an_end_is_cut_off_everywhere(gateway: Gateway) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        async for part in _parts(None):
            sent += len(part)
            yield part

    async with httpx2.AsyncClient(base_url=gateway.url, headers={"content-type": "application/json"}) as stranger:
        for method, url in _takers():
            sent = 0
            with suppress(httpx2.TransportError):  # the gateway answers, closes, and the client may miss the answer
                answer = await stranger.request(method, url, content=endless(), timeout=20)
                assert answer.status_code in (401, 413), url
            assert 0 < sent < 64 * 1024 * 1024, url


async def _parts(count: int | None) -> AsyncIterator[bytes]:
    """So many parts of 64 KiB, or parts for ever."""
    for _ in itertools.count() if count is None else range(count):
        yield b" " * 64 * 1024
