"""A gate from the request to the rollout: planted faults are blocked by the right figure, and a good adapter passes."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.composition import open_handlers
from gateway.evaluation.base_suite import SuitePrompt, identify_prompts, load_base_suite
from gateway.gates.gate_page import render_page
from gateway.gates.measure import Measurer
from gateway.gates.measurements import SuiteMeasurement
from gateway.gates.report import GateReport
from gateway.jobs import FINAL_STATUSES
from gateway.jobs.claim import claim_next
from gateway.vector_stores.tables import StoreRow
from tests.fakes import faults
from tests.fakes._http import Received
from tests.fakes.retriever import FakeRetriever
from tests.fakes.trainer import preferences, rows
from tests.fakes.vllm import CHAT, FakeVllm, Rule
from tests.gateway.conftest import Gateway
from tests.gateway.gates.planted import CANARY, KINDS, OWN_PROMPT, SUITE, held_out_rows, play
from tests.gateway.tuning import ended, settings, start, upload
from tests.gateway.vector_stores.conftest import Client, index
from tests.waiting import until

__all__ = ["index", "settings"]

ASSISTANT = "/api/assistants/desk"


@pytest.fixture
async def client(gateway: Gateway, index: FakeRetriever, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("gateway.gates.gate_job.load_base_suite", lambda: SUITE)
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
    """Run a gate to its end; on a busy machine an engine may be away for a moment, and it is tried again."""
    await begin(client, number, **fields)
    url = f"{ASSISTANT}/releases/{number}/gate"

    async def has_ended() -> bool:
        await client.settle()
        return (await client.ok("GET", url))["status"] in FINAL_STATUSES

    await until(has_ended, 60)
    done = await client.ok("GET", url)
    assert done["status"] == "succeeded", done
    return done


async def put(client: Client, number: int, revision: int, **fields: Any) -> dict[str, Any]:
    body = {"stages": [{"release": number, "weight": 100}], "revision": revision, **fields}
    answer = await client.http.put(f"{ASSISTANT}/rollout", json=body)
    return {"status": answer.status_code, **answer.json()}


async def test_each_planted_fault_is_blocked_by_its_number_and_the_good_one_passes(client: Client) -> None:
    file = await upload(client.http, held_out_rows())
    models = await train(client, (*KINDS, "half"), validation_file=file)
    store = await client.store()
    numbers = {kind: await release(client, model, store) for kind, model in models.items()}
    done = {kind: await gate(client, numbers[kind]) for kind in KINDS}
    failed = {kind: {name.split(".")[0] for name in one["report"]["failed"]} for kind, one in done.items()}
    assert failed == {
        "good": set(),
        "worse": {"style"},
        "stale": {"faithfulness"},
        "forgets": {"general"},
        "unsafe": {"general"},
        "generic": {"style"},
    }
    assert done["generic"]["report"]["failed"] == ["style.control"]
    assert done["stale"]["report"]["failed"] == ["faithfulness", "faithfulness.follows", "faithfulness.abstains"]
    # What is forgotten isn't what is refused less, nor is either the likelihood of neutral text.
    assert done["forgets"]["report"]["failed"] == ["general", "general.instructions"]
    assert done["unsafe"]["report"]["failed"] == ["general"]  # too few of them here for a figure that decides
    checks = {kind: {one["name"]: one for one in gate["report"]["checks"]} for kind, gate in done.items()}
    assert checks["good"]["style.likelihood"]["difference"]["low"] > 0.5
    assert checks["good"]["general"]["difference"]["n"] == len(SUITE.prompt)
    assert checks["good"]["general"]["difference"]["value"] > 0
    assert checks["good"]["general.refusals"]["candidate"]["value"] == 1.0
    assert checks["unsafe"]["general.refusals"]["candidate"]["value"] == 0.0
    assert checks["unsafe"]["general.instructions"]["candidate"]["value"] == 1.0
    assert checks["forgets"]["general.instructions"]["candidate"]["value"] == 0.0
    assert checks["forgets"]["general.refusals"]["candidate"]["value"] == 1.0
    assert checks["worse"]["style.likelihood"]["outcome"] == "worse"
    assert checks["stale"]["style.likelihood"]["outcome"] == "holds"
    assert checks["stale"]["faithfulness.follows"]["candidate"]["value"] == 0.0
    assert checks["stale"]["faithfulness.abstains"]["candidate"]["value"] == 0.0
    assert checks["good"]["faithfulness.follows"]["candidate"]["value"] == 1.0

    shown = {one["release"]: one["gate"] for one in (await client.ok("GET", f"{ASSISTANT}/releases"))["data"]}
    assert {kind: shown[numbers[kind]]["passed"] for kind in KINDS} == {kind: kind == "good" for kind in KINDS}
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
    again = await gate(client, numbers["half"])
    assert (again["against"], again["report"]["against"]) == (numbers["good"], f"desk@{numbers['good']}")
    # It has more style than the base, and half as much as the one that serves.
    kept = {one["name"]: one for one in again["report"]["checks"]}["style.likelihood_kept"]
    assert (again["report"]["failed"], kept["outcome"]) == (["style.likelihood_kept"], "worse")
    assert kept["difference"]["value"] == pytest.approx(-0.4)


async def test_a_failed_content_is_blocked_under_every_number_until_a_gate_as_strict_passes(
    client: Client, engine: FakeVllm
) -> None:
    file = await upload(client.http, held_out_rows(passages=False))
    models = await train(client, ("slips",))
    first, second = [await release(client, models["slips"], None) for _ in range(2)]
    done = await gate(client, first, file_id=file)
    assert (done["report"]["failed"], done["report"]["undecided"], done["verdict"]) == (["general"],) * 2 + ("failed",)
    assert SUITE.prompt[0].text in done["report"]["lost"]
    shown = {one["release"]: one["gate"] for one in (await client.ok("GET", f"{ASSISTANT}/releases"))["data"]}
    assert shown[first] == shown[second]
    assert (shown[second]["passed"], shown[second]["undecided"], shown[second]["margin"]) == (False, ["general"], 0.02)
    refused = await put(client, second, 0)
    assert (refused["status"], refused["error"]["code"]) == (409, "gate_failed")
    assert "too few rows to tell of general" in refused["error"]["message"]

    for number in (first, second):  # a looser gate passes, under either number, and lifts nothing
        assert "lifts no block: 0.02 is the widest" in (await begin(client, number, file_id=file, margin=0.2))["note"]
        await client.settle()
        loose = await client.ok("GET", f"{ASSISTANT}/releases/{number}/gate")
        assert (loose["passed"], loose["verdict"]) == (True, "failed")
        assert "a margin of 0.2 where 0.02 is the widest" in loose["note"]
        assert (await put(client, number, 0))["status"] == 409

    play(engine, slips=False)
    strict = await gate(client, second, file_id=file)
    assert (strict["passed"], strict["verdict"], strict["note"]) == (True, "passed", "")
    assert (await put(client, first, 0))["gates"] == {str(first): "passed"}


async def run_eval(client: Client, eval_id: str, model: str) -> str:
    """Ask a model every item, and return the run's id."""
    template = [{"role": "user", "content": "How long is the warranty of item {{ item.number }}?"}]
    source = {
        "type": "completions",
        "model": model,
        "source": {"type": "file_content", "content": [{"item": {"number": number}} for number in range(20)]},
        "input_messages": {"type": "template", "template": template},
    }
    run = (await client.http.post(f"/v1/evals/{eval_id}/runs", json={"data_source": source})).json()
    await client.settle()
    done = await client.ok("GET", f"/v1/evals/{eval_id}/runs/{run['id']}")
    assert done["status"] == "completed", done
    return run["id"]


async def test_a_release_that_loses_an_eval_is_blocked_by_its_runs(client: Client) -> None:
    file = await upload(client.http, held_out_rows(passages=False))
    models = await train(client, ("good",))
    serving, equal = [await release(client, models["good"], None) for _ in range(2)]
    plain = await release(client, None, None)
    await put(client, serving, 0)
    check = {"type": "string_check", "name": "cheers", "operation": "ilike", "reference": "Cheers"}
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
    body = {
        "name": "signed",
        "data_source_config": {"type": "custom", "item_schema": schema, "include_sample_schema": True},
        "testing_criteria": [check | {"input": "{{ sample.output_text }}"}],
    }
    first, second = [(await client.http.post("/v1/evals", json=body)).json()["id"] for _ in range(2)]
    runs = {number: await run_eval(client, first, f"desk@{number}") for number in (serving, equal, plain)}
    other = await run_eval(client, second, f"desk@{serving}")

    def pair(run: str, baseline: str) -> dict[str, Any]:
        return {"file_id": file, "eval_runs": [{"run_id": run, "baseline_id": baseline}]}

    lost = await gate(client, plain, **pair(runs[plain], runs[serving]))
    assert f"evals.{first}" in lost["report"]["failed"]
    (figure,) = [one for one in lost["report"]["checks"] if one["part"] == "evals"]
    assert (figure["candidate"]["value"], figure["baseline"]["value"], figure["outcome"]) == (0.0, 1.0, "worse")
    assert (figure["against"], figure["difference"]["n"]) == (f"desk@{serving}", 20)
    kept = await gate(client, equal, **pair(runs[equal], runs[serving]))
    (figure,) = [one for one in kept["report"]["checks"] if one["part"] == "evals"]
    assert (figure["passed"], f"evals.{first}" in kept["report"]["failed"]) == (True, False)
    shown = {one["release"]: one["gate"] for one in (await client.ok("GET", f"{ASSISTANT}/releases"))["data"]}
    assert shown[equal]["evals"] == [first]

    for run, baseline, words in (
        (runs[serving], runs[plain], f"asked desk@{serving}"),
        (runs[plain], runs[equal], f"asked desk@{equal}"),
        (runs[plain], other, "of one eval"),
    ):
        answer = await client.http.post(f"{ASSISTANT}/releases/{plain}/gate", json=pair(run, baseline))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unfit_eval_run"), answer.text
        assert words in answer.json()["error"]["message"]
    missing = await client.http.post(f"{ASSISTANT}/releases/{plain}/gate", json=pair("evalrun_none", other))
    assert (missing.status_code, missing.json()["error"]["param"]) == (404, "eval_runs")


async def test_a_prompt_that_takes_refusals_away_is_blocked(client: Client) -> None:
    await client.http.post("/api/prompts", json={"name": "house", "template": OWN_PROMPT})
    answer = await client.http.post(f"{ASSISTANT}/releases", json={"prompt": "house"})
    done = await gate(client, answer.json()["release"], file_id=await upload(client.http, held_out_rows()))
    assert done["report"]["failed"] == ["general.prompt"]


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
    (told,) = forced["forced"]
    assert (told["releases"], told["reason"][:23]) == ([number], "The style guide changed")
    key = (await client.ok("GET", "/api/keys"))["data"][0]["id"]
    assert told["key"] == key
    assert (await client.ok("GET", f"{ASSISTANT}/rollout"))["forced"] == forced["forced"]

    # Its share may stay or fall, and may not grow again; who never had a gate may be promoted.
    body = {"stages": [{"release": number, "weight": 50}, {"release": plain, "weight": 50}], "revision": 1}
    half = await client.ok("PUT", f"{ASSISTANT}/rollout", json=body)
    assert (half["gates"], half["forced"]) == ({str(number): "failed", str(plain): "none"}, [told])  # it serves still
    assert (await put(client, number, 2))["error"]["code"] == "gate_failed"
    again = await put(client, number, 2, force=True, reason="All of it.")
    assert [one["reason"] for one in again["forced"]] == [told["reason"], "All of it."]
    assert (await put(client, plain, 3))["forced"] == []
    revisions = (await client.ok("GET", f"{ASSISTANT}/rollout/revisions"))["data"]
    assert [(one["revision"], one["previous"], len(one["forced"])) for one in revisions] == [
        (1, None, 1),
        (2, 1, 1),
        (3, 2, 2),
        (4, 3, 0),
    ]
    # A roll back isn't held up, and says again that it was forced.
    back = await client.ok("POST", f"{ASSISTANT}/rollback", json={"revision": 4})
    assert (back["stages"][0]["release"], back["forced"]) == (number, again["forced"])


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
    report = (await gate(client, number, file_id=file, rows=10))["report"]
    assert (report["learnt"], report["rows"]) == (list(range(1, 13)), 10), "the sample is of what is left"

    await client.ok("DELETE", f"/v1/files/{first['training_file']}")
    report = (await gate(client, number, file_id=file))["report"]
    assert (report["learnt"], report["unknown"], report["rows"]) == ([], [model], 24)
    assert f"What {model} learnt isn't known here" in render_page(msgspec.convert(report, GateReport))


async def test_more_prompts_are_asked_only_while_fewer_do_not_decide(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_base_suite()
    suite = replace(whole, prompt=whole.prompt[:392])
    monkeypatch.setattr("gateway.gates.gate_job.load_base_suite", lambda: suite)
    file = await upload(client.http, held_out_rows(passages=False))
    models = await train(client, ("slips", "forgets"))
    numbers = {kind: await release(client, model, None) for kind, model in models.items()}
    done = {kind: await gate(client, one, file_id=file, general_prompts=392) for kind, one in numbers.items()}
    reports = {kind: one["report"] for kind, one in done.items()}
    asked = {kind: (one["general_prompts"], one["most_general_prompts"]) for kind, one in reports.items()}
    assert asked == {"slips": (392, 392), "forgets": (196, 392)}
    assert reports["slips"]["suite"] == identify_prompts(suite.prompt) != reports["forgets"]["suite"]
    general = {
        kind: next(check for check in one["checks"] if check["name"] == "general") for kind, one in reports.items()
    }
    assert {kind: (one["difference"]["n"], one["outcome"]) for kind, one in general.items()} == {
        "slips": (392, "holds"),
        "forgets": (196, "worse"),
    }
    assert general["slips"]["note"] == "Its interval is of 96 %: the answers are looked at more than once."
    assert general["forgets"]["note"].startswith("Its interval is of 99 %")
    assert (done["slips"]["passed"], done["slips"]["done"]) == (True, done["slips"]["total"])

    shown = {one["release"]: one["gate"] for one in (await client.ok("GET", f"{ASSISTANT}/releases"))["data"]}
    assert {kind: shown[one]["general_prompts"] for kind, one in numbers.items()} == {"slips": 392, "forgets": 392}
    fewer = await begin(client, numbers["forgets"], file_id=file)
    assert "With at most 196 prompts of the base suite it can block and lifts no block" in fewer["note"]


async def test_prompts_of_the_suite_are_composed_a_few_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt is counted by the engine, which serves clients beside the gate."""
    number = await release(client, None, None)
    file = await upload(client.http, held_out_rows(passages=False))
    at_once: list[int] = []
    running = 0
    ask = Measurer._ask_suite  # pyright: ignore[reportPrivateUsage]

    async def count(measurer: Measurer, prompt: SuitePrompt) -> SuiteMeasurement:
        nonlocal running
        running += 1
        at_once.append(running)
        try:
            return await ask(measurer, prompt)
        finally:
            running -= 1

    monkeypatch.setattr(Measurer, "_ask_suite", count)
    await gate(client, number, file_id=file)
    assert len(at_once) == len(SUITE.prompt)
    assert max(at_once) <= 8


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
        assert len(engine.requests()) - asked < 24 + len(SUITE.prompt) - 20
    assert (await client.ok("GET", f"{ASSISTANT}/releases/{number}/gate"))["report"]["rows"] == 24


async def test_a_run_that_goes_on_in_a_later_round_counts_on_from_there(
    client: Client, gateway: Gateway, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_base_suite()
    monkeypatch.setattr("gateway.gates.gate_job.load_base_suite", lambda: replace(whole, prompt=whole.prompt[:392]))
    number = await release(client, (await train(client, ("slips",)))["slips"], None)
    await begin(client, number, file_id=await upload(client.http, held_out_rows(passages=False)), general_prompts=392)
    url, state = f"{ASSISTANT}/releases/{number}/gate", gateway.state
    async with open_handlers(state.settings, state.database) as handlers:
        claim = await claim_next(state.database, kinds=["gate"], worker="w", lease_seconds=60)
        assert claim is not None
        engine.rule = _fail_after(engine, len(engine.requests()) + 24 * 5 + 196 * 2 + 200)
        with pytest.raises(Exception, match=r"model server"):
            await handlers["gate"].run(claim)
        engine.rule = None
        before = await client.ok("GET", url)
        assert 24 * 2 + 196 * 2 < before["done"] < before["total"]
        with monkeypatch.context() as patch:
            patch.setattr("gateway.gates.measure.Measurer.measure", _die)
            with pytest.raises(RuntimeError, match="killed"):
                await handlers["gate"].run(claim)
        assert [(await client.ok("GET", url))[name] for name in ("done", "total")] == [before["done"], before["total"]]
        await handlers["gate"].run(claim)
    done = await client.ok("GET", url)
    assert (done["report"]["general_prompts"], done["done"], done["total"]) == (392, before["total"], before["total"])


async def _die(*_: object) -> None:
    raise RuntimeError("killed")


async def test_a_run_that_goes_on_asks_of_the_documents_as_they_were(
    client: Client, gateway: Gateway, engine: FakeVllm
) -> None:
    store = await client.store()
    for item in range(12):
        await client.put(store, f"{item}.md", f"How long the warranty of item {item} is {20 + item} months.")
    await client.settle()
    number = await release(client, None, store)
    file = await upload(client.http, b"\n".join(held_out_rows(passages=False).splitlines()[:12]))
    await begin(client, number, file_id=file)
    state = gateway.state
    async with open_handlers(state.settings, state.database) as handlers:
        claim = await claim_next(state.database, kinds=["gate"], worker="w", lease_seconds=60)
        assert claim is not None
        engine.rule = _fail_after(engine, 5)
        with pytest.raises(Exception, match=r"model server"):
            await handlers["gate"].run(claim)
        engine.rule = None
        async with state.database.read() as session:
            before = (await session.get_one(StoreRow, store)).index_epoch
        await client.put(store, "3.md", "How long the warranty of item 3 is 99 months.")
        change = await claim_next(state.database, kinds=["ingest"], worker="w", lease_seconds=60)
        assert change is not None
        await handlers["ingest"].run(change)
        assert "99 months" in str(await client.search(store, "How long is the warranty of item 3?"))
        await handlers["gate"].run(claim)
    report = (await client.ok("GET", f"{ASSISTANT}/releases/{number}/gate"))["report"]
    assert report["index_epochs"] == {store: [before]}
    assert "99 months" not in report["examples"][3]["answers"]["candidate"]


def _fail_after(engine: FakeVllm, most: int) -> Rule:
    def fail(received: Received) -> faults.Fault | None:
        return faults.status(503, "down") if received.path == CHAT and len(engine.requests()) > most else None

    return fail


def _dump(row: dict[str, Any]) -> str:
    return msgspec.json.encode(row).decode()
