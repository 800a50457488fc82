"""A member that a route doesn't know is refused by its name: passed over, it would be done without, in silence.

One that it knows and that is null is as one that isn't there.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from gateway.optional_members import NullsLeftOut
from tests.gateway.conftest import Gateway
from tests.gateway.declared import describe_api

_FACES = ("/v1/chat/completions", "/v1/responses")
"""They name what they don't know themselves, and take members of OpenAI's that change nothing."""


def _list_forms() -> dict[str, list[dict[str, Any]]]:
    """Return the schemas that a JSON body of each route may be of."""
    api = describe_api()
    forms: dict[str, list[dict[str, Any]]] = {}
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            form = content.get("application/json", {}).get("schema")
            if form is not None and path not in _FACES:
                names = [one["$ref"].rpartition("/")[2] for one in form.get("anyOf", [form]) if "$ref" in one]
                forms[f"{method} {path}"] = [api["components"]["schemas"][name] for name in names] or [form]
    return forms


def test_no_bodys_form_takes_members_that_it_does_not_know() -> None:
    forms = _list_forms()
    assert len(forms) > 30
    lenient = [
        route for route, some in forms.items() if not all(one.get("additionalProperties") is False for one in some)
    ]
    assert lenient == []


@pytest.mark.parametrize(
    ("path", "body", "known"),
    [
        ("/api/feedback", {"answer_id": "a", "rating": "down", "corrected": "x"}, "corrected_reply"),
        ("/api/comparisons", {"models": ["base", "base"], "row": 5}, "rows"),
        ("/api/keys", {"name": "k", "scopes": ["chat"], "tenants": "x"}, "tenant"),
        ("/api/prompts", {"name": "p", "template": "{{ question }}", "version": 3}, "template"),
        ("/api/adapters", {"name": "a", "file_id": "file-1", "names": "x"}, "file_id"),
    ],
)
async def test_a_misspelt_member_is_told_those_that_there_are(
    gateway: Gateway, path: str, body: dict[str, Any], known: str
) -> None:
    answer = await (await gateway.tenant("acme")).post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "extra_forbidden", list(body)[-1])
    assert known in error["message"].partition("Known are ")[2]


def _list_subclasses(form: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in form.__subclasses__():
        yield one
        yield from _list_subclasses(one)


def test_null_is_the_default_in_each_form_that_knows_its_members() -> None:
    strict = {
        one
        for one in _list_subclasses(BaseModel)
        if one.__module__.startswith("gateway.")
        and one.model_config.get("extra") == "forbid"
        and not issubclass(one, BaseSettings)
    }
    assert len(strict) > 50
    assert [one for one in strict if not issubclass(one, NullsLeftOut)] == []


async def test_what_a_client_leaves_null_is_as_if_it_had_not_been_sent(gateway: Gateway) -> None:
    client = await gateway.tenant("acme")
    tenant = await gateway.admin.post("/api/tenants", json={"name": "other", "keeps_cited_text": None})
    assert tenant.json()["keeps_cited_text"] is False
    assert (await client.post("/api/assistants", json={"name": "desk"})).status_code == 201
    spec = {"adapter": None, "prompt": None, "variables": None, "retrieval": None, "sampling": None}
    releases = [await client.post("/api/assistants/desk/releases", json=body) for body in (spec, {})]
    assert [one.status_code for one in releases] == [201, 201]
    assert len({one.json()["fingerprint"] for one in releases}) == 1
    needed = (await client.post("/api/keys", json={"name": "k", "scopes": None})).json()["error"]
    assert needed["param"] == "scopes"
