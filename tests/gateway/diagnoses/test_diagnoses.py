"""A diagnosis from the request to the proposed release, over HTTP: planted faults go to their strands."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from gateway.diagnoses.diagnosis_page import render_page
from gateway.diagnoses.report import DiagnosisReport
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.diagnoses.planted import FAULTS, PLAIN, Fault, World, play
from tests.gateway.tuning import ended, settings, start
from tests.gateway.vector_stores.conftest import Client, index

__all__ = ["index", "settings"]

DIAGNOSES = "/api/diagnoses"
SEEDS = (1, 2)


@pytest.fixture
async def client(gateway: Gateway, index: FakeRetriever, engine: FakeVllm) -> Client:
    play(engine, World(1))
    return Client(gateway, await gateway.tenant("kestrel"))


async def train(client: Client, *names: str) -> dict[str, str]:
    """Train adapters; return their models."""
    jobs = {name: (await start(client.http, suffix=name))["id"] for name in names}
    await client.settle()
    return {name: (await ended(client.http, job))["fine_tuned_model"] for name, job in jobs.items()}


async def release(client: Client, assistant: str, **fields: Any) -> int:
    answer = await client.http.post(f"/api/assistants/{assistant}/releases", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["release"]


async def write_prompt(client: Client, template: str) -> str:
    body = {"name": "desk", "template": f"{{% block system %}}{template}{{% endblock %}}"}
    answer = await client.http.post("/api/prompts", json=body)
    assert answer.status_code == 201, answer.text
    return f"desk@{answer.json()['version']}"


async def plant(client: Client, world: World, fault: Fault, models: dict[str, str], prompts: dict[str, str]) -> str:
    """Make an assistant whose second release has a fault, with its documents; return the release's name."""
    assistant = f"{fault.name}{world.seed}"
    await client.http.post("/api/assistants", json={"name": assistant})
    store = await client.store()
    for audience, text in world.documents(fault.name).items():
        form = {"data": {"purpose": "assistants"}, "files": {"file": (f"{audience}.md", text.encode())}}
        file = (await client.ok("POST", "/v1/files", **form))["id"]
        body = {"file_id": file, "attributes": {"audience": audience}}
        await client.ok("POST", f"/v1/vector_stores/{store}/files", json=body)
    retrieval = {"vector_stores": [store]}
    sampling = {"temperature": 0.7}
    good = {"adapter": models["house"], "prompt": prompts[PLAIN], "retrieval": retrieval, "sampling": sampling}
    await release(client, assistant, **good)
    bad = {"adapter": models[fault.adapter], "prompt": prompts[fault.prompt]}
    number = await release(client, assistant, **{**good, **bad, "retrieval": retrieval | fault.retrieval})
    stages = {"stages": [{"release": number, "weight": 100}], "revision": 0}
    await client.ok("PUT", f"/api/assistants/{assistant}/rollout", json=stages)
    return f"{assistant}@{number}"


async def read_report(client: Client, id: str) -> dict[str, Any]:
    done = await client.ok("GET", f"{DIAGNOSES}/{id}")
    assert done["status"] == "succeeded", done
    return await client.ok("GET", f"{DIAGNOSES}/{id}/report")


async def test_planted_faults_go_to_their_strands_and_nothing_is_promoted(client: Client, engine: FakeVllm) -> None:
    models = await train(client, "house", "stale", "sour")
    prompts = {text: await write_prompt(client, text) for text in dict.fromkeys([PLAIN, *(f.prompt for f in FAULTS)])}
    strands: dict[str, Counter[str]] = {fault.name: Counter() for fault in FAULTS}
    causes: dict[str, Counter[str]] = {fault.name: Counter() for fault in FAULTS}
    proposed: dict[str, list[bool]] = {fault.name: [] for fault in FAULTS}
    for seed in SEEDS:
        world = World(seed)
        play(engine, world)
        planted = {fault.name: await plant(client, world, fault, models, prompts) for fault in FAULTS}
        await client.settle()
        ids: dict[str, str] = {}
        for name, model in planted.items():
            body = {"model": model, "failures": world.failures(name), "passes": world.passes(name)}
            ids[name] = (await client.ok("POST", DIAGNOSES, json=body))["id"]
            await client.settle()  # one by one: a busy machine takes its time
        for name, id in ids.items():
            report = await read_report(client, id)
            strands[name].update(one["strand"] for one in report["cases"])
            causes[name].update(one["cause"] for one in report["cases"])
            row = await client.ok("GET", f"{DIAGNOSES}/{id}")
            proposed[name].append(bool(row["releases"]))
            await _check_nothing_is_promoted(client, planted[name], row)
            page = await client.http.get(f"{DIAGNOSES}/{id}/page")
            assert page.headers["content-type"].startswith("text/html")
    for fault in FAULTS:
        count = sum(strands[fault.name].values())
        assert strands[fault.name][fault.strand] >= 0.9 * count, (fault.name, strands, causes)
        assert causes[fault.name][fault.cause] >= 0.9 * count, (fault.name, causes)
    mendable = {fault.name for fault in FAULTS if fault.strand in ("retrieval", "prompt", "style")}
    assert {name for name, made in proposed.items() if all(made)} == mendable, proposed
    assert not any(made for name in proposed.keys() - mendable for made in proposed[name])


async def _check_nothing_is_promoted(client: Client, model: str, row: dict[str, Any]) -> None:
    """The rollout is as it was, and the proposals are releases of the assistant like any other."""
    assistant, _, number = model.partition("@")
    rollout = await client.ok("GET", f"/api/assistants/{assistant}/rollout")
    assert (rollout["revision"], rollout["stages"]) == (1, [{"release": int(number), "weight": 100}])
    releases = (await client.ok("GET", f"/api/assistants/{assistant}/releases"))["data"]
    assert {one["release"] for one in releases} == {1, 2, *row["releases"].values()}


def test_the_page_is_whole() -> None:
    report = DiagnosisReport(
        *("diagnosis", "desk@1", 0, [], 0, 0, 3, {}, {}),
        knows_voice=False,
        clusters=[],
        proposals=[],
        unanswered=[],
        cases=[],
    )
    assert "desk@1" in render_page(msgspec.convert(msgspec.to_builtins(report), DiagnosisReport))
