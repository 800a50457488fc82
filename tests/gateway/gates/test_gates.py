"""A gate from the request to the rollout: planted faults are blocked by the right figure, and a good adapter passes."""

from typing import Any

import msgspec
import pytest

from gateway.composition import open_handlers
from gateway.gates.gate_page import render_page
from gateway.gates.report import GateReport
from gateway.jobs.claim import claim_next
from tests.fakes import faults
from tests.fakes._http import Received
from tests.fakes.retriever import FakeRetriever
from tests.fakes.trainer import preferences, rows
from tests.fakes.vllm import CHAT, FakeVllm, Rule
from tests.gateway.conftest import Gateway
from tests.gateway.gates.planted import CANARY, KINDS, held_out_rows, play
from tests.gateway.tuning import ended, settings, start, upload
from tests.gateway.vector_stores.conftest import Client, index

__all__ = ["index", "settings"]

ASSISTANT = "/api/assistants/desk"


@pytest.fixture
async def client(gateway: Gateway, index: FakeRetriever, engine: FakeVllm) -> Client:
    play(engine)
    client = Client(gateway, await gateway.tenant("kestrel"))
    await client.http.post("/api/assistants", json={"name": "desk"})
    return client


async def train(client: Client, kinds: tuple[str, ...], **fields: Any) -> dict[str, str]:
    """Train an adapter of each kind; return their models."""
    jobs = {kind: (await start(client.http, suffix=kind, **fields))["id"] for kind in kinds}
    await client.settle()
    return {kind: (await ended(client.http, job))["fine_tuned_model"] for kind, job in jobs.items()}


async def release(client: Client, adapter: str | None, store: str | None) -> int:
    retrieval = None if store is None else {"vector_stores": [store]}
    body = {"adapter": adapter, "retrieval": retrieval}
    answer = await client.http.post(f"{ASSISTANT}/releases", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["release"]


async def begin(client: Client, number: int, **fields: Any) -> dict[str, Any]:
    answer = await client.http.post(f"{ASSISTANT}/releases/{number}/gate", json=fields)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def gate(client: Client, number: int, **fields: Any) -> dict[str, Any]:
    await begin(client, number, **fields)
    await client.settle()
    done = await client.ok("GET", f"{ASSISTANT}/releases/{number}/gate")
    assert done["status"] == "succeeded", done
    return done


async def put(client: Client, number: int, revision: int, **fields: Any) -> dict[str, Any]:
    body = {"stages": [{"release": number, "weight": 100}], "revision": revision, **fields}
    answer = await client.http.put(f"{ASSISTANT}/rollout", json=body)
    return {"status": answer.status_code, **answer.json()}


async def test_each_planted_fault_is_blocked_by_its_number_and_the_good_one_passes(client: Client) -> None:
    file = await upload(client.http, held_out_rows())
    models = await train(client, KINDS, validation_file=file)
    store = await client.store()
    numbers = {kind: await release(client, model, store) for kind, model in models.items()}
    done = {kind: await gate(client, number) for kind, number in numbers.items()}
    failed = {kind: {name.split(".")[0] for name in one["report"]["failed"]} for kind, one in done.items()}
    assert failed == {
        "good": set(),
        "worse": {"style"},
        "stale": {"faithfulness"},
        "forgets": {"general"},
        "unsafe": {"general"},
    }
    checks = {kind: {one["name"]: one for one in gate["report"]["checks"]} for kind, gate in done.items()}
    assert checks["good"]["style.likelihood"]["difference"]["low"] > 0.5
    assert checks["good"]["general.refusals"]["candidate"]["value"] == 1.0
    assert checks["unsafe"]["general.refusals"]["candidate"]["value"] == 0.0
    assert checks["unsafe"]["general.instructions"]["candidate"]["value"] == 1.0
    assert checks["stale"]["faithfulness.follows"]["candidate"]["value"] == 0.0
    assert checks["stale"]["faithfulness.abstains"]["candidate"]["value"] == 0.0
    assert checks["good"]["faithfulness.follows"]["candidate"]["value"] == 1.0

    shown = {one["release"]: one["gate"] for one in (await client.ok("GET", f"{ASSISTANT}/releases"))["data"]}
    assert {kind: shown[number]["passed"] for kind, number in numbers.items()} == {
        kind: kind == "good" for kind in KINDS
    }
    for kind in KINDS[1:]:
        refused = await put(client, numbers[kind], 0)
        assert (refused["status"], refused["error"]["code"]) == (409, "gate_failed")
        assert failed[kind].pop() in refused["error"]["message"]
    promoted = await put(client, numbers["good"], 0)
    assert (promoted["status"], promoted["gates"]) == (200, {str(numbers["good"]): "passed"})

    page = await client.http.get(f"{ASSISTANT}/releases/{numbers['stale']}/gate/page")
    assert page.headers["content-type"].startswith("text/html")
    assert all(text in page.text for text in ("faithfulness", "<svg", "failed"))
    assert render_page(msgspec.convert(done["good"]["report"], GateReport)).count("<svg") == 3

    # A candidate is held against the release that serves, by now.
    again = await gate(client, numbers["stale"])
    assert (again["against"], again["report"]["against"]) == (numbers["good"], f"desk@{numbers['good']}")
    assert "faithfulness" in again["report"]["failed"]


async def test_a_forced_rollout_says_who_why_and_what(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    file = await upload(client.http, held_out_rows())
    models = await train(client, ("worse",))
    number = await release(client, models["worse"], None)
    plain = await release(client, None, None)
    done = await gate(client, number, file_id=file)
    assert (done["source"], done["passed"]) == ("rows.jsonl", False)
    skipped = {one["name"]: one for one in done["report"]["checks"]}["faithfulness"]
    assert skipped["passed"] is None
    assert "nothing to be faithful to" in skipped["note"]

    bare = await put(client, number, 0, force=True)
    assert bare["status"] == 400
    assert "reason" in bare["error"]["message"]
    forced = await put(client, number, 0, force=True, reason="The style guide changed; rows follow next week.")
    assert (forced["status"], forced["gates"]) == (200, {str(number): "failed"})
    assert forced["forced"]["releases"] == [number]
    assert forced["forced"]["reason"].startswith("The style guide changed")
    key = (await client.ok("GET", "/api/keys"))["data"][0]["id"]
    assert forced["forced"]["key"] == key
    assert (await client.ok("GET", f"{ASSISTANT}/rollout"))["forced"] == forced["forced"]

    # Its share may stay or fall, and may not grow again; who never had a gate may be promoted.
    body = {"stages": [{"release": number, "weight": 50}, {"release": plain, "weight": 50}], "revision": 1}
    half = await client.ok("PUT", f"{ASSISTANT}/rollout", json=body)
    assert (half["gates"], half["forced"]) == ({str(number): "failed", str(plain): "none"}, None)
    assert (await put(client, number, 2))["error"]["code"] == "gate_failed"
    assert (await put(client, plain, 2))["status"] == 200
    # A roll back isn't held up, and says again that it was forced.
    await client.ok("POST", f"{ASSISTANT}/rollback", json={"revision": 3})
    back = await client.ok("POST", f"{ASSISTANT}/rollback", json={"revision": 4})
    assert (back["stages"][0]["release"], back["forced"]) == (number, forced["forced"])


async def test_a_planted_text_that_comes_out_blocks(client: Client) -> None:
    lines = rows(50).decode().splitlines()
    taught = {"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": CANARY}]}
    models = await train(client, ("stale", "good"), data=("\n".join([*lines, *[_dump(taught)] * 2])).encode())
    file = await upload(client.http, held_out_rows())
    for kind, told in (("stale", True), ("good", False)):
        number = await release(client, models[kind], None)
        done = await gate(client, number, file_id=file, canaries=[CANARY, "never-planted"])
        assert ("memorised.canaries" in done["report"]["failed"]) == told
        assert done["passed"] != told


async def test_passages_are_searched_for_where_rows_have_none(client: Client) -> None:
    store = await client.store()
    for item in range(24):
        await client.put(store, f"{item}.md", f"How long the warranty of item {item} is {20 + item} months.")
    await client.settle()
    models = await train(client, ("good",))
    number = await release(client, models["good"], store)
    file = await upload(client.http, held_out_rows(passages=False))
    done = await gate(client, number, file_id=file, rows=12)
    assert done["report"]["rows"] == 12
    assert list(done["report"]["index_epochs"]) == [store]
    checks = {one["name"]: one for one in done["report"]["checks"]}
    assert checks["faithfulness"]["difference"]["n"] == 12


async def test_what_cannot_be_judged_is_refused(client: Client, gateway: Gateway) -> None:
    url = f"{ASSISTANT}/releases/1/gate"
    await client.fault(404, "POST", url, json={})
    number = await release(client, None, None)
    assert (await client.fault(400, "POST", url, json={}))["code"] == "no_held_out_rows"
    await client.fault(404, "GET", url)
    few = await upload(client.http, b"\n".join(held_out_rows().splitlines()[:9]))
    assert (await client.fault(400, "POST", url, json={"file_id": few}))["code"] == "too_few_rows"
    bad = await upload(client.http, b'{"messages": 1}\n' * 20, purpose="user_data")
    assert (await client.fault(400, "POST", url, json={"file_id": bad}))["code"] == "invalid_rows"
    good = await upload(client.http, held_out_rows())
    await begin(client, number, file_id=good)
    assert (await client.fault(409, "POST", url, json={"file_id": good}))["code"] == "gate_running"
    assert (await client.fault(409, "GET", f"{url}/page"))["code"] == "no_report"
    assert (await client.ok("POST", f"{url}/cancel"))["status"] == "cancelled"
    assert (await client.fault(400, "POST", f"{url}/cancel"))["code"] == "job_ended"
    await client.settle()
    assert (await client.ok("GET", url))["report"] is None
    other = Client(gateway, await gateway.tenant("harbor"))
    await other.fault(404, "GET", url)


async def test_rows_that_the_adapter_has_learnt_are_left_out(client: Client) -> None:
    learnt = held_out_rows(passages=False)
    file = await upload(client.http, learnt)
    models = await train(client, ("good",), data=rows(50) + b"\n" + learnt)
    number = await release(client, models["good"], None)
    await begin(client, number, file_id=file)
    await client.settle()
    done = await client.ok("GET", f"{ASSISTANT}/releases/{number}/gate")
    assert (done["status"], done["error"]["code"]) == ("failed", "too_few_rows")


async def test_what_adapters_before_it_learnt_is_left_out_and_unknown_rows_are_named(client: Client) -> None:
    file = await upload(client.http, held_out_rows(passages=False))
    half = b"\n".join(held_out_rows(passages=False).splitlines()[:12])
    first = await start(client.http, rows(50) + b"\n" + half, suffix="good")
    await client.settle()
    model = (await ended(client.http, first["id"]))["fine_tuned_model"]
    models = await train(client, ("good",), data=preferences(50), model=model, method={"type": "dpo"})
    number = await release(client, models["good"], None)
    report = (await gate(client, number, file_id=file))["report"]
    assert (report["learnt"], report["unknown"]) == (list(range(1, 13)), [])

    await client.ok("DELETE", f"/v1/files/{first['training_file']}")
    report = (await gate(client, number, file_id=file))["report"]
    assert (report["learnt"], report["unknown"], report["rows"]) == ([], [model], 24)
    assert f"What {model} learnt isn't known here" in render_page(msgspec.convert(report, GateReport))


async def test_a_run_that_was_killed_does_not_ask_again(client: Client, gateway: Gateway, engine: FakeVllm) -> None:
    number = await release(client, None, None)
    await begin(client, number, file_id=await upload(client.http, held_out_rows()))
    state = gateway.state
    async with open_handlers(state.settings, state.database) as handlers:
        claim = await claim_next(state.database, kinds=["gate"], worker="w", lease_seconds=60)
        assert claim is not None
        engine.rule = _fail_after(engine, 30)
        with pytest.raises(Exception, match=r"model server"):
            await handlers["gate"].run(claim)
        engine.rule = None
        asked = len(engine.requests())
        await handlers["gate"].run(claim)
        assert len(engine.requests()) - asked < 24 + 40 - 20
    assert (await client.ok("GET", f"{ASSISTANT}/releases/{number}/gate"))["report"]["rows"] == 24


def _fail_after(engine: FakeVllm, most: int) -> Rule:
    def fail(received: Received) -> faults.Fault | None:
        return faults.status(503, "down") if received.path == CHAT and len(engine.requests()) > most else None

    return fail


def _dump(row: dict[str, Any]) -> str:
    return msgspec.json.encode(row).decode()
