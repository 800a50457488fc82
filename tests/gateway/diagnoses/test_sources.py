"""Where failures come from, and what is refused."""

from typing import Any

import msgspec
import pytest

from gateway.answers.log import AnswerLog
from gateway.composition import open_handlers
from gateway.jobs.claim import claim_next
from retrieval.messages import FULL_MATCH, MatchFeatures
from tests.fakes import faults
from tests.fakes._http import Received
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import CHAT, Chat, FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.diagnoses.test_diagnoses import DIAGNOSES, read_report, release, write_prompt
from tests.gateway.tuning import settings, upload
from tests.gateway.vector_stores.conftest import Client, index

__all__ = ["index", "settings"]

MONTHS = {"kettle": 24, "toaster": 36, "grinder": 48, "lantern": 60, "heater": 72, "fan": 84, "iron": 96}


def reply(chat: Chat) -> str:
    """Read the passages, unless the prompt forbids it."""
    name = next((name for name in MONTHS if chat.last.rstrip("?").endswith(name)), "")
    if "state no months" in chat.prompt or f"{name} is {MONTHS.get(name)} months" not in chat.prompt:
        return "Please look at our website."
    return f"It is {MONTHS[name]} months [1]."


@pytest.fixture
async def client(gateway: Gateway, index: FakeRetriever, engine: FakeVllm) -> Client:
    engine.max_model_len, engine.reply = 16_384, reply
    client = Client(gateway, await gateway.tenant("kestrel"))
    await client.http.post("/api/assistants", json={"name": "desk"})
    return client


async def fill(client: Client) -> str:
    store = await client.store()
    for name, months in MONTHS.items():
        await client.put(store, f"{name}.md", f"The warranty of the {name} is {months} months.")
    await client.settle()
    return store


def ask(name: str) -> str:
    return f"How long is the warranty of the {name}?"


def case(name: str, **more: Any) -> dict[str, Any]:
    return {"question": ask(name), "expected": [f"{MONTHS[name]} months"], **more}


async def put_rollout(client: Client, number: int) -> None:
    stages = {"stages": [{"release": number, "weight": 100}], "revision": 0}
    await client.ok("PUT", "/api/assistants/desk/rollout", json=stages)


async def diagnose(client: Client, **body: Any) -> dict[str, Any]:
    """Run a diagnosis; return its report."""
    id = (await client.ok("POST", DIAGNOSES, json=body))["id"]
    await client.settle()
    return await read_report(client, id)


async def test_a_run_of_an_eval_gives_its_failed_items_and_those_that_passed(client: Client) -> None:
    store = await fill(client)
    prompt = await write_prompt(client, "Of the kettle, the toaster and the fan, state no months.")
    number = await release(client, "desk", prompt=prompt, retrieval={"vector_stores": [store]})
    await put_rollout(client, number)
    check = {"type": "string_check", "name": "months", "input": "{{ sample.output_text }}", "operation": "like"}
    config = {"type": "custom", "item_schema": {"type": "object"}, "include_sample_schema": True}
    criteria = [{**check, "reference": "{{ item.months }} months"}]
    made = await client.http.post("/v1/evals", json={"data_source_config": config, "testing_criteria": criteria})
    source = {"type": "file_content", "content": [{"item": {"name": n, "months": m}} for n, m in MONTHS.items()]}
    template = [{"role": "user", "content": "How long is the warranty of the {{ item.name }}?"}]
    data = {"type": "completions", "model": "desk", "source": source}
    data["input_messages"] = {"type": "template", "template": template}
    started = await client.http.post(f"/v1/evals/{made.json()['id']}/runs", json={"data_source": data})
    run = {"eval_id": made.json()["id"], "run_id": started.json()["id"]}
    assert (await client.fault(409, "POST", DIAGNOSES, json={"run": run}))["code"] == "run_not_ended"
    await client.settle()
    report = await diagnose(client, run=run)
    assert report["sources"] == [run["run_id"]]
    assert (report["release"], report["failures"]) == ("desk@1", len(MONTHS))
    assert report["strands"] == {"prompt": len(MONTHS)}  # the fake reads no names in its prompt
    first = next(one for one in report["cases"] if one["question"] == ask("kettle"))
    assert (first["expected"], first["reason"]) == (["24 months"], "months")
    assert first["outcomes"]["default_prompt"] == [3, 3]
    (proposal,) = report["proposals"]
    assert (proposal["failures"]["mended"], proposal["proposed"]) == (len(MONTHS), False)
    assert "answers that passed" in proposal["note"]  # there is none to show that it breaks nothing


async def test_a_gate_gives_the_rows_that_lack_the_values_of_their_replies(client: Client) -> None:
    number = await release(client, "desk", prompt=await write_prompt(client, "State no months: state no months."))
    replies = [(f"How long is the warranty of item {n}?", f"It is {20 + n} months.") for n in range(12)]
    rows = [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in replies]
    file = await upload(client.http, b"\n".join(msgspec.json.encode(row) for row in rows))
    source = {"assistant": "desk", "release": number}
    await client.http.post(f"/api/assistants/desk/releases/{number}/gate", json={"file_id": file})
    assert (await client.fault(409, "POST", DIAGNOSES, json={"gate": source}))["code"] == "no_report"
    await client.settle()
    report = await diagnose(client, gate=source, samples=4)
    assert (report["failures"], report["passes"], report["samples"]) == (12, 0, 4)
    assert report["cases"][0]["expected"] == ["20 months"]
    assert report["strands"] == {"base": 12}  # given the reference, this fake says nothing either


async def test_an_answers_record_tells_release_and_filters(client: Client) -> None:
    store = await fill(client)
    number = await release(client, "desk", retrieval={"vector_stores": [store]})
    await put_rollout(client, number)
    filters = {"type": "eq", "key": "shop", "value": "north"}
    asked = {"model": "desk", "messages": [{"role": "user", "content": ask("fan")}], "braid": {"filters": filters}}
    answer = await client.ok("POST", CHAT, json=asked)
    text = answer["choices"][0]["message"]["content"]
    failures = [case("fan", answer=text, answer_id=answer["id"])]
    id = (await client.ok("POST", DIAGNOSES, json={"failures": failures}))["id"]
    await client.settle()
    report = await read_report(client, id)
    (one,) = report["cases"]
    assert (one["strand"], one["cause"], one["answered_by"]) == ("retrieval", "filters", f"desk@{number}")
    assert one["passages"][0]["document_key"] == "fan.md"
    assert report["proposals"] == []  # the request's own filters are no setting of the release
    unknown = {"failures": [case("fan", answer_id="chatcmpl-no")]}
    assert (await client.fault(404, "POST", DIAGNOSES, json=unknown))["param"] == "failures[0].answer_id"
    await client.ok("DELETE", f"/api/vector_stores/{store}/documents/fan.md")
    ((passage,),) = (case["passages"] for case in (await read_report(client, id))["cases"])
    assert (passage["document_key"], passage["deleted"]) == ("fan.md", True)
    assert passage["text"] == passage["heading"] == ""
    assert one["passages"][0]["text"] not in (await client.http.get(f"{DIAGNOSES}/{id}/page")).text


async def test_abstention_is_told_and_a_lower_limit_proposed(client: Client, index: FakeRetriever) -> None:
    store = await fill(client)
    weak = MatchFeatures(*[0.45] * 9)
    index.match = lambda score: weak if score < 1 else FULL_MATCH
    number = await release(client, "desk", retrieval={"vector_stores": [store], "least_probability": 0.999})
    report = await diagnose(client, model=f"desk@{number}", failures=[case(name) for name in MONTHS])
    assert report["strands"] == {"retrieval": len(MONTHS)}
    assert {one["cause"] for one in report["cases"]} == {"abstention"}
    (proposal,) = report["proposals"]
    assert "least_probability" in proposal["change"]
    assert proposal["failures"]["mended"] == len(MONTHS)


async def test_small_talk_and_what_is_right_by_now(client: Client) -> None:
    store = await fill(client)
    number = await release(client, "desk", retrieval={"vector_stores": [store]})
    bare = {"question": ask("fan"), "reason": "I didn't like it."}
    report = await diagnose(client, model=f"desk@{number}", failures=[case("kettle"), bare])
    causes = {one["question"]: one["cause"] for one in report["cases"]}
    assert causes == {ask("kettle"): "not_reproduced", ask("fan"): "nothing_to_judge_by"}
    assert report["strands"] == {"unknown": 2}


async def test_votes_against_answers_are_failures(client: Client) -> None:
    store = await fill(client)
    filters = {"type": "eq", "key": "shelf", "value": "b"}
    number = await release(client, "desk", retrieval={"vector_stores": [store]})
    await put_rollout(client, number)
    none = await client.fault(400, "POST", DIAGNOSES, json={"model": "desk", "votes": 5})
    assert none["code"] == "no_failures"
    for name, voter, correction in (("fan", "ann", None), ("fan", "ben", "It is 84 months."), ("iron", "ann", None)):
        messages = [{"role": "user", "content": ask(name)}]
        answer = await client.ok(
            "POST", CHAT, json={"model": "desk", "messages": messages, "braid": {"filters": filters}}
        )
        vote = {"answer_id": answer["id"], "voter": voter, "rating": "down", "corrected_reply": correction}
        sent = {} if name == "iron" else {"messages": messages, "reply": answer["choices"][0]["message"]["content"]}
        assert (await client.http.post("/api/feedback", json=vote | sent)).status_code in (200, 201)
    report = await diagnose(client, model="desk", votes=10)
    assert report["sources"] == ["votes"]
    by_cause = sorted((one["strand"], one["cause"], one["answered_by"]) for one in report["cases"])
    # Without a correction nobody knows what would be right; without its messages a vote isn't asked again.
    assert by_cause == [
        ("retrieval", "filters", f"desk@{number}"),
        ("unknown", "nothing_to_judge_by", f"desk@{number}"),
    ]


async def test_what_cannot_be_diagnosed_is_refused(client: Client, gateway: Gateway) -> None:
    failures = {"failures": [case("fan")]}
    assert (await client.fault(409, "POST", DIAGNOSES, json={"model": "desk", **failures}))["code"] == "no_rollout"
    for model in ("base", "desk@1", "nobody"):
        fault = await client.fault(404, "POST", DIAGNOSES, json={"model": model, **failures})
        assert fault["code"] == "model_not_found", model
    for body in (failures, {"votes": 5}):
        nobodys = await client.fault(400, "POST", DIAGNOSES, json=body)
        assert (nobodys["param"], nobodys["message"].startswith("Neither 'model' nor")) == ("model", True)
    lost = {"failures": [case("fan"), case("fan") | {"answer_id": "nope"}]}
    assert (await client.fault(404, "POST", DIAGNOSES, json=lost))["param"] == "failures[1].answer_id"
    number = await release(client, "desk")
    both = {"question": "x", "messages": [{"role": "user", "content": "x"}]}
    reply = {"messages": [{"role": "assistant", "content": "x"}]}
    for body in ({}, {"failures": [both]}, {"failures": [reply]}, {**failures, "samples": 1}):
        assert (await client.http.post(DIAGNOSES, json={"model": f"desk@{number}", **body})).status_code == 400
    made = await client.ok("POST", DIAGNOSES, json={"model": f"desk@{number}", **failures})
    assert (await client.fault(409, "GET", f"{DIAGNOSES}/{made['id']}/page"))["code"] == "no_report"
    assert (await client.ok("POST", f"{DIAGNOSES}/{made['id']}/cancel"))["status"] == "cancelled"
    assert (await client.fault(400, "POST", f"{DIAGNOSES}/{made['id']}/cancel"))["code"] == "job_ended"
    other = Client(gateway, await gateway.tenant("harbor"))
    await other.fault(404, "GET", f"{DIAGNOSES}/{made['id']}")
    assert (await client.ok("DELETE", f"{DIAGNOSES}/{made['id']}"))["deleted"]
    await client.fault(404, "GET", f"{DIAGNOSES}/{made['id']}")


async def test_a_run_that_was_killed_asks_only_what_it_had_not_noted(
    client: Client, gateway: Gateway, engine: FakeVllm
) -> None:
    prompt = await write_prompt(client, "Please state no months.")
    number = await release(client, "desk", prompt=prompt, retrieval={"vector_stores": [await fill(client)]})
    body = {"model": f"desk@{number}", "failures": [case(name) for name in MONTHS], "propose": False}
    id = (await client.ok("POST", DIAGNOSES, json=body))["id"]
    state = gateway.state
    async with open_handlers(state.settings, state.database) as handlers:
        claim = await claim_next(state.database, kinds=["diagnose"], worker="w", lease_seconds=60)
        assert claim is not None
        before = _count(engine)

        def fail(received: Received) -> faults.Fault | None:
            late = received.path == CHAT and _count(engine) > before + 20
            return faults.status(503, "down") if late else None

        engine.rule = fail
        with pytest.raises(Exception, match=r"model server"):
            await handlers["diagnose"].run(claim)
        engine.rule, again = None, _count(engine)
        await handlers["diagnose"].run(claim)
        assert _count(engine) - again <= 9 * len(MONTHS) - 18  # as it is, one passage, another prompt: three each
    report = await read_report(client, id)
    assert (report["strands"], report["proposals"]) == ({"prompt": len(MONTHS)}, [])


def _count(engine: FakeVllm) -> int:
    return len([one for one in engine.received if one.path == CHAT])


async def test_answers_whose_records_are_not_written_are_a_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def flush(_log: AnswerLog) -> bool:
        return False

    monkeypatch.setattr(AnswerLog, "flush", flush)
    body = {"model": "desk@1", "failures": [{"answer_id": "answer-1"}]}
    assert (await client.fault(503, "POST", DIAGNOSES, json=body))["code"] == "database_unavailable"


async def test_what_is_missing_is_said_in_our_words_alone(client: Client) -> None:
    fault = await client.fault(400, "POST", DIAGNOSES, json={"model": "desk"})
    assert fault["message"] == "give failures, a run, a gate, or votes."
