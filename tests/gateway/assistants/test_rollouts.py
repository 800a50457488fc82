"""Rollouts: compare-and-set on the revision, shares, and the way back."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from gateway.adapters.tables import AdapterRow
from gateway.db import open_database
from gateway.engines import Reconciler
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.passages import FakePassages
from tests.fakes.vllm import LOAD, FakeVllm
from tests.gateway.conftest import Gateway, on_both_databases

ROLLOUT = "/api/assistants/support/rollout"
CHAT = "/v1/chat/completions"
TENANT = text("SELECT id FROM tenants WHERE name = :name OR id = :name")


@pytest.fixture
async def client(gateway: Gateway, passages: FakePassages) -> httpx2.AsyncClient:
    """A tenant with an assistant of three releases."""
    client = await gateway.tenant("kestrel")
    await client.post("/api/assistants", json={"name": "support"})
    for number in range(1, 4):
        answer = await client.post("/api/assistants/support/releases", json={"sampling": {"seed": number}})
        assert answer.json()["release"] == number
    return client


async def put(client: httpx2.AsyncClient, stages: dict[int, int], revision: int) -> httpx2.Response:
    body = [{"release": release, "weight": weight} for release, weight in stages.items()]
    return await client.put(ROLLOUT, json={"stages": body, "revision": revision})


async def roll_back(client: httpx2.AsyncClient, revision: int) -> httpx2.Response:
    return await client.post("/api/assistants/support/rollback", json={"revision": revision})


def live(answer: httpx2.Response) -> tuple[list[int], int]:
    assert answer.status_code == 200, answer.text
    return [stage["release"] for stage in answer.json()["stages"]], answer.json()["revision"]


@on_both_databases
async def test_each_write_is_the_next_revision(client: httpx2.AsyncClient) -> None:
    assert live(await put(client, {1: 100}, 0)) == ([1], 1)
    assert live(await put(client, {2: 90, 3: 10}, 1)) == ([2, 3], 2)
    assert live(await client.get(ROLLOUT)) == ([2, 3], 2)
    shown = (await client.get("/api/assistants/support")).json()
    assert shown["stages"] == [{"release": 2, "weight": 90}, {"release": 3, "weight": 10}]
    assert shown["revision"] == 2


@pytest.mark.parametrize("revision", [0, 2, -1])
async def test_a_change_made_for_another_revision_is_a_409_that_says_the_present_one(
    client: httpx2.AsyncClient, revision: int
) -> None:
    await put(client, {1: 100}, 0)
    answer = await put(client, {2: 100}, revision)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "revision_conflict"
    assert "revision 1" in answer.json()["error"]["message"]
    assert live(await client.get(ROLLOUT)) == ([1], 1)


@on_both_databases
@pytest.mark.case("gw-concurrent-writes")
async def test_of_many_writers_at_once_exactly_one_wins(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(put(client, {1 + number % 3: 100}, 0) for number in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    (winner,) = (answer for answer in answers if answer.status_code == 200)
    assert live(await client.get(ROLLOUT)) == live(winner)


@pytest.mark.parametrize(
    ("stages", "param"),
    [
        ([], "stages"),
        ([{"release": 9}], "stages[0].release"),
        ([{"release": 1}, {"release": 9}], "stages[1].release"),
        ([{"release": 0}], "stages[0].release"),
        ([{"release": 1, "weight": -1}], "stages[0].weight"),
        ([{"release": 1, "weight": 10_001}], "stages[0].weight"),
        ([{"release": 1, "weight": 0}, {"release": 2, "weight": 0}], "stages"),
        ([{"release": 1, "share": 5}], "stages[0].share"),
        ([{"release": 1}] * 11, "stages"),
    ],
    ids=str,
)
async def test_stages_that_nobody_could_be_sent_to_are_refused(
    client: httpx2.AsyncClient, stages: list[dict[str, Any]], param: str
) -> None:
    answer = await client.put(ROLLOUT, json={"stages": stages, "revision": 0})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert live(await client.get(ROLLOUT)) == ([], 0)


@on_both_databases
async def test_rolling_back_walks_the_way_that_was_gone(client: httpx2.AsyncClient) -> None:
    for revision, release in enumerate((1, 2, 3)):
        await put(client, {release: 100}, revision)
    assert live(await roll_back(client, 3)) == ([2], 4)
    assert live(await roll_back(client, 4)) == ([1], 5)
    answer = await roll_back(client, 5)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "no_earlier_rollout"
    assert live(await client.get(ROLLOUT)) == ([1], 5)


async def test_after_a_roll_back_a_new_rollout_goes_back_to_it(client: httpx2.AsyncClient) -> None:
    for revision, release in enumerate((1, 2)):
        await put(client, {release: 100}, revision)
    await roll_back(client, 2)
    assert live(await put(client, {3: 100}, 3)) == ([3], 4)
    assert live(await roll_back(client, 4)) == ([1], 5)


async def test_a_stale_roll_back_changes_nothing(client: httpx2.AsyncClient) -> None:
    for revision, release in enumerate((1, 2)):
        await put(client, {release: 100}, revision)
    assert (await roll_back(client, 1)).status_code == 409
    assert live(await client.get(ROLLOUT)) == ([2], 2)


async def test_an_assistant_without_a_rollout_says_how_to_get_one(client: httpx2.AsyncClient) -> None:
    body = {"model": "support", "messages": [{"role": "user", "content": "Hello"}]}
    answer = await client.post(CHAT, json=body)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "no_rollout"
    assert "PUT /api/assistants/support/rollout" in answer.json()["error"]["message"]
    pinned = await client.post(CHAT, json={**body, "model": "support@2"})
    assert pinned.status_code == 200


async def test_a_release_with_weight_zero_gets_nobody(client: httpx2.AsyncClient, engine: FakeVllm) -> None:
    await put(client, {1: 0, 2: 100}, 0)
    for number in range(12):
        messages = [{"role": "user", "content": f"Question {number}"}]
        answer = await client.post(CHAT, json={"model": "support", "messages": messages})
        assert answer.headers["braid-release"].startswith("support@2;")


@pytest.mark.parametrize(
    ("away", "status", "code"), [(True, 503, "adapter_not_loaded"), (False, 400, "adapter_rejected")]
)
async def test_an_adapter_that_no_replica_takes_keeps_the_old_rollout(
    client: httpx2.AsyncClient,
    settings: Settings,
    engine: FakeVllm,
    monkeypatch: pytest.MonkeyPatch,
    away: bool,
    status: int,
    code: str,
) -> None:
    monkeypatch.setattr("gateway.assistants.promotion._PATIENCE_SECONDS", 0.5)
    engine.rule = lambda request: faults.status(503) if away and request.path == LOAD else None
    await put(client, {1: 100}, 0)
    tenant = (await client.get("/api/keys")).json()["data"][0]["tenant"]
    await add_adapter(settings, tenant, "ft:base:kestrel:style:1")
    release = await client.post("/api/assistants/support/releases", json={"adapter": "ft:base:kestrel:style:1"})
    assert release.status_code == 201, release.text
    answer = await put(client, {release.json()["release"]: 100}, 1)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code
    assert live(await client.get(ROLLOUT)) == ([1], 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_release_whose_adapter_was_deleted_says_so_at_once(
    client: httpx2.AsyncClient, settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setattr("gateway.answering.service._ADAPTER_PATIENCE_SECONDS", 60)
    model = "ft:base:kestrel:style:1"
    engine.rule = lambda request: faults.status(503) if request.path == LOAD else None
    tenant = (await client.get("/api/keys")).json()["data"][0]["tenant"]
    await add_adapter(settings, tenant, model)
    release = (await client.post("/api/assistants/support/releases", json={"adapter": model})).json()["release"]
    assert (await client.delete(f"/v1/models/{model}")).status_code == 200
    question = {"messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    answer = await client.post(CHAT, json={"model": f"support@{release}", **question})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert f"{model!r} of this release was deleted" in answer.json()["error"]["message"]


@pytest.mark.parametrize("back", [False, True])
@on_both_databases
async def test_an_adapter_that_is_deleted_while_engines_load_it_keeps_the_old_rollout(
    client: httpx2.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    model = "ft:base:kestrel:style:1"
    deletions: list[int] = []

    async def load(reconciler: Reconciler, adapter: str, seconds: float, *, everywhere: bool) -> None:
        if adapter == "kestrel.style.1" and delete_meanwhile:
            deletions.append((await client.delete(f"/v1/models/{model}")).status_code)

    monkeypatch.setattr(Reconciler, "wait_until_resident", load)
    tenant = (await client.get("/api/keys")).json()["data"][0]["tenant"]
    await add_adapter(settings, tenant, model)
    release = (await client.post("/api/assistants/support/releases", json={"adapter": model})).json()["release"]
    delete_meanwhile = False
    if back:
        await put(client, {release: 100}, 0)
    revision = live(await put(client, {1: 100}, int(back)))[1]
    delete_meanwhile = True
    answer = await (roll_back(client, revision) if back else put(client, {release: 100}, revision))
    assert deletions == [200]
    assert answer.status_code == 404, answer.text
    assert model in answer.json()["error"]["message"]
    assert live(await client.get(ROLLOUT)) == ([1], revision)


async def add_adapter(settings: Settings, tenant_name: str, model: str) -> None:
    """Write the row of an adapter that is ready, whose folder no engine can read."""
    async with open_database(settings.database) as database, database.begin() as session:
        from_table = await session.execute(TENANT, {"name": tenant_name})
        row = AdapterRow(
            id="adapter_1",
            tenant_id=from_table.scalar_one(),
            created_at=1,
            name="style",
            model=model,
            served_name="kestrel.style.1",
            digest="no such folder",
            base_model="base",
            rank=4,
            status="ready",
            source="file-1",
            manifest={"probe": [{"tokens": [1, 2], "from": 1, "logprobs": [-1.0], "base_logprobs": [-2.0]}]},
            job_id=None,
        )
        session.add(row)
