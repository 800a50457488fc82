"""HTTP as clients, monitors and browsers speak it: HEAD, compressed bodies, and preflights."""

import gzip
import json

import httpx2
import pytest

from gateway.settings import Settings
from tests.architecture.test_routes import routes
from tests.fakes.passages import FakePassages
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway, running

ORIGIN = "https://app.example"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}
ASK = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}


async def test_head_is_get_without_a_body_everywhere(gateway: Gateway, passages: FakePassages) -> None:
    client = await gateway.tenant("kestrel")
    paths = [route.path for route in routes() if "GET" in (route.methods or ()) and "{" not in route.path]
    assert {"/healthz", "/readyz", "/metrics", "/v1/models"} <= set(paths)
    for path in paths:
        whole, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        assert head.headers["content-type"] == whole.headers["content-type"]
    assert (await client.head("/v1/models/nothing")).status_code == 404
    assert (await client.head(CHAT)).status_code == 405


@pytest.mark.parametrize("path", [CHAT, "/v1/vector_stores", "/v1/files"])
async def test_a_compressed_body_is_refused_with_the_reason(gateway: Gateway, path: str) -> None:
    client = await gateway.tenant("kestrel")
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    answer = await client.post(path, content=gzip.compress(json.dumps(ASK).encode()), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")
    assert "content-encoding" in answer.json()["error"]["message"]


async def test_identity_is_no_encoding(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    assert (await client.post(CHAT, json=ASK, headers={"content-encoding": "identity"})).status_code == 200


async def test_no_web_page_may_call_by_default(gateway: Gateway) -> None:
    async with httpx2.AsyncClient(base_url=gateway.url) as page:
        preflight = await page.options(CHAT, headers=PREFLIGHT)
        answer = await page.get("/healthz", headers={"origin": ORIGIN})
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers | answer.headers


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
async def test_pages_of_the_origins_given_may_call(settings: Settings, engine: FakeVllm, allowed: str) -> None:
    async with running(settings.model_copy(update={"cors_origins": (allowed,)})) as gateway:
        async with httpx2.AsyncClient(base_url=gateway.url) as page:
            preflight = await page.options(CHAT, headers=PREFLIGHT)
            other = await page.options(CHAT, headers=PREFLIGHT | {"origin": "https://evil.example"})
            denied = await page.post(CHAT, json=ASK, headers={"origin": ORIGIN})
        client = await gateway.tenant("kestrel")
        answer = await client.post(CHAT, json=ASK, headers={"origin": ORIGIN})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == allowed
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    assert (other.status_code == 200) == (allowed == "*")
    assert denied.status_code == 401  # a preflight is free, an answer isn't
    assert denied.headers["access-control-allow-origin"] == allowed
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == allowed
    assert "access-control-allow-credentials" not in answer.headers
