"""What a request that hasn't its route's form is told."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from pydantic import TypeAdapter

from gateway.chat.described_parts import FUNCTION_NAME_PATTERN
from gateway.web import invalid_requests
from gateway.web.known_members import list_members
from tests.architecture.test_routes import routes
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


def list_forms(form: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], set[str]]]:
    """Give each object of a body with the names that it may have, from its JSON Schema.

    Steps are pydantic's: of a union with labels, that of the branch is one.
    """
    schema = TypeAdapter[Any](form).json_schema()

    def walk(node: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], set[str]]]:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        if node.get("additionalProperties") is False:
            yield path, set(node["properties"])
        for name, member in node.get("properties", {}).items():
            yield from walk(member, (*path, name)) if len(path) < 5 else ()
        labels: dict[str, str] = node.get("discriminator", {}).get("mapping", {})
        for label, branch in labels.items():
            yield from walk({"$ref": branch}, (*path, label))
        for branch in () if labels else (*node.get("anyOf", ()), *node.get("oneOf", ())):
            yield from walk(branch, path)
        if "items" in node:
            yield from walk(node["items"], (*path, 0))

    yield from walk(schema, path)


def test_an_error_about_an_unknown_name_can_tell_the_known_ones_in_every_body() -> None:
    bodies = [field.field_info.annotation for route in routes() for field in route.dependant.body_params]
    found = 0
    for body in bodies:
        for path, names in list_forms(body):
            found += 1
            assert names == set(list_members(body, path)), (body, path)
    assert found > 30


@pytest.mark.parametrize(
    ("path", "body", "param", "code", "says"),
    [
        (
            "/api/sources",
            {"name": "docs", "vector_store_id": "vs_1", "origin": {"kind": "ftp"}},
            "origin.kind",
            "union_tag_invalid",
            "'ftp' isn't known as the 'kind' of 'origin'. Known are folder, ",
        ),
        (
            "/api/sources",
            {"name": "docs", "vector_store_id": "vs_1", "origin": {"path": "docs"}},
            "origin.kind",
            "missing",
            "Field required at 'origin.kind'.",
        ),
    ],
)
async def test_what_is_of_no_known_kind_is_told_the_known_ones(
    gateway: Gateway, path: str, body: dict[str, Any], param: str, code: str, says: str
) -> None:
    error = (await (await gateway.tenant("kestrel")).post(path, json=body)).json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert says in error["message"]


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        (
            "/v1/fine_tuning/jobs",
            {"model": "m", "training_file": "file-1", "braid": {"vector_stores": ["vs_1"]}},
            "braid.vector_stores",
            "'vector_stores' isn't known in 'braid'. Known are evidence, facts,",
        ),
        (
            "/api/assistants/desk/releases",
            {"retrieval": {"vector_stores": ["vs_1"], "boosts": [{"attribute": "a", "weight": 0.1, "factor": 2}]}},
            "retrieval.boosts[0].factor",
            "'factor' isn't known in 'retrieval.boosts[0]'. Known are attribute, half_life_days, value, weight.",
        ),
        (
            "/api/sources",
            {
                "name": "s",
                "vector_store_id": "vs",
                "origin": {"kind": "web", "url": "https://a.example", "branch": "b"},
            },
            "origin.branch",
            "'branch' isn't known in 'origin'. Known are depth, kind, pages, url.",
        ),
        (
            "/v1/vector_stores",
            {"chunking_strategy": {"type": "auto", "static": {}}},
            "chunking_strategy.static",
            "'static' isn't known in 'chunking_strategy'. Known are type.",
        ),
        (
            "/v1/vector_stores",
            {
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
                    "size": 1,
                }
            },
            "chunking_strategy.size",
            "'size' isn't known in 'chunking_strategy'. Known are static, type.",
        ),
        (  # a body that is read by hand
            "/v1/evals/eval_1/runs",
            {
                "data_source": {
                    "type": "completions",
                    "source": {"type": "file_id", "id": "file-1"},
                    "sampling_params": {"max_tokens": 9},
                }
            },
            "data_source.sampling_params.max_tokens",
            "'max_tokens' isn't known in 'data_source.sampling_params'. Known are max_completion_tokens,",
        ),
        ("/api/assistants", {"nme": "desk"}, None, "Field required at 'name'."),
        ("/api/assistants", {"name": "desk", "owner": "me"}, "owner", "'owner' isn't known. Known are name"),
    ],
)
async def test_an_unknown_name_is_answered_with_the_known_ones(
    gateway: Gateway, path: str, body: dict[str, Any], param: str | None, says: str
) -> None:
    error = (await (await gateway.tenant("kestrel")).post(path, json=body)).json()["error"]
    assert says in error["message"]
    if param:
        assert (error["param"], error["code"]) == (param, "extra_forbidden")
