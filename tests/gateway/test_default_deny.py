"""Default deny as a stranger meets it: every route, asked without a key and with a wrong one."""

import re

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
