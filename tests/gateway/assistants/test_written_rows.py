"""Rows that a model wrote, from the training file to the rollout: an adapter of them gets traffic after its gate."""

import time
from typing import Any

import httpx2
import pytest

from gateway.assistants.gate_verdict import GateResult, record_gate
from gateway.assistants.service import find_assistant
from gateway.settings import Settings
from gateway.tenants.repository import find_tenant
from tests.fakes.trainer import preferences, rows
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.tuning import adapters, ended, list_messages, settings, start, until_loaded
from tests.gateway.worker import working

__all__ = ["settings"]

ASSISTANT = "/api/assistants/support"
WRITTEN = rows(20, written_by="base") + b"\n" + rows(30)


@pytest.fixture
async def client(gateway: Gateway) -> httpx2.AsyncClient:
    client = await gateway.tenant("kestrel")
    await client.post("/api/assistants", json={"name": "support"})
    return client


async def train(client: httpx2.AsyncClient, data: bytes, **fields: Any) -> dict[str, Any]:
    done = await ended(client, (await start(client, data, **fields))["id"])
    assert done["status"] == "succeeded", done
    await until_loaded(client, done["fine_tuned_model"])
    return done


async def release(client: httpx2.AsyncClient, adapter: str | None, seed: int) -> int:
    body = {"adapter": adapter, "sampling": {"seed": seed}}
    answer = await client.post(f"{ASSISTANT}/releases", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["release"]


async def put(client: httpx2.AsyncClient, stages: dict[int, int], revision: int, **more: Any) -> httpx2.Response:
    shares = [{"release": number, "weight": weight} for number, weight in stages.items()]
    return await client.put(f"{ASSISTANT}/rollout", json={"stages": shares, "revision": revision, **more})


async def record(gateway: Gateway, number: int, result: GateResult) -> None:
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        assistant = await find_assistant(session, tenant.id, "support")
        assert assistant is not None
        await record_gate(session, tenant.id, assistant.id, number, result)


async def list_counts(client: httpx2.AsyncClient) -> dict[str, Any]:
    """List what adapters say of written rows, by their names; one by itself says the same."""
    counts = {row["model"]: row["written_rows"] for row in await adapters(client)}
    for model, count in counts.items():
        assert (await client.get(f"/api/adapters/{model}")).json()["written_rows"] == count
    return counts


@on_both_databases
async def test_an_adapter_of_written_rows_gets_traffic_after_its_gate_or_by_force(
    gateway: Gateway, client: httpx2.AsyncClient, settings: Settings
) -> None:
    async with working(settings):
        job = await train(client, WRITTEN, suffix="written")
        own = await train(client, rows(50), suffix="own", seed=2)
        model, plain = job["fine_tuned_model"], own["fine_tuned_model"]
        assert await list_counts(client) == {model: {"rows": 20, "of": 50}, plain: None}
        assert (job["braid"]["written_rows"], own["braid"]["written_rows"]) == ({"rows": 20, "of": 50}, None)
        words = "20 of 50 rows were written by a model: a release with this adapter needs a passed gate"
        assert sum(message.startswith(words) for message in await list_messages(client, job["id"])) == 1
        assert not any("written by a model" in message for message in await list_messages(client, own["id"]))

        first, forced = await release(client, model, 1), await release(client, model, 2)
        other = await release(client, plain, 3)
        refused = await put(client, {first: 100}, 0)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (409, "gate_required", "stages")
        assert f"support@{first} learnt from rows that a model wrote (20 of 50)" in error["message"]
        assert (await put(client, {other: 100}, 0)).status_code == 200
        assert (await put(client, {other: 99, first: 1}, 1)).json()["error"]["code"] == "gate_required"

        now = int(time.time())
        await record(gateway, first, GateResult(True, now, margin=0.5, rows=50))
        assert (await put(client, {first: 100}, 1)).json()["error"]["code"] == "gate_required"
        await record(gateway, first, GateResult(True, now + 1, rows=50))
        assert (await put(client, {first: 100}, 1)).status_code == 200

        # The gate was of other content, although its adapter is the same.
        assert (await put(client, {forced: 100}, 2)).json()["error"]["code"] == "gate_required"
        answer = await put(client, {forced: 50, other: 50}, 2, force=True, reason="It is a trial.")
        (entry,) = answer.json()["forced"]
        assert (answer.status_code, entry["reason"], entry["releases"]) == (200, "It is a trial.", [forced])
        assert (await put(client, {forced: 40, other: 60}, 3)).status_code == 200
        assert (await put(client, {forced: 41, other: 59}, 4)).json()["error"]["code"] == "gate_required"
        assert (await put(client, {other: 100}, 4)).status_code == 200
        back = await client.post(f"{ASSISTANT}/rollback", json={"revision": 5})
        assert (back.status_code, [stage["weight"] for stage in back.json()["stages"]]) == (200, [40, 60])


async def test_checkpoints_and_adapters_that_go_on_from_it_bear_the_mark_of_written_rows(
    client: httpx2.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(settings):
        monkeypatch.setenv("BRAID_TEST_TRAINER", "epochs")
        job = await train(client, WRITTEN, suffix="voice")
        counts = await list_counts(client)
        assert len(counts) > 1
        assert {str(count) for count in counts.values()} == {str({"rows": 20, "of": 50})}
        monkeypatch.delenv("BRAID_TEST_TRAINER")
        model = job["fine_tuned_model"]
        later = await train(client, preferences(50), method={"type": "dpo"}, model=model, suffix="later")
        assert later["braid"]["written_rows"] == {"rows": 20, "of": 100}
        assert (await list_counts(client))[later["fine_tuned_model"]] == {"rows": 20, "of": 100}
        words = "20 of 100 rows (with 50 of the adapter that it trains on) were written by a model"
        assert any(message.startswith(words) for message in await list_messages(client, later["id"]))
        number = await release(client, later["fine_tuned_model"], 1)
        assert (await put(client, {number: 100}, 0)).json()["error"]["code"] == "gate_required"
