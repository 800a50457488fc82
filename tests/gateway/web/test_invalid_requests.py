"""What a request that hasn't its route's form is told."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from gateway.chat.described_parts import FUNCTION_NAME_PATTERN
from gateway.web import invalid_requests
from tests.gateway.conftest import Gateway


def walk_patterns(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for inner in cast("list[Any]", node):
            yield from walk_patterns(inner)
    elif isinstance(node, dict):
        members = cast("dict[str, Any]", node)
        if isinstance(pattern := members.get("pattern"), str):
            yield pattern
        for inner in members.values():
            yield from walk_patterns(inner)


async def test_every_pattern_of_a_member_has_words(gateway: Gateway) -> None:
    described = (await gateway.admin.get("/openapi.json")).json()
    forms: dict[str, str] = getattr(invalid_requests, "_FORMS")  # noqa: B009
    refused_by_hand = FUNCTION_NAME_PATTERN  # by `openai_format.bounds`, in words of its own
    assert set(walk_patterns(described)) - {"", refused_by_hand} == set(forms)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/tenants", {"name": "Kestrel Ltd"}),
        ("/api/assistants", {"name": "customer support"}),
        ("/api/prompts", {"name": "house style", "template": "Hello"}),
    ],
)
async def test_a_name_that_cannot_be_one_is_told_in_words_what_one_has(
    gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    client = gateway.admin if path == "/api/tenants" else await gateway.tenant("kestrel")
    answer = await client.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "name", "string_pattern_mismatch")
    assert error["message"].startswith("It has 1 to 63 ")
    assert "[" not in error["message"]
