"""The OpenAPI of chat describes what the door takes and gives: real bodies are held against the published schemas."""

import json
from collections.abc import Iterator
from typing import Any, cast

import jsonschema
import pytest
from fastapi import FastAPI

from gateway.app import create_app
from gateway.chat.request import decode_request
from gateway.chat.routes import SCHEMAS as CHAT_SCHEMAS
from gateway.comparisons.routes import SCHEMAS as COMPARISON_SCHEMAS
from gateway.diagnoses.routes import SCHEMAS as DIAGNOSIS_SCHEMAS
from gateway.errors import BadRequest
from gateway.evals.routes import SCHEMAS as EVAL_SCHEMAS
from gateway.responses.routes import SCHEMAS as RESPONSE_SCHEMAS
from gateway.web.error_responses import SCHEMAS as ERROR_SCHEMAS
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.declared import describe_api

CHAT = "/v1/chat/completions"
HI: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
LOOK = {"type": "function", "function": {"name": "look"}}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
FREE_MAPS = {
    "BraidAnswer.index_epochs": "epochs by store",
    "BraidOptions.filters": "an expression, which docs/api.md explains",
    "ChatCompletionCreate.logit_bias": "biases by token",
    "ChatCompletionCreate.metadata": "the client's own names",
    "FunctionDefinition.parameters": "a JSON schema",
    "JSONSchemaFormat.schema": "a JSON schema",
}


def _unopened() -> Any:
    raise AssertionError("the lifespan isn't entered here")


DESCRIBED = describe_api()
OPERATION: dict[str, Any] = DESCRIBED["paths"][CHAT]["post"]
ANSWERS: dict[str, Any] = OPERATION["responses"]["200"]["content"]


def check(body: Any, schema: dict[str, Any]) -> None:
    """Validate a body, and fail for members that the schema doesn't name."""
    jsonschema.validate(body, {**schema, "components": DESCRIBED["components"]})
    _check_names(body, schema, "body")


def _check_names(body: Any, schema: dict[str, Any], path: str) -> None:
    while "$ref" in schema:
        schema = DESCRIBED["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema and body is not None:
        return _check_names(body, next(one for one in schema["anyOf"] if one.get("type") != "null"), path)
    if isinstance(body, dict) and "properties" in schema:
        members = cast("dict[str, Any]", body)
        assert not members.keys() - schema["properties"].keys(), path
        for name, value in members.items():
            _check_names(value, schema["properties"][name], f"{path}.{name}")
    if isinstance(body, list) and "items" in schema:
        for value in cast("list[Any]", body):
            _check_names(value, schema["items"], f"{path}[]")
    return None


def test_every_reference_leads_to_a_schema() -> None:
    names = {text.partition('"')[0] for text in json.dumps(DESCRIBED).split("#/components/schemas/")[1:]}
    assert names <= DESCRIBED["components"]["schemas"].keys()


def test_schemas_of_one_name_describe_one_thing() -> None:
    app = create_app(_unopened)
    by_pydantic = FastAPI.openapi(app)["components"]["schemas"]
    sets = [by_pydantic, EVAL_SCHEMAS, COMPARISON_SCHEMAS, DIAGNOSIS_SCHEMAS, ERROR_SCHEMAS, CHAT_SCHEMAS]
    members: dict[str, set[frozenset[str]]] = {}
    for schemas in (*sets, RESPONSE_SCHEMAS):
        for name, schema in schemas.items():
            members.setdefault(name, set()).add(frozenset(schema.get("properties", ())))
    assert not {name: described for name, described in members.items() if len(described) > 1}


def test_the_door_takes_a_key_and_a_body() -> None:
    assert OPERATION["security"]
    assert OPERATION["requestBody"]["required"]
    assert ANSWERS.keys() == {"application/json", "text/event-stream"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"temperature": 0.5, "n": 2, "stop": ["a"], "stream": True, "stream_options": {"include_usage": True}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {"user": "an unknown field", "braid": {"adapter": False, "prompt": "house@1"}},
        {"temperature": 3},
        {"messages": []},
        {"messages": [{"role": "king", "content": "Hi"}]},
        {"n": 1000},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"braid": {"adaptor": False}},
        {"model": None},
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
        {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [LOOK]}}},
        {"tools": [TOOL], "tool_choice": "must"},
        {"tools": [TOOL], "tool_choice": {"type": "function"}},
        {"tools": [{"type": "retrieval"}]},
        {"tools": [{"type": "function", "function": {"name": "look up"}}]},
        {"functions": [TOOL["function"]], "function_call": {"name": "look"}},
        {"functions": [TOOL["function"]], "function_call": "required"},
        {"functions": [{"description": "without a name"}]},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
        {"response_format": {"type": "xml"}},
        {"messages": [*HI["messages"], {"role": "assistant", "tool_calls": [CALL]}]},
        {"messages": [*HI["messages"], {"role": "assistant", "tool_calls": [{"id": "call_1"}]}]},
        {"messages": [*HI["messages"], {"role": "assistant", "function_call": CALL["function"]}]},
        {"messages": [*HI["messages"], {"role": "assistant", "function_call": {"arguments": "{}"}}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
    ],
)
def test_the_schema_takes_what_the_door_takes(change: dict[str, Any]) -> None:
    body = {**HI, **change}
    schema = OPERATION["requestBody"]["content"]["application/json"]["schema"]
    valid = jsonschema.Draft202012Validator({**schema, "components": DESCRIBED["components"]}).is_valid(body)
    try:
        decode_request(json.dumps(body).encode())
    except BadRequest:
        assert not valid
    else:
        assert valid


def test_every_object_names_its_members_or_is_a_map_of_openais() -> None:
    request = OPERATION["requestBody"]["content"]["application/json"]["schema"]
    schemas = [request, *(content["schema"] for content in ANSWERS.values())]
    assert set(_list_bare_objects(schemas, "", set())) == set(FREE_MAPS)
    assert set(_list_bare_objects({"properties": {"tools": {"items": {"type": "object"}}}}, "Chat", set())) == {
        "Chat.tools"
    }


def _list_bare_objects(schema: Any, path: str, seen: set[str]) -> Iterator[str]:
    """Yield the members, each as `Schema.member`, that may be an object of which nothing is said."""
    if isinstance(schema, list):
        for one in cast("list[Any]", schema):
            yield from _list_bare_objects(one, path, seen)
    if not isinstance(schema, dict):
        return
    members = cast("dict[str, Any]", schema)
    if reference := members.get("$ref"):
        name = reference.rpartition("/")[2]
        if name not in seen:
            seen.add(name)
            yield from _list_bare_objects(DESCRIBED["components"]["schemas"][name], name, seen)
        return
    if members.get("type") == "object" and not {"properties", "anyOf"} & members.keys():
        yield path
    for name, inner in members.get("properties", {}).items():
        yield from _list_bare_objects(inner, f"{path}.{name}", seen)
    for keyword in ("items", "anyOf"):
        yield from _list_bare_objects(members.get(keyword), path, seen)


@pytest.fixture
async def store(gateway: Gateway, passages: FakePassages, engine: FakeVllm) -> str:
    """A store behind an assistant `support`, whose answers cite."""
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    await client.post("/api/assistants", json={"name": "support"})
    await client.post("/api/assistants/support/releases", json={"retrieval": {"vector_stores": [store]}})
    passages.find = lambda _query: [make_passage(store, 1, "31 months")]
    engine.reply = lambda _chat: "It is 31 months [1]."
    return store


@pytest.mark.parametrize("model", ["base", "support@1"])
async def test_whole_answers_are_as_described(gateway: Gateway, store: str, model: str) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json={**HI, "model": model, "logprobs": True, "n": 2})
    check(answer.json(), ANSWERS["application/json"]["schema"])
    assert ("braid" in answer.json()) == (model != "base")


@pytest.mark.parametrize("tools", [{}, {"tools": [TOOL], "tool_choice": "required"}, {"functions": [TOOL["function"]]}])
async def test_calls_and_log_probabilities_are_as_described(
    gateway: Gateway, engine: FakeVllm, tools: dict[str, Any]
) -> None:
    client = await gateway.tenant("kestrel")
    body = {**HI, "model": engine.model, **tools, "logprobs": True, "top_logprobs": 2}
    answer = await client.post(CHAT, json=body)
    check(answer.json(), ANSWERS["application/json"]["schema"])
    choice = answer.json()["choices"][0]
    assert ("tool_calls" in choice["message"]) == ("tools" in tools)
    assert all(len(token["top_logprobs"]) == 2 for token in choice["logprobs"]["content"])
    events = (await client.post(CHAT, json={**body, "stream": True})).text.strip().split("\n\n")[:-1]
    for event in events:
        check(json.loads(event.removeprefix("data: ")), ANSWERS["text/event-stream"]["schema"])


@pytest.mark.parametrize("model", ["base", "support@1"])
async def test_streamed_answers_are_as_described(gateway: Gateway, store: str, model: str) -> None:
    client = await gateway.tenant("kestrel")
    body = {**HI, "model": model, "stream": True, "stream_options": {"include_usage": True}}
    answer = await client.post(CHAT, json=body)
    chunks = [json.loads(event.removeprefix("data: ")) for event in answer.text.strip().split("\n\n")[:-1]]
    # A piece of text is passed on as the engine wrote it, members of its own included.
    for chunk in [chunk for chunk in chunks if model != "base" or "usage" in chunk]:
        check(chunk, ANSWERS["text/event-stream"]["schema"])
    assert any("braid" in chunk for chunk in chunks) == (model != "base")
