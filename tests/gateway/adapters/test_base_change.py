"""The base model changes under adapters, and comes back."""

import asyncio
from typing import Any

import httpx2
import msgspec
import pytest

from gateway.adapters.lifecycle import AdapterStatus
from gateway.cli.doctor import Level
from gateway.cli.doctor.parts import check_adapters
from gateway.engines.served_base_model import ServedBaseModel
from gateway.settings import Settings
from tests.fakes.trainer import rows
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway, running
from tests.gateway.tuning import adapters, ended, loads, start, until_loaded, until_status
from tests.gateway.worker import working
from tests.waiting import until


def serve_base(settings: Settings, digest: str | None = None) -> str:
    """Write down another base model as `braid up` does, and return the digest of the one before."""
    file = ServedBaseModel.locate_file(settings.home)
    before = msgspec.json.decode(file.read_bytes(), type=ServedBaseModel)
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(before, digest=digest or before.digest)))
    return before.digest


async def list_as(gateway: Gateway, key: str) -> list[dict[str, Any]]:
    return await adapters(gateway.client(key))


async def ask_release(client: httpx2.AsyncClient) -> httpx2.Response:
    return await client.post(
        "/v1/chat/completions", json={"model": "desk@1", "messages": [{"role": "user", "content": "Hi"}]}
    )


async def test_an_adapter_of_another_base_is_never_loaded_and_comes_back_with_its_own(
    settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.answering.service._ADAPTER_PATIENCE_SECONDS", 3600.0)
    async with running(settings) as gateway:
        client = await gateway.tenant("kestrel")
        key = client.headers["authorization"].removeprefix("Bearer ")
        async with working(settings):
            model = (await ended(client, (await start(client, rows(50)))["id"]))["fine_tuned_model"]
        await until_loaded(client, model)
        await client.post("/api/assistants", json={"name": "desk"})
        assert (await client.post("/api/assistants/desk/releases", json={"adapter": model})).status_code == 201
    assert (await asyncio.to_thread(check_adapters, settings)).level is Level.OK

    own = serve_base(settings, "sha256:another")
    await engine.restart()
    before = len(loads(engine))
    async with running(settings) as gateway, working(settings):
        (row,) = await list_as(gateway, key)
        assert (row["status"], row["model"]) == ("other_base", model)
        assert "BRAID_BASE_MODEL" in row["reason"]
        assert own[:12] in row["reason"]
        client = gateway.client(key)
        answer = await client.post(
            "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        )
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"
        await until(lambda: gateway.state.reconciler.caught_up)
        answer = await asyncio.wait_for(ask_release(client), 60)  # nobody waits for an adapter that never comes
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "adapter_of_other_base")
        assert own[:12] in error["message"]
        assert "BRAID_BASE_MODEL" in error["message"]
        rollout = {"stages": [{"release": 1, "weight": 1}], "revision": 0}
        answer = await client.put("/api/assistants/desk/rollout", json=rollout)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "adapter_of_other_base")
    finding = await asyncio.to_thread(check_adapters, settings)
    assert finding.level is Level.WARNING
    assert "1 adapter" in finding.message
    assert len(loads(engine)) == before

    serve_base(settings, own)
    async with running(settings) as gateway:
        await until_loaded(gateway.client(key), model)
        assert (await ask_release(gateway.client(key))).status_code == 200
        (row,) = await list_as(gateway, key)
        assert (row["status"], row["reason"]) == (AdapterStatus.READY, None)
    assert len(loads(engine)) == before + 1


async def test_a_job_whose_weights_were_made_before_the_base_changed_is_refused(
    settings: Settings, engine: FakeVllm
) -> None:
    async with running(settings) as gateway:
        client = await gateway.tenant("kestrel")
        key = client.headers["authorization"].removeprefix("Bearer ")
        job = await start(client, rows(50))
        await engine.stop()
        async with working(settings):
            await until_status(client, "probing")
    await engine.start()
    serve_base(settings, "sha256:another")
    async with running(settings) as gateway, working(settings):
        done = await ended(gateway.client(key), job["id"])
        assert (done["status"], done["error"]["code"]) == ("failed", "adapter_refused")
        assert "engines serve base" in done["error"]["message"]


async def test_an_adapter_of_another_base_can_be_deleted(settings: Settings) -> None:
    async with running(settings) as gateway:
        client = await gateway.tenant("kestrel")
        key = client.headers["authorization"].removeprefix("Bearer ")
        async with working(settings):
            model = (await ended(client, (await start(client, rows(50)))["id"]))["fine_tuned_model"]
    serve_base(settings, "sha256:another")
    async with running(settings) as gateway:
        assert (await gateway.client(key).delete(f"/v1/models/{model}")).status_code == 200
        assert await list_as(gateway, key) == []


async def test_a_release_answers_under_another_fingerprint_where_the_base_is_another(
    settings: Settings, engine: FakeVllm
) -> None:
    """Its adapter would be refused; a release without one answers, and says that it isn't the same."""
    changes: list[dict[str, Any]] = [
        {}, {"digest": "sha256:another"}, {"chat_template_digest": "sha256:t2"}, {"folds_system": True},
        {"markers": ("<|other|>",)}, {},
    ]  # fmt: skip
    file = ServedBaseModel.locate_file(settings.home)
    known = {"chat_template_digest": "sha256:t1", "markers": ("<|im_start|>",)}
    own = msgspec.structs.replace(msgspec.json.decode(file.read_bytes(), type=ServedBaseModel), **known)
    file.write_bytes(msgspec.json.encode(own))
    async with running(settings) as gateway:
        client = await gateway.tenant("kestrel")
        key = client.headers["authorization"].removeprefix("Bearer ")
        await client.post("/api/assistants", json={"name": "desk"})
        made = (await client.post("/api/assistants/desk/releases", json={})).json()["fingerprint"]
    fingerprints: list[str] = []
    for change in changes:
        file.write_bytes(msgspec.json.encode(msgspec.structs.replace(own, **change)))
        async with running(settings) as gateway:
            await until(lambda gateway=gateway: any(one.ready for one in gateway.state.pool.replicas))
            answer = await ask_release(gateway.client(key))
            assert answer.status_code == 200, answer.text
            fingerprints.append(answer.json()["system_fingerprint"])
    assert fingerprints[0] == fingerprints[-1] == made
    assert len(set(fingerprints)) == len(changes) - 1
