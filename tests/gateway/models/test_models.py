"""The list of models: what a tenant can name, and nothing of anybody else's."""

import httpx2
import pytest

from tests.gateway.conftest import Gateway

BASE = "base"


@pytest.fixture
async def client(gateway: Gateway) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


async def test_the_base_model_is_everybodys(client: httpx2.AsyncClient) -> None:
    (model,) = (await client.get("/v1/models")).json()["data"]
    assert (model["id"], model["object"], model["owned_by"]) == (BASE, "model", "braid")
    assert (await client.get(f"/v1/models/{BASE}")).json() == model


async def test_an_assistant_is_a_model_of_its_tenant_alone(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    await client.post("/api/assistants", json={"name": "support"})
    harbor = await gateway.tenant("harbor")
    ids = [[model["id"] for model in (await one.get("/v1/models")).json()["data"]] for one in (client, harbor)]
    assert ids == [[BASE, "support"], [BASE]]
    assert (await client.get("/v1/models/support")).json()["owned_by"] == "kestrel"
    assert (await harbor.get("/v1/models/support")).status_code == 404


@pytest.mark.parametrize("id", ["nobody", "support@1", "a/b/c", "ft:base:kestrel:style:00000000", "base "])
async def test_an_unknown_model_says_where_the_list_is(client: httpx2.AsyncClient, id: str) -> None:
    answer = await client.get(f"/v1/models/{id}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "GET /v1/models" in answer.json()["error"]["message"]


async def test_a_chat_key_lists_models_and_deletes_none(gateway: Gateway) -> None:
    chat = await gateway.tenant("kestrel", ("chat",))
    assert (await chat.get("/v1/models")).status_code == 200
    assert (await chat.delete(f"/v1/models/{BASE}")).status_code == 403


@pytest.mark.parametrize(
    ("id", "status", "code"), [(BASE, 403, "model_not_deletable"), ("support", 404, "model_not_found")]
)
async def test_only_adapters_can_be_deleted(client: httpx2.AsyncClient, id: str, status: int, code: str) -> None:
    await client.post("/api/assistants", json={"name": "support"})
    answer = await client.delete(f"/v1/models/{id}")
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert len((await client.get("/v1/models")).json()["data"]) == 2
