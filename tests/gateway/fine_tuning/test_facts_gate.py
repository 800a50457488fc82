"""The facts of rows before a training, and what becomes of them after: an index in memory, a fake trainer."""

import json
from typing import Any

import httpx2
import pytest

from gateway.jobs import JobDelayed
from gateway.settings import Settings
from gateway.terminal import Exit
from tests.fakes.trainer import rows
from tests.gateway.cli.commands import run
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ended, events, start
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import die_at, worker_process, working

__all__ = ["index"]

STALE = "/api/styles/stale_facts"


def make(question: str, reply: str) -> bytes:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
    return json.dumps({"messages": turns}).encode()


async def put(client: httpx2.AsyncClient, store: str, key: str, text: str) -> None:
    answer = await client.put(f"/api/vector_stores/{store}/documents/{key}", content=text, params={"wait": 30})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "completed"


async def checks(client: httpx2.AsyncClient, job: str) -> dict[str, dict[str, Any]]:
    return {event["data"]["check"]: event["data"] for event in await events(client, job) if "check" in event["data"]}


@pytest.mark.usefixtures("index")
async def test_changed_facts_stop_a_job_unless_forced_and_are_stale_after(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "shop"})).json()["id"]
    data = b"\n".join(
        [
            rows(12).rstrip(),
            make("How long is the warranty of the kettle?", "The warranty of the kettle is 24 months."),
            make("What is the price of the lamp?", "The price of the lamp is 49 pounds."),
        ]
    )
    async with working(settings):
        await put(client, store, "kettle.md", "The warranty of the kettle is 24 months.")
        await put(client, store, "kettle.md", "The warranty of the kettle is 36 months.")
        await put(client, store, "lamp.md", "The price of the lamp is £49.")

        facts = {"vector_stores": [store]}
        job = await ended(client, (await start(client, data, braid={"facts": facts}))["id"])
        assert (job["status"], job["error"]["code"]) == ("failed", "changed_facts")
        assert "'24 months' in row 13 (kettle.md)" in job["error"]["message"]
        findings = await checks(client, job["id"])
        assert (findings["facts_changed"]["rows"], findings["facts_index"]["rows"]) == ([13], [14])

        job = await ended(client, (await start(client, data, braid={"facts": {**facts, "force": True}}))["id"])
        assert job["status"] == "succeeded", job["error"]
        assert [event["data"]["forced_by"] for event in await events(client, job["id"]) if "forced" in event["message"]]
        assert job["braid"]["facts"] == {"vector_stores": [store], "force": True}

        async def stale(**params: str) -> set[tuple[str, str, int, int | None]]:
            answer = await client.get(STALE, params=params)
            assert answer.status_code == 200, answer.text
            assert answer.json()["unread_documents"] == 0
            data = answer.json()["data"]
            assert {one["adapter"] for one in data} == {job["fine_tuned_model"]}
            return {(one["text"], one["state"], one["learnt_version"], one["version"]) for one in data}

        assert await stale() == {("24 months", "changed", 2, 2)}
        await put(client, store, "lamp.md", "The lamp has a price of 49.00 GBP.")
        assert await stale(adapter=job["fine_tuned_model"]) == {("24 months", "changed", 2, 2)}
        await put(client, store, "lamp.md", "The price of the lamp is £59.")
        await client.delete(f"/api/vector_stores/{store}/documents/kettle.md")
        assert await stale() == {("49 pounds", "changed", 1, 3), ("24 months", "deleted", 2, None)}
        command = ["styles", "stale", "--url", gateway.url, "--key", client.headers["authorization"].split()[1]]
        done = await run(*command)
        assert done.exit_code == Exit.FAILED, done.stderr
        # The worker of this process logs there as well.
        assert [line.split("\t")[1:] for line in done.stdout.splitlines() if "\t" in line] == [
            ["24 months", "13", "kettle.md", "2", "", "deleted"],
            ["49 pounds", "14", "lamp.md", "1", "3", "changed"],
        ]
        assert "facts: 2. Train them again" in done.stderr

        job = await ended(client, (await start(client, data, braid={"facts": facts}))["id"])
        assert (job["status"], job["error"]["code"]) == ("failed", "changed_facts")
        assert "'24 months' in row 13 (kettle.md, deleted on 2" in job["error"]["message"]
    assert (await client.get(STALE, params={"adapter": "ft:no"})).status_code == 404
    other = await gateway.tenant("harbour")
    assert (await other.get(STALE)).json()["data"] == []
    done = await run("styles", "stale", "--url", gateway.url, "--key", other.headers["authorization"].split()[1])
    assert (done.exit_code, "No adapter is known" in done.stderr) == (Exit.OK, True)


@pytest.mark.e2e
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("is_forced", [False, True])
async def test_a_worker_killed_before_it_fails_a_job_for_its_facts_leaves_the_verdict_to_the_next(
    gateway: Gateway, settings: Settings, is_forced: bool
) -> None:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "shop"})).json()["id"]
    kettle = make("How long is the warranty of the kettle?", "The warranty of the kettle is 24 months.")
    async with working(settings):
        await put(client, store, "kettle.md", "The warranty of the kettle is 24 months.")
        await put(client, store, "kettle.md", "The warranty of the kettle is 36 months.")
    facts = {"vector_stores": [store], "force": is_forced}
    job = await start(client, b"\n".join([rows(12).rstrip(), kettle]), braid={"facts": facts})
    await die_at(settings, "facts-recorded")
    async with worker_process(settings):
        done = await ended(client, job["id"])
    assert done["status"] == ("succeeded" if is_forced else "failed")
    if not is_forced:
        assert done["error"]["code"] == "changed_facts"
        assert "1 value in replies" in done["error"]["message"]
        assert "'24 months' in row 13 (kettle.md)" in done["error"]["message"]
    told = [event["data"].get("check") for event in await events(client, job["id"])]
    assert told.count("facts_changed") == 1


@pytest.mark.usefixtures("index")
async def test_rows_without_facts_of_documents_are_looked_at_once(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may wait for an engine behind it again and again."""
    looks: list[str] = []

    def delay_once(step: str) -> None:
        looks.append(step)
        if len(looks) == 1:
            raise JobDelayed("The engine is away.", seconds=0.0)

    monkeypatch.setattr("gateway.fine_tuning.facts_gate.failpoint", delay_once)
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "shop"})).json()["id"]
    lamp = make("What is the price of the lamp?", "The price of the lamp is 49 pounds.")
    async with working(settings):
        job = await start(client, b"\n".join([rows(12).rstrip(), lamp]), braid={"facts": {"vector_stores": [store]}})
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done["error"]
    assert looks == ["facts-recorded"]
    told = [event["data"].get("check") for event in await events(client, job["id"])]
    assert told.count("facts_nowhere") == 1


async def test_stores_of_the_facts_have_to_be_the_tenants(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    body = {"model": "base", "training_file": "file-no", "braid": {"facts": {"vector_stores": ["vs_no"]}}}
    assert (await client.post("/v1/fine_tuning/jobs", json=body)).status_code == 404
