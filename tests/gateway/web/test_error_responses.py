"""The errors that the OpenAPI lists; `tests.gateway.declared` holds every error of every test against them."""

import asyncio
import re
from typing import Any

import httpx2
import openai
import pytest

from gateway.web.error_responses import declare_errors
from tests.architecture.test_routes import SIGNED
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.declared import check_error, read_description


def test_every_route_with_a_key_lists_its_errors() -> None:
    keyed = [responses for _, _, responses in read_description() if "default" in responses]
    assert len(keyed) > 50
    assert all({"400", "401", "403", "500", "503"} <= set(responses) for responses in keyed)
    assert not any("422" in responses for responses in keyed)
    schemas = {
        response["content"]["application/json"]["schema"]["$ref"]
        for responses in keyed
        for status, response in responses.items()
        if not status.startswith("2")
    }
    assert schemas == {"#/components/schemas/ErrorResponse"}


def test_a_path_with_an_id_lists_404() -> None:
    """A signed link isn't told from one of something that isn't there."""
    signed = {re.sub(r"\{[^}]*\}", "[^/]+", path) for path in SIGNED}
    paths = [(path.pattern, set(responses)) for _, path, responses in read_description() if "+" in path.pattern]
    assert [path for path, responses in paths if "404" not in responses and path not in signed] == []


def test_statuses_are_in_order_and_503_says_when_to_try_again() -> None:
    declared = declare_errors(404, 409)
    assert list(declared) == [400, 401, 403, 404, 409, 413, 415, 500, 503, 507, "default"]
    assert "retry-after" in declared[503]["headers"]


async def test_an_error_that_is_not_listed_is_seen(gateway: Gateway) -> None:
    request = httpx2.Request("GET", f"{gateway.url}/v1/models")
    with pytest.raises(AssertionError, match="GET /v1/models: 418"):
        await check_error(httpx2.Response(418, request=request))
    await check_error(httpx2.Response(401, request=request, json=(await gateway.client("x").get("/v1/models")).json()))


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
