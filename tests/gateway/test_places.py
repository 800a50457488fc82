"""The place of a fault in a body is written in one form by all routes: `messages[0].content`."""

import json
import re
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.declared import describe_api

_STEP = re.compile(r"\.\d|^\d")
CONFIG = {"data_source_config": {"type": "custom", "item_schema": {"type": "object"}}}
FAULTS: tuple[Any, ...] = ([[[]]], [{"type": 5, "unknown": 1}], ["\0"], [5.5], [{"x": ["\0"]}], [{}])


def _list_members(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, bool]:
    """Return the names of a form's members, and whether each may be a list."""
    forms = [schemas[one["$ref"].rpartition("/")[2]] for one in schema.get("anyOf", [schema]) if "$ref" in one]
    return {
        name: "array" in (member.get("type"), *(one.get("type") for one in member.get("anyOf", ())))
        for form in forms
        for name, member in form.get("properties", {}).items()
    }


async def test_each_route_names_places_in_lists_in_one_form(gateway: Gateway) -> None:
    client, api, places = await gateway.tenant("acme"), describe_api(), set[str]()
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            members = _list_members(content.get("schema", {}), api["components"]["schemas"])
            for name in (one for one, is_list in members.items() if is_list):
                for fault in FAULTS:
                    asked = client if not path.startswith("/api/tenants") else gateway.admin
                    url = re.sub(r"\{\w+\}", "x", path)
                    answer = await asked.request(method.upper(), url, json={name: fault})
                    error = answer.json()["error"]
                    places.add(error["param"] or "")
                    assert not _STEP.search(error["param"] or ""), (method, path, error)
                    assert not re.search(r"'[a-z_]+\.\d", error["message"]), (method, path, error)
    assert {"testing_criteria[0]", "stages[0].release", "part_ids[0]"} & places, json.dumps(sorted(places))
    assert sum("[" in place for place in places) > 10


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/v1/evals", {"data_source_config": {"type": "x"}, "testing_criteria": [5]}, r"data_source_config\.type"),
        ("/v1/evals", CONFIG | {"testing_criteria": [{"type": "label_model", "x": 1}]}, r"testing_criteria\[0\]\.\w+"),
        ("/api/keys", {"name": "k", "scopes": ["chat", "root"]}, r"scopes\[1\]"),
        ("/api/feedback", {"messages": [{"role": "user", "content": ["\0"]}]}, r"messages\[0\]\.content\[0\]"),
    ],
)
async def test_a_place_within_a_list_is_named_by_its_number(
    gateway: Gateway, path: str, body: dict[str, Any], place: str
) -> None:
    error = (await (await gateway.tenant("acme")).post(path, json=body)).json()["error"]
    assert re.fullmatch(place, error["param"])
    assert not _STEP.search(error["message"])
