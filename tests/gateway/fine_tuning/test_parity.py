"""Rows are what serving sends: proven before a training, told by the manifest, and looked at when a release is made."""

import re
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from sqlalchemy import select, update

from gateway.adapters.tables import AdapterRow
from gateway.engines.served_base_model import ServedBaseModel
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes._http import Received
from tests.fakes.trainer import preferences, rows
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import adapters, ended, events, start
from tests.gateway.worker import working
from training.manifest import read_manifest
from training.verdict import BaseShape

TEMPLATE = "{% block system %}Answer as {{ voice }}.{% endblock %}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As for other jobs, with a base whose chat template is known."""
    base = ServedBaseModel.load(settings)
    known = msgspec.structs.replace(base, chat_template_digest=BaseShape.read(Path(base.path)).chat_template_digest)
    ServedBaseModel.locate_file(settings.home).write_bytes(msgspec.json.encode(known))
    return settings


async def read_manifest_of(gateway: Gateway, model: str) -> dict[str, Any]:
    async with gateway.state.database.read() as session:
        row = await session.scalar(select(AdapterRow).where(AdapterRow.model == model))
        assert row is not None
        return row.manifest


@pytest.mark.parametrize("method", ["supervised", "dpo"])
async def test_the_manifest_has_the_figures_and_the_prompt(gateway: Gateway, settings: Settings, method: str) -> None:
    client = await gateway.tenant("kestrel")
    await client.post("/api/prompts", json={"name": "support", "template": TEMPLATE})
    data = preferences(12) if method == "dpo" else rows(12)
    braid = {"prompt": "support", "variables": {"voice": "a pirate"}}
    job = await start(client, data, method={"type": method}, braid=braid)
    async with working(settings):
        job = await ended(client, job["id"])
    assert job["status"] == "succeeded", job["error"]
    manifest = await read_manifest_of(gateway, job["fine_tuned_model"])
    assert (manifest["parity"]["rows"], manifest["parity"]["equal"]) == ([1, 12], 2)
    prompt = manifest["prompt"]
    assert (prompt["name"], prompt["digest"]) == ("support@1", job["braid"]["prompt_digest"])
    assert prompt["variables"] == {"voice": "a pirate"}
    assert read_manifest(settings.artifacts / "adapters" / manifest["adapter_digest"]).parity is not None
    log = await events(client, job["id"])
    assert [event["data"] for event in log if "The prompts of 2 rows" in event["message"]] == [manifest["parity"]]


async def test_checkpoints_have_the_proof_of_the_finished_adapter_and_fit_a_release_as_it_does(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "epochs")
    client = await gateway.tenant("kestrel")
    await client.post("/api/prompts", json={"name": "support", "template": TEMPLATE})
    braid = {"prompt": "support", "variables": {"voice": "a pirate"}}
    job = await start(client, rows(12), braid=braid)
    async with working(settings):
        job = await ended(client, job["id"])
    assert job["status"] == "succeeded", job["error"]
    proof = (await read_manifest_of(gateway, job["fine_tuned_model"]))["parity"]
    assert proof["equal"] == 2
    listed = (await client.get(f"/v1/fine_tuning/jobs/{job['id']}/checkpoints")).json()["data"]
    names = [one["fine_tuned_model_checkpoint"] for one in listed]
    epochs = [name for name in names if name != job["fine_tuned_model"]]
    assert len(epochs) == 2
    for name in epochs:
        manifest = await read_manifest_of(gateway, name)
        assert manifest["parity"] == proof
        stored = read_manifest(settings.artifacts / "adapters" / manifest["adapter_digest"])
        assert msgspec.to_builtins(stored.parity) == proof
    await client.post("/api/assistants", json={"name": "desk"})
    releases = "/api/assistants/desk/releases"
    assert (await client.post(releases, json={"adapter": epochs[0], **braid})).json()["warnings"] == []
    other = (await client.post(releases, json={"adapter": epochs[0]})).json()["warnings"]
    assert [one["code"] for one in other] == ["prompt_differs"]


async def test_a_prompt_that_the_engine_makes_otherwise_fails_the_job_before_it_trains(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "other_tokens")
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12))
    async with working(settings):
        job = await ended(client, job["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "parity_failed")
    assert "The prompt of row 1 isn't" in job["error"]["message"]
    assert "its token 5 is" in job["error"]["message"]
    assert "('| helpful AI assistant'…) in training, and " in job["error"]["message"]
    assert not any(event["type"] == "metrics" for event in await events(client, job["id"]))


async def _train_behind_refusals(client: httpx2.AsyncClient, settings: Settings, engine: FakeVllm) -> dict[str, Any]:
    """Run a job whose prompts the engine refuses as often as they are asked for before the adapter stands."""
    refused: list[str] = []

    def refuse(received: Received) -> faults.Fault | None:
        # As often as the prompts are asked for while they are learnt, when the weights are there, and once behind that.
        if received.path != "/tokenize" or len(refused) == 3:
            return None
        refused.append(received.path)
        return faults.status(503)

    engine.rule = refuse
    job = await start(client, rows(12))
    async with working(settings):
        job = await ended(client, job["id"])
    assert len(refused) == 3
    return job


async def test_no_adapter_with_other_prompts_is_ready_before_an_engine_has_compared_them(
    gateway: Gateway, settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "other_tokens")
    client = await gateway.tenant("kestrel")
    job = await _train_behind_refusals(client, settings, engine)
    assert (job["status"], job["error"]["code"]) == ("failed", "parity_failed")
    assert [row["status"] for row in await adapters(client)] in ([], ["refused"])


async def test_an_adapter_is_ready_once_an_engine_has_compared_its_prompts(
    gateway: Gateway, settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "epochs")
    client = await gateway.tenant("kestrel")
    job = await _train_behind_refusals(client, settings, engine)
    assert job["status"] == "succeeded", job["error"]
    listed = (await client.get(f"/v1/fine_tuning/jobs/{job['id']}/checkpoints")).json()["data"]
    assert len(listed) == 3
    for name in (job["fine_tuned_model"], *(one["fine_tuned_model_checkpoint"] for one in listed)):
        assert (await read_manifest_of(gateway, name))["parity"]["equal"] == 2


async def test_an_engine_that_makes_no_tokens_of_chats_is_waited_for_by_nobody(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    engine.rule = lambda received: faults.status(404) if received.path == "/tokenize" else None
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12))
    async with working(settings):
        job = await ended(client, job["id"])
    assert job["status"] == "succeeded", job["error"]
    assert any("No engine could be asked whether" in event["message"] for event in await events(client, job["id"]))
    assert not (await read_manifest_of(gateway, job["fine_tuned_model"])).get("parity")


async def test_a_difference_that_the_engine_has_no_text_for_fails_the_job_too(
    gateway: Gateway, settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "other_tokens")
    engine.rule = lambda received: faults.status(400) if received.path == "/detokenize" else None
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12))
    async with working(settings):
        job = await ended(client, job["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "parity_failed")
    assert re.search(r"its token 5 is \d+ in training, and \d+ in the engine", job["error"]["message"])


async def test_a_release_says_where_it_differs_from_what_its_adapter_learnt(
    gateway: Gateway, settings: Settings
) -> None:
    client = await gateway.tenant("kestrel")
    for template in (TEMPLATE, TEMPLATE.replace("Answer", "Talk")):
        await client.post("/api/prompts", json={"name": "support", "template": template})
    braid = {"prompt": "support@1", "variables": {"voice": "a pirate"}}
    job = await start(client, rows(12), braid=braid)
    async with working(settings):
        model = (await ended(client, job["id"]))["fine_tuned_model"]
    await client.post("/api/assistants", json={"name": "desk"})

    async def release(**parts: Any) -> dict[str, str]:
        answer = await client.post("/api/assistants/desk/releases", json={"adapter": model, **parts})
        assert answer.status_code == 201, answer.text
        return {one["code"]: one["message"] for one in answer.json()["warnings"]}

    assert await release(**braid) == {}
    other = await release(prompt="support@2", variables={"voice": "a pirate"})
    assert other.keys() == {"prompt_differs"}
    assert "rendered with support@1 (" in other["prompt_differs"]
    assert "this release has support@2 (" in other["prompt_differs"]
    assert "has no prompt" in (await release())["prompt_differs"]
    variables = await release(prompt="support@1", variables={"voice": "a judge"})
    assert variables == {
        "variables_differ": "The prompt's own names voice have other values than the adapter's rows had."
    }

    async with gateway.state.database.begin() as session:
        manifest = await read_manifest_of(gateway, model) | {"parity": None}
        await session.execute(update(AdapterRow).values(manifest=manifest))
    assert (await release(**braid)).keys() == {"prompt_unproven"}

    async with gateway.state.database.begin() as session:
        manifest = await read_manifest_of(gateway, model) | {"chat_template_digest": "0" * 64, "prompt": None}
        await session.execute(update(AdapterRow).values(manifest=manifest))
    answer = await client.post("/api/assistants/desk/releases", json={"adapter": model})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "adapter_of_other_template")
