"""Adapters listed and deleted over HTTP; what a rollout needs can't be deleted."""

import asyncio
from typing import Any

import httpx2
import pytest

from gateway.adapters.service import lock_checkpoints, lock_deletable, note_stale_facts
from gateway.adapters.tables import AdapterRow
from gateway.db import open_database
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow
from tests.fakes.trainer import rows
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import POSTGRESQL, Gateway
from tests.gateway.tuning import adapters, ended, start, until_loaded, upload
from tests.gateway.worker import working
from tests.waiting import until


async def train(client: httpx2.AsyncClient, settings: Settings, **fields: Any) -> str:
    async with working(settings):
        done = await ended(client, (await start(client, **fields))["id"])
    assert done["status"] == "succeeded", done
    return done["fine_tuned_model"]


async def promote(client: httpx2.AsyncClient, adapter: str | None) -> None:
    """Make a release of the assistant `desk` and give it all of the traffic."""
    await client.post("/api/assistants", json={"name": "desk"})
    release = await client.post("/api/assistants/desk/releases", json={"adapter": adapter})
    assert release.status_code in (200, 201), release.text
    revision = (await client.get("/api/assistants/desk/rollout")).json()["revision"]
    stages = [{"release": release.json()["release"], "weight": 100}]
    answer = await client.put("/api/assistants/desk/rollout", json={"stages": stages, "revision": revision})
    assert answer.status_code == 200, answer.text


async def test_a_deleted_adapter_is_gone_at_once_and_unloaded(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    model = await train(client, settings)
    await until_loaded(client, model)
    answer = await client.delete(f"/v1/models/{model}")
    assert answer.json() == {"id": model, "object": "model", "deleted": True}
    assert (await client.delete(f"/v1/models/{model}")).status_code == 404
    assert (await client.get(f"/v1/models/{model}")).status_code == 404
    assert await adapters(client) == []
    await until(lambda: not engine.adapters)


async def test_an_adapter_that_a_rollout_needs_stays(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    model = await train(client, settings)
    await until_loaded(client, model)
    await promote(client, model)
    answer = await client.delete(f"/v1/models/{model}")
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["code"] == "adapter_in_use"
    assert "desk" in error["message"]
    assert [row["status"] for row in await adapters(client)] == ["ready"]
    await promote(client, None)
    assert (await client.delete(f"/v1/models/{model}")).status_code == 200


async def test_the_base_model_stays(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.delete("/v1/models/base")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "model_not_deletable"


async def test_another_tenants_adapters_do_not_exist(gateway: Gateway, settings: Settings) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    model = await train(kestrel, settings)
    (row,) = await adapters(kestrel)
    assert await adapters(harbor) == []
    for path in (f"/api/adapters/{row['id']}", f"/api/adapters/{model}", f"/v1/models/{model}"):
        assert (await harbor.get(path)).status_code == 404
    assert (await harbor.delete(f"/v1/models/{model}")).status_code == 404
    assert [row["status"] for row in await adapters(kestrel)] == ["ready"]


async def test_a_key_for_chat_alone_may_not_see_or_delete(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel", scopes=("chat",))
    for method, path in (("GET", "/api/adapters"), ("POST", "/api/adapters"), ("GET", "/api/adapters/x")):
        assert (await client.request(method, path, json={})).status_code == 403
    assert (await client.delete("/v1/models/ft:base:kestrel:style:00000000")).status_code == 403


async def test_a_deleted_adapter_comes_back_with_the_same_bytes(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    first = await train(client, settings, training_file=file)
    await client.delete(f"/v1/models/{first}")
    assert await train(client, settings, training_file=file) == first
    assert [row["model"] for row in await adapters(client)] == [first]


def make_row(tenant: str, id: str, step: int | None) -> AdapterRow:
    return AdapterRow(
        id=id, tenant_id=tenant, created_at=1, name="style", model=f"ft:{id}", served_name=id, digest=id,
        base_model="base", rank=4, status="ready", source="job", step=step, manifest={}, job_id=None,
    )  # fmt: skip


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)  # SQLite has one writer at a time
async def test_a_note_on_adapters_holds_nothing_that_a_deletion_waits_for(database_url: str) -> None:
    async with open_database(database_url) as database:
        async with database.begin() as session:
            session.add(TenantRow(id="kestrel", created_at=1, name="kestrel"))
            await session.flush()
            for id, step in (("first", 4), ("second", 8), ("whole", None)):
                session.add(make_row("kestrel", id, step))
                await session.flush()

        async def note() -> None:
            async with database.begin() as session:
                await note_stale_facts(session, "kestrel", "job", 3)

        async with database.begin() as deleting:
            row = await lock_deletable(deleting, "kestrel", "ft:whole")
            assert row is not None
            noting = asyncio.create_task(note())
            await asyncio.wait([noting], timeout=0.5)
            checkpoints = await asyncio.wait_for(lock_checkpoints(deleting, row), 20)
        await noting
    assert [one.id for one in checkpoints] == ["first", "second"]
