"""The list of models: what a tenant can name, and nothing of anybody else's."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import event

from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.tenants.repository import find_tenant
from tests.gateway.conftest import Gateway

BASE = "base"


@pytest.fixture
async def client(gateway: Gateway) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


async def test_the_base_model_is_everybodys(client: httpx2.AsyncClient) -> None:
    (model,) = (await client.get("/v1/models")).json()["data"]
    assert (model["id"], model["object"], model["owned_by"]) == (BASE, "model", "braid")
    assert (await client.get(f"/v1/models/{BASE}")).json() == model


@pytest.mark.case("gw-model-ids-in-paths")
async def test_every_listed_id_is_found_encoded_or_not(client: httpx2.AsyncClient) -> None:
    await client.post("/api/assistants", json={"name": "support"})
    models = (await client.get("/v1/models")).json()["data"]
    assert "support" in {model["id"] for model in models}
    for model in models:
        encoded = "".join(f"%{byte:02X}" for byte in model["id"].encode())
        for id in (model["id"], encoded):
            assert (await client.get(f"/v1/models/{id}")).json() == model


async def test_an_assistant_is_a_model_of_its_tenant_alone(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    await client.post("/api/assistants", json={"name": "support"})
    harbor = await gateway.tenant("harbor")
    ids = [[model["id"] for model in (await one.get("/v1/models")).json()["data"]] for one in (client, harbor)]
    assert ids == [[BASE, "support"], [BASE]]
    assert (await client.get("/v1/models/support")).json()["owned_by"] == "kestrel"
    assert (await harbor.get("/v1/models/support")).status_code == 404


@pytest.mark.parametrize("id", ["nobody", "support@1", "a/b/c", "ft:base:kestrel:style:00000000", "base ", "%2Fbase"])
@pytest.mark.case("gw-model-ids-in-paths")
async def test_an_unknown_model_says_where_the_list_is(client: httpx2.AsyncClient, id: str) -> None:
    answer = await client.get(f"/v1/models/{id}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "GET /v1/models" in answer.json()["error"]["message"]


@pytest.mark.case("gw-tenants-apart")
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


async def test_neither_the_list_nor_a_look_up_reads_manifests(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        for number in range(3):
            id = f"a{number}"
            row = AdapterRow(id=id, created_at=number, name="x", model=f"ft:{number}", served_name=id)
            row.digest, row.base_model, row.rank, row.status, row.source = "0" * 64, BASE, 8, "ready", "job"
            row.manifest = {"probe": []}
            AdapterRepository(session, tenant.id).add(row)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    engine = gateway.state.database.engine.sync_engine
    paths = ["/v1/models", f"/v1/models/{BASE}", "/v1/models/ft:2", "/api/adapters"]
    event.listen(engine, "before_cursor_execute", note)
    try:
        got = {path: (await client.get(path)) for path in paths}
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert [model["id"] for model in got["/v1/models"].json()["data"]] == [BASE, "ft:0", "ft:1", "ft:2"]
    assert got["/v1/models/ft:2"].json()["created"] == 2
    assert {answer.status_code for answer in got.values()} == {200}
    # The reconciler beside us may just be reading them for its probes: the ids and nothing else.
    lists = [one for one in statements if "FROM adapters" in one and "adapters.created_at" in one]
    assert lists
    assert not [one for one in lists if "adapters.manifest" in one]
