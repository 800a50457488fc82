"""Checkpoints of epochs: models like the finished one, listed with their figures, and gone with it."""

import json
import signal
from typing import Any

import httpx2
import pytest

from gateway.composition.stored import BYTE_SELECTS
from gateway.fine_tuning.repository import FineTuningJobRepository
from gateway.settings import Settings
from gateway.tenants.repository import ByteSums
from tests.fakes.trainer import rows
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import (
    JOBS,
    adapters,
    ended,
    events,
    read_row,
    start,
    until_loaded,
    upload,
    work_folders,
)
from tests.gateway.worker import worker_process, working
from training.spec import Recipe

STEPS = Recipe.for_rows(50).count_steps(50)


@pytest.fixture(autouse=True)
def epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "epochs")


async def list_checkpoints(client: httpx2.AsyncClient, job: str) -> list[dict[str, Any]]:
    answer = await client.get(f"{JOBS}/{job}/checkpoints")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def chat(client: httpx2.AsyncClient, model: str) -> httpx2.Response:
    messages = [{"role": "user", "content": "Where is order 99?"}]
    return await client.post("/v1/chat/completions", json={"model": model, "messages": messages})


async def list_models(client: httpx2.AsyncClient) -> list[str]:
    return [one["id"] for one in (await client.get("/v1/models")).json()["data"] if one["id"].startswith("ft:")]


async def test_each_epoch_is_a_model_that_answers_and_goes_with_the_last(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        done = await ended(client, (await start(client, suffix="voice"))["id"])
        assert done["status"] == "succeeded", done
        listed = await list_checkpoints(client, done["id"])
        assert [one["step_number"] for one in listed] == [STEPS, 2, 1]
        names = [one["fine_tuned_model_checkpoint"] for one in listed]
        assert names[0] == done["fine_tuned_model"]
        rows_of = {row["model"]: row for row in await adapters(client)}
        assert len(rows_of) == 3
        for step, name in ((1, names[2]), (2, names[1])):
            row = rows_of[name]
            assert (row["status"], row["step"], row["source"]) == ("ready", step, done["id"])
            assert name == f"ft:base:kestrel:voice:{row['digest'][:8]}:ckpt-step-{step}"
            await until_loaded(client, name)
            assert (await chat(client, name)).status_code == 200
            assert json.loads(engine.requests()[-1].body)["model"] == f"kestrel.voice.{row['digest'][:8]}.{step}"
        assert listed[2]["metrics"] == {"step": 1, "train_loss": 1.0, "train_mean_token_accuracy": 0.75}
        assert sorted(await list_models(client)) == sorted(names)
        messages = [event["message"] for event in await events(client, done["id"])]
        assert [message for message in messages if message.startswith("Checkpoint")] == [
            f"Checkpoint created at step 1 with Snapshot ID: {names[2]}",
            f"Checkpoint created at step 2 with Snapshot ID: {names[1]}",
            f"Checkpoint created at step {STEPS}",
        ]
        # One can go alone; the finished model takes the others with it.
        assert (await client.delete(f"/v1/models/{names[2]}")).status_code == 200
        assert sorted(await list_models(client)) == sorted(names[:2])
        assert (await client.delete(f"/v1/models/{names[0]}")).status_code == 200
    assert await list_models(client) == []
    assert await adapters(client) == []
    assert (await chat(client, names[1])).status_code == 404


async def test_their_bytes_count_until_they_are_deleted(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")

    async def measure() -> int:
        async with gateway.state.database.read() as session:
            sums = await ByteSums({"adapters": BYTE_SELECTS["adapters"]}).list_sums(session, [done_by])
            return sum(size for _, _, size in sums)

    async with working(settings):
        done = await ended(client, (await start(client))["id"])
    done_by = (await read_row(gateway, done["id"])).tenant_id
    folders = [settings.artifacts / "adapters" / row["digest"] for row in await adapters(client)]
    assert len({*folders}) == 3
    assert await measure() == sum(file.stat().st_size for folder in folders for file in folder.iterdir())
    await client.delete(f"/v1/models/{done['fine_tuned_model']}")
    assert await measure() == 0


async def test_what_a_checkpoint_has_learnt_is_its_jobs(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        done = await ended(client, (await start(client))["id"])
    names = [one["fine_tuned_model_checkpoint"] for one in await list_checkpoints(client, done["id"])]
    async with gateway.state.database.read() as session:
        jobs = FineTuningJobRepository(session, (await read_row(gateway, done["id"])).tenant_id)
        assert await jobs.list_models({names[1]}) == {done["id"]: names[1]}
        assert await jobs.list_models({*names}) == {done["id"]: names[0]}
        assert await jobs.list_models({"ft:none"}) == {}


async def test_a_model_whose_checkpoint_answers_somebody_stays(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        done = await ended(client, (await start(client))["id"])
        name = (await list_checkpoints(client, done["id"]))[1]["fine_tuned_model_checkpoint"]
        await until_loaded(client, name)
        await client.post("/api/assistants", json={"name": "desk"})
        release = (await client.post("/api/assistants/desk/releases", json={"adapter": name})).json()["release"]
        revision = (await client.get("/api/assistants/desk/rollout")).json()["revision"]
        rollout = {"stages": [{"release": release, "weight": 100}], "revision": revision}
        assert (await client.put("/api/assistants/desk/rollout", json=rollout)).status_code == 200
        refused = await client.delete(f"/v1/models/{done['fine_tuned_model']}")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "adapter_in_use"
    assert name in refused.json()["error"]["message"]
    assert len(await list_models(client)) == 3


async def test_a_checkpoint_that_must_not_be_served_is_left_out(
    gateway: Gateway, settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    async with working(settings):
        done = await ended(client, (await start(client, training_file=file, suffix="voice"))["id"])
        second = (await list_checkpoints(client, done["id"]))[1]["fine_tuned_model_checkpoint"]
        assert (await client.delete(f"/v1/models/{done['fine_tuned_model']}")).status_code == 200
        # The first has weights that are no numbers, and the engine doesn't reproduce the second.
        engine.wrong_probes[f"kestrel.voice.{second.split(':')[4]}.2"] = 3.0
        monkeypatch.setenv("BRAID_TEST_TRAINER", "bad_epochs")
        again = await ended(client, (await start(client, training_file=file, suffix="voice"))["id"])
    assert again["status"] == "succeeded", again
    (only,) = await list_checkpoints(client, again["id"])
    assert only["fine_tuned_model_checkpoint"] == again["fine_tuned_model"] == done["fine_tuned_model"]
    warnings = [event["message"] for event in await events(client, again["id"]) if event["level"] == "warn"]
    left_out = [message for message in warnings if "left out" in message]
    assert [message[:38] for message in left_out] == [f"The checkpoint of step {step} was left out." for step in (1, 2)]
    assert "not_finite" in left_out[0]
    assert "log-probabilities" in left_out[1]
    assert sorted(row["status"] for row in await adapters(client)) == ["ready", "refused"]


@pytest.mark.e2e
@pytest.mark.parametrize("step", ["adapter-stored", "adapter-named", "adapter-verified"])
async def test_a_worker_killed_behind_the_training_loses_none(gateway: Gateway, settings: Settings, step: str) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    async with worker_process(settings, failpoint=step, trainer="epochs") as first:
        assert await first.wait() == -signal.SIGKILL
    assert await list_checkpoints(client, job["id"]) == []
    assert await list_models(client) == []
    async with worker_process(settings, trainer="epochs"):
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done
    assert [one["step_number"] for one in await list_checkpoints(client, job["id"])] == [STEPS, 2, 1]
    assert len(await list_models(client)) == 3
    assert not work_folders(settings, job["id"])
