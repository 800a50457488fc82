"""`braid gate` against a running gateway: the verdict is the exit status, and figures and page come with it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.terminal import Exit
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.cli.commands import run
from tests.gateway.conftest import Gateway
from tests.gateway.gates.planted import SUITE, held_out_rows, play
from tests.gateway.tuning import ended, settings, start
from tests.gateway.vector_stores.conftest import Client, index
from tests.gateway.worker import working

__all__ = ["index", "settings"]

ASSISTANT = "/api/assistants/desk"


@pytest.fixture
async def client(
    gateway: Gateway, index: FakeRetriever, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    monkeypatch.setattr("gateway.gates.gate_job.load_base_suite", lambda: SUITE)
    play(engine)
    client = Client(gateway, await gateway.tenant("kestrel"))
    await client.http.post("/api/assistants", json={"name": "desk"})
    async with working(gateway.state.settings):
        yield client


async def train(client: Client, kind: str) -> str:
    job = await start(client.http, suffix=kind)
    return (await ended(client.http, job["id"]))["fine_tuned_model"]


async def test_the_verdict_is_the_exit_status(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    address = ["--url", gateway.url, "--key", client.http.headers["authorization"].removeprefix("Bearer ")]
    rows = tmp_path / "held-out.jsonl"
    rows.write_bytes(held_out_rows())
    good, worse = await train(client, "good"), await train(client, "worse")
    store = await client.store()
    body = {"adapter": good, "retrieval": {"vector_stores": [store], "top_k": 3}, "sampling": {"temperature": 0.5}}
    await client.http.post(f"{ASSISTANT}/releases", json=body)
    rollout = {"stages": [{"release": 1, "weight": 100}], "revision": 0}
    assert (await client.http.put(f"{ASSISTANT}/rollout", json=rollout)).status_code == 200

    options = ["--file", str(rows), "--rows", "24", *address]
    passed = await run("gate", "desk@1", "--page", str(tmp_path / "gate.html"), *options)
    assert passed.exit_code == Exit.OK, passed.stderr
    assert "The gate lets desk@1 pass." in passed.stderr
    checks = {line.split("\t")[0]: line.split("\t") for line in passed.stdout.splitlines()}
    assert checks["style.likelihood"][-1] == "yes"
    assert "<svg" in (tmp_path / "gate.html").read_text()

    nowhere = await run("gate", worse, *options)
    assert (nowhere.exit_code, "--assistant" in nowhere.stderr) == (Exit.NOT_FOUND, True)
    blocked = await run("gate", worse, "--assistant", "desk", "--json", *options)
    assert blocked.exit_code == Exit.FAILED, blocked.stderr
    assert "The gate blocks desk@2: style" in blocked.stderr
    report = json.loads(blocked.stdout)
    assert (report["passed"], report["release"], report["against"]) == (False, "desk@2", "desk@1")
    first, second = [one["spec"] for one in (await client.ok("GET", f"{ASSISTANT}/releases"))["data"]]
    assert second | {"adapter": first["adapter"]} == first  # all but the adapter is the same
    again = await run("gate", worse, *options)  # its release is known by now
    assert again.exit_code == Exit.FAILED
    assert "desk@2" in again.stderr


async def test_what_has_no_gate_says_what_to_do(gateway: Gateway, client: Client) -> None:
    address = ["--url", gateway.url, "--key", client.http.headers["authorization"].removeprefix("Bearer ")]
    empty = await run("gate", "desk", *address)
    assert (empty.exit_code, "has no release yet" in empty.stderr) == (Exit.FAILED, True)
    await client.http.post(f"{ASSISTANT}/releases", json={})
    rowless = await run("gate", "desk", *address)
    assert (rowless.exit_code, "uploads them with --file" in rowless.stderr) == (Exit.USAGE, True)
    missing = await run("gate", "desk@7", *address)
    assert (missing.exit_code, "desk@7 doesn't exist" in missing.stderr) == (Exit.NOT_FOUND, True)


async def test_a_gate_that_few_prompts_leave_undecided_says_how_more_are_asked(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    address = ["--url", gateway.url, "--key", client.http.headers["authorization"].removeprefix("Bearer ")]
    rows = tmp_path / "held-out.jsonl"
    rows.write_bytes(held_out_rows(passages=False))
    slips = await train(client, "slips")
    options = ["--assistant", "desk", "--file", str(rows), *address]
    blocked = await run("gate", slips, "--general-prompts", "300", "--json", *options)
    assert blocked.exit_code == Exit.FAILED, blocked.stderr
    assert "More prompts of the base suite may tell: --general-prompts 3000." in blocked.stderr
    assert json.loads(blocked.stdout)["undecided"] == ["general"]
    assert (await run("gate", slips, "--general-prompts", "100", *options)).exit_code == Exit.USAGE
