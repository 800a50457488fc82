"""What the OpenAPI lists as answers; `tests.gateway.declared` holds those to the tests' own clients against it."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, cast

import httpx2
import openai
import pytest

from gateway import app
from gateway.web.error_responses import declare_errors, declare_errors_without_key
from tests.architecture.test_routes import OPEN, SIGNED
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.declared import check_answer, describe_api, read_description

KEYLESS = OPEN | SIGNED
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
OTHERS = {
    "/v1/files/{file_id}/content": "*/*",
    "/v1/fine_tuning/jobs/{fine_tuning_job_id}/events": "application/json text/event-stream",
    "/v1/chat/completions": "application/json text/event-stream",
    "/v1/responses": "application/json text/event-stream",
    "/api/adapters/{id_or_model}/export": "application/zip",
    "/api/assistants/{name}/releases/{number}/gate/page": "text/html",
    "/api/diagnoses/{diagnosis_id}/page": "text/html",
    "/api/eval_runs/{run_id}/report": "text/html",
    "/api/vector_stores/{vector_store_id}/llms.txt": "text/plain",
    "/metrics": "text/plain",
}
"""What isn't JSON alone. A file is of the type that its name says."""


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation's path and responses."""
    for path, methods in describe_api()["paths"].items():
        for operation in methods.values():
            yield path, operation["responses"]


def test_every_route_lists_its_errors_and_none_of_the_framework_s() -> None:
    found = list(_operations())
    assert len(found) > 140
    for path, responses in found:
        errors = {"400", "413", "415", "500", "default"}
        errors |= {"401", "403", "503", "507"} if path not in KEYLESS else set()
        assert errors <= set(responses), path
        assert "422" not in responses, path
        for status, response in responses.items():
            if not status.startswith("2") and (path, status) != ("/readyz", "503"):
                assert response["content"] == ERROR, (path, status)
    assert {path for path, _ in found} >= KEYLESS - {"/openapi.json"}
    assert not {"HTTPValidationError", "ValidationError"} & set(describe_api()["components"]["schemas"])


def test_every_answer_has_its_content_type_and_a_schema() -> None:
    for path, responses in _operations():
        (answer,) = (response for status, response in responses.items() if status.startswith("2"))
        assert set(answer["content"]) == set(OTHERS.get(path, "application/json").split()), path
        for kind, content in answer["content"].items():
            schema = content["schema"]
            typed = {"$ref", "anyOf", "additionalProperties"} if kind == "application/json" else {"$ref", "type"}
            assert typed & set(schema), (path, kind)
            assert schema.get("additionalProperties") is not True, path
    assert describe_api()["paths"]["/readyz"]["get"]["responses"]["503"]["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/ReadinessBody"}}
    }


def test_every_reference_of_the_description_leads_somewhere() -> None:
    references = set(re.findall(r'"#/components/schemas/([^"/]+)"', json.dumps(describe_api())))
    assert references
    assert references <= set(describe_api()["components"]["schemas"])


def _drop_null_defaults(schema: Any) -> Any:
    """Return a schema without defaults of null, which the framework leaves out."""
    match schema:
        case dict():
            members = cast("dict[str, Any]", schema)
            return {name: _drop_null_defaults(one) for name, one in members.items() if (name, one) != ("default", None)}
        case list():
            return [_drop_null_defaults(one) for one in cast("list[Any]", schema)]
        case _:
            return schema


def test_no_two_rooms_describe_different_things_by_one_name() -> None:
    described = describe_api()["components"]["schemas"]
    rooms = [schemas for name, schemas in vars(app).items() if name.endswith("SCHEMAS")]
    assert len(rooms) >= 10
    for schemas in rooms:
        for name, schema in schemas.items():
            assert _drop_null_defaults(described[name]) == _drop_null_defaults(schema), name


def test_a_path_with_an_id_lists_404() -> None:
    """A signed link isn't told from one of something that isn't there."""
    signed = {re.sub(r"\{[^}]*\}", "[^/]+", path) for path in SIGNED}
    routes = [route for routes in read_description().values() for route in routes]
    paths = [(path.pattern, set(responses)) for path, responses in routes if "+" in path.pattern]
    assert [path for path, responses in paths if "404" not in responses and path not in signed] == []


def test_statuses_are_in_order_and_503_says_when_to_try_again() -> None:
    declared = declare_errors(404, 409)
    assert list(declared) == [400, 401, 403, 404, 409, 413, 415, 500, 503, 507, "default"]
    assert "retry-after" in declared[503]["headers"]
    assert list(declare_errors_without_key(404)) == [400, 404, 413, 415, 500, "default"]


async def test_an_answer_that_is_not_listed_is_seen(gateway: Gateway) -> None:
    request = httpx2.Request("GET", f"{gateway.url}/v1/models")
    with pytest.raises(AssertionError, match="GET /v1/models: 418"):
        await check_answer(httpx2.Response(418, request=request))
    refused = (await gateway.client("x").get("/v1/models")).json()
    await check_answer(httpx2.Response(401, request=request, json=refused))
    with pytest.raises(AssertionError, match="GET /v1/models: 200 text/plain"):
        await check_answer(httpx2.Response(200, request=request, text="base"))
    with pytest.raises(AssertionError, match="'data' is a required property"):
        await check_answer(httpx2.Response(200, request=request, json={"object": "list"}))
    with pytest.raises(AssertionError, match="'code' is a required property"):
        await check_answer(httpx2.Response(401, request=request, json={"error": {"message": "No."}}))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/adapters/ft:base:kestrel:desk/1"),
        ("GET", "/api/adapters/ft:base:kestrel:desk/1/export"),
        ("POST", "/api/adapters/ft:base:kestrel:desk/1/closed_book"),
        ("GET", "/v1/models/ft:base:kestrel:desk/1"),
        ("PUT", "/api/vector_stores/vs_1/documents/guides/kettle.md"),
    ],
)
async def test_an_answer_to_a_path_with_a_slash_in_a_name_is_held_against_its_route(method: str, path: str) -> None:
    with pytest.raises(AssertionError, match=f"{path}: 418"):
        await check_answer(httpx2.Response(418, request=httpx2.Request(method, f"http://gateway{path}")))


class Counted(httpx2.BaseTransport):
    """Counts what is sent."""

    def __init__(self) -> None:
        self.sent = 0
        self._transport = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent += 1
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()


@pytest.mark.parametrize("cause", ["no rollout", "as many evals as may be", "no engine"])
async def test_openais_client_asks_again_where_that_may_help_and_only_there(
    gateway: Gateway, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    client = await gateway.tenant("kestrel")
    await client.post("/api/assistants", json={"name": "support"})
    monkeypatch.setattr("gateway.evals.service.MOST_EVALS", 0)
    key = client.headers["authorization"].removeprefix("Bearer ")
    counted = Counted()
    if cause == "no engine":
        await engine.stop()

    def ask() -> None:
        with openai.OpenAI(
            base_url=f"{gateway.url}/v1", api_key=key, http_client=openai.DefaultHttpxClient(transport=counted)
        ) as official:
            if cause == "as many evals as may be":
                config: Any = {"type": "custom", "item_schema": {"type": "object", "properties": {}}}
                grader: Any = {"type": "string_check", "name": "a", "input": "a", "reference": "a", "operation": "eq"}
                official.evals.create(data_source_config=config, testing_criteria=[grader])
            else:
                model = "support" if cause == "no rollout" else "base"
                official.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])

    with pytest.raises(openai.APIStatusError) as caught:
        await asyncio.to_thread(ask)
    expected = {"no rollout": (409, 1), "as many evals as may be": (429, 1), "no engine": (503, 3)}
    assert (caught.value.status_code, counted.sent) == expected[cause]
    assert ("retry-after" in caught.value.response.headers) == (cause == "no engine")
    await engine.start() if cause == "no engine" else None
