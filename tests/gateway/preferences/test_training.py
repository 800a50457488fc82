"""The way from votes to an adapter: pairs, a file, a job; and rows that are rendered as they were served."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete

from gateway.answers.record import AnswerRecord
from gateway.answers.service import AnswerService
from gateway.answers.tables import AnswerRow
from gateway.comparisons import service as comparisons
from gateway.fine_tuning.rows import render_preferences
from gateway.preferences import service as preferences
from gateway.settings import Settings
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.tuning import ended, events
from tests.gateway.voting import COMPARISONS, FEEDBACK, WARM, Voting, reply
from tests.gateway.worker import working

QUESTIONS = [f"order {number}?" for number in range(20)]


async def read_rows(voting: Voting, file: str) -> list[dict[str, Any]]:
    content = (await voting.http.get(f"/v1/files/{file}/content")).content
    return [json.loads(line) for line in content.splitlines()]


def conversations(rows: list[dict[str, Any]]) -> set[str]:
    return {row["input"]["messages"][0]["content"] for row in rows}


@on_both_databases
async def test_votes_become_a_file_that_shares_no_conversation_with_what_is_held_out(voting: Voting) -> None:
    id = await voting.compare(*QUESTIONS)
    await voting.vote_by_rule(id, "ann", "bob")
    items = await voting.items(id)
    await voting.vote(items[0], "tie", "ann")
    for place, voter in (("left", "ann"), ("right", "bob")):
        await voting.vote(items[1], place, voter)
    await voting.vote(items[2], "left", "ann", corrected_reply="It sails today. Fair winds.")
    await voting.vote(items[2], "left", "bob")
    dataset = await voting.ok("POST", f"{COMPARISONS}/{id}/dataset", json={"held_out": 0.2})
    assert (dataset["training"], dataset["held_out"]) == (15, 4)
    assert (dataset["voted"], dataset["corrected"]) == (18, 1)
    assert dataset["left_out"] == {"tie": 2}
    assert (dataset["model"], dataset["prompt"]) == ("base", "warm@1")
    training = await read_rows(voting, dataset["training_file"])
    held_out = await read_rows(voting, dataset["validation_file"])
    assert not conversations(training) & conversations(held_out)
    assert len(training) + len(held_out) == 19
    rows = [row for row in training + held_out if row["input"]["messages"][0]["content"] != "order 2?"]
    for row in rows:
        assert row["preferred_output"][0]["content"].endswith("Fair winds.")
        assert row["non_preferred_output"][0]["content"].endswith("Goodbye.")
        assert "braid" not in row
    file = await voting.ok("GET", f"/v1/files/{dataset['training_file']}")
    assert (file["purpose"], file["filename"]) == ("fine-tune", f"comparison-{id[-12:]}.jsonl")
    strict = await voting.fault(400, "POST", f"{COMPARISONS}/{id}/dataset", json={"min_votes": 3})
    assert strict["code"] == "too_few_pairs"
    assert "20 too_few_votes" in strict["message"]
    none = await voting.ok("POST", f"{COMPARISONS}/{id}/dataset", json={"held_out": 0, "corrections": False})
    assert (none["validation_file"], none["training"], none["corrected"]) == (None, 18, 0)


async def test_texts_are_never_worked_on_in_the_event_loop(voting: Voting, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be 64 MB, and other requests would wait."""
    called: list[str] = []

    def watch(module: Any, name: str) -> None:
        function = getattr(module, name)

        def call(*args: Any, **more: Any) -> Any:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            called.append(name)
            return function(*args, **more)

        monkeypatch.setattr(module, name, call)

    for name in ("to_prompts", "choose_rows", "encode_prompts", "summarise"):
        watch(comparisons, name)
    for name in ("encode_pairs", "list_comparison_contests", "list_feedback_contests"):
        watch(preferences, name)
    id = await voting.compare(*QUESTIONS)
    await voting.vote_by_rule(id, "ann", "bob")
    await voting.ok("GET", f"{COMPARISONS}/{id}/summary")
    await voting.ok("POST", f"{COMPARISONS}/{id}/dataset", json={"held_out": 0})
    await voting.fault(400, "POST", f"{FEEDBACK}/dataset", json={})
    assert len({*called}) == 7


async def test_one_call_trains_on_votes_and_on_from_the_releases_adapter(voting: Voting, settings: Settings) -> None:
    id = await voting.compare(*QUESTIONS)
    await voting.vote_by_rule(id, "ann", "bob")
    body = {"held_out": 0.2, "suffix": "warm", "hyperparameters": {"beta": 0.2, "n_epochs": 2}, "metadata": {"a": "b"}}
    made = await voting.ok("POST", f"{COMPARISONS}/{id}/fine_tune", json=body)
    job = made["job"]
    assert job["method"]["dpo"]["hyperparameters"]["beta"] == 0.2
    assert (job["training_file"], job["validation_file"]) == (
        made["dataset"]["training_file"],
        made["dataset"]["validation_file"],
    )
    assert (job["model"], job["suffix"], job["metadata"]) == ("base", "warm", {"a": "b"})
    assert job["braid"]["prompt"] == "warm@1"
    async with working(settings):
        done = await ended(voting.http, job["id"])
    assert done["status"] == "succeeded", done
    leaks = [one for one in await events(voting.http, job["id"]) if one["data"].get("check") == "leakage"]
    assert leaks == []
    release = {"prompt": "warm@1", "adapter": done["fine_tuned_model"]}
    assert (await voting.ok("POST", "/api/assistants/desk/releases", json=release))["release"] == 3
    id = await voting.compare(*QUESTIONS, models=["desk@1", "desk@3"])
    await voting.vote_by_rule(id, "ann", "bob")
    again = await voting.ok("POST", f"{COMPARISONS}/{id}/fine_tune", json={"held_out": 0})
    assert again["job"]["model"] == again["dataset"]["model"] == done["fine_tuned_model"]
    base = await voting.ok("POST", f"{COMPARISONS}/{id}/fine_tune", json={"held_out": 0, "model": "base"})
    assert base["job"]["model"] == "base"


async def test_a_job_that_cannot_be_made_leaves_no_files(voting: Voting) -> None:
    id = await voting.compare(*QUESTIONS)
    await voting.vote_by_rule(id, "ann", "bob")
    before = (await voting.ok("GET", "/v1/files"))["data"]
    error = await voting.fault(400, "POST", f"{COMPARISONS}/{id}/fine_tune", json={"model": "ft:base:x:y:1"})
    assert error["code"] == "model_not_found"
    assert (await voting.ok("GET", "/v1/files"))["data"] == before


async def make_grounded(voting: Voting, gateway: Gateway, passages: FakePassages, *, keeps: bool = True) -> None:
    """Make a third and a fourth release, with the prompts of the others, that search documents."""
    store = (await voting.ok("POST", "/v1/vector_stores", json={"name": "docs"}))["id"]
    passages.find = lambda query: [
        make_passage(store, number, f"Of {query.text}: it sails on day {number}.") for number in (1, 2)
    ]
    if keeps:  # the documents are in the fake only, as if they were deleted
        await gateway.admin.patch("/api/tenants/kestrel", json={"keeps_cited_text": True})
    for name in ("plain", "warm"):
        body = {"prompt": f"{name}@1", "retrieval": {"vector_stores": [store]}}
        await voting.ok("POST", "/api/assistants/desk/releases", json=body)


async def test_rows_are_rendered_as_they_were_served_passages_and_all(
    voting: Voting, gateway: Gateway, passages: FakePassages, engine: FakeVllm
) -> None:
    await make_grounded(voting, gateway, passages)
    id = await voting.compare(*QUESTIONS, models=["desk@3", "desk@4"])
    await voting.vote_by_rule(id, "ann", "bob")
    dataset = await voting.ok("POST", f"{COMPARISONS}/{id}/dataset", json={"held_out": 0})
    assert (dataset["training"], dataset["left_out"]) == (20, {})
    content = (await voting.http.get(f"/v1/files/{dataset['training_file']}/content")).content
    rendered = [json.loads(line) for line in render_preferences(content, WARM).content.splitlines()]
    served = [json.loads(one.body)["messages"] for one in engine.requests(CHAT)]
    assert all(row["input"]["messages"] in served for row in rendered)
    assert "it sails on day 2." in msgspec.json.encode(rendered[0]["input"]).decode()
    plain = await voting.ok("POST", f"{COMPARISONS}/{id}/dataset", json={"held_out": 0, "side": "a"})
    assert (plain["prompt"], plain["training"]) == ("plain@1", 20)


async def test_pairs_that_cannot_be_learnt_as_served_are_left_out_and_counted(
    voting: Voting, gateway: Gateway, passages: FakePassages
) -> None:
    await make_grounded(voting, gateway, passages, keeps=False)
    id = await voting.compare(*QUESTIONS[:2], models=["desk@3", "desk@4"])
    await voting.vote_by_rule(id, "ann", "bob")
    gone = await voting.fault(400, "POST", f"{COMPARISONS}/{id}/dataset", json={})
    assert "2 deleted_document" in gone["message"]
    await gateway.admin.patch("/api/tenants/kestrel", json={"keeps_cited_text": True})
    id = await voting.compare(*QUESTIONS[:2], models=["desk@1", "desk@4"])
    await voting.vote_by_rule(id, "ann", "bob")
    other = await voting.fault(400, "POST", f"{COMPARISONS}/{id}/dataset", json={})
    assert "2 different_passages" in other["message"]
    async with gateway.state.database.begin() as session:
        await session.execute(delete(AnswerRow))
    lost = await voting.fault(400, "POST", f"{COMPARISONS}/{id}/dataset", json={})
    assert "2 no_record" in lost["message"]


async def test_a_prompt_that_was_shortened_to_fit_is_no_row(voting: Voting, engine: FakeVllm) -> None:
    """The served prompt is known by its digest, whatever made it differ from the row's."""
    long = [{"role": "user", "content": "word " * 700}, {"role": "assistant", "content": "So."}] * 6
    prompt = {"messages": [*long, {"role": "user", "content": "order 1?"}]}
    id = await voting.compare(prompts=[prompt])
    await voting.vote_by_rule(id, "ann", "bob")
    error = await voting.fault(400, "POST", f"{COMPARISONS}/{id}/dataset", json={})
    assert "1 different_prompt" in error["message"]


async def test_answers_that_were_cut_off_and_prompts_without_answers_are_no_rows(
    voting: Voting, engine: FakeVllm
) -> None:
    engine.reply = lambda chat: " " if "1?" in chat.last else reply(chat)
    id = await voting.compare(*QUESTIONS[:2], sampling={"max_completion_tokens": 1})
    error = await voting.fault(400, "POST", f"{COMPARISONS}/{id}/dataset", json={})
    assert "1 cut_off, 1 not_answered" in error["message"]


async def test_feedback_becomes_rows_of_an_assistants_release(
    voting: Voting, gateway: Gateway, passages: FakePassages, engine: FakeVllm
) -> None:
    await make_grounded(voting, gateway, passages)
    for number in range(12):
        worse, better = [await voting.ask(f"order {number}?", model) for model in ("desk@3", "desk@4")]
        for voter in ("ann", "bob"):
            preferred = {"preferred_over": worse["answer_id"], "other_reply": worse["reply"]}
            await voting.say(better, **preferred, voter=voter)
    corrected = await voting.ask("order 99?", "desk@4")
    await voting.say(corrected, rating="down", corrected_reply="It sails today. Fair winds.")
    unlike = await voting.ask("order 98?", "base")
    await voting.say(unlike, corrected_reply="It sails today. Fair winds.")
    dataset = await voting.ok("POST", f"{FEEDBACK}/dataset", json={"release": "desk@4", "held_out": 0})
    assert (dataset["training"], dataset["voted"], dataset["corrected"]) == (13, 12, 1)
    assert (dataset["prompt"], dataset["left_out"]) == ("warm@1", {})
    assert (dataset["other_prompt"], dataset["voters"], dataset["keys"]) == (12, 3, 1)  # ann, bob, and the key itself
    content = (await voting.http.get(f"/v1/files/{dataset['training_file']}/content")).content
    rendered = [json.loads(line) for line in render_preferences(content, WARM).content.splitlines()]
    served = [json.loads(one.body)["messages"] for one in engine.requests(CHAT)]
    assert all(row["input"]["messages"] in served for row in rendered)
    made = await voting.ok("POST", f"{FEEDBACK}/fine_tune", json={"release": "desk@4", "held_out": 0})
    assert made["job"]["braid"]["prompt"] == "warm@1"
    few = await voting.fault(400, "POST", f"{FEEDBACK}/dataset", json={})
    assert (few["code"], few["message"].startswith("1 pair of replies has")) == ("too_few_pairs", True)
    gone = await voting.fault(404, "POST", f"{FEEDBACK}/dataset", json={"release": "desk@9"})
    assert gone["param"] == "release"


async def test_a_vote_whose_messages_were_not_asked_is_left_out_and_counted(voting: Voting) -> None:
    for number in range(12):
        answer = await voting.ask(f"order {number}?")
        messages = [{"role": "user", "content": f"Where is order {number}?"}] if number < 2 else answer["messages"]
        await voting.say({**answer, "messages": messages}, corrected_reply="It sails today.")
    dataset = await voting.ok("POST", f"{FEEDBACK}/dataset", json={"release": "desk@2", "held_out": 0})
    assert (dataset["training"], dataset["left_out"], dataset["other_prompt"]) == (10, {"different_messages": 2}, 0)
    few = await voting.fault(400, "POST", f"{FEEDBACK}/dataset", json={"release": "desk@2", "min_keys": 2})
    assert "12 too_few_keys" in few["message"]


async def test_records_are_read_some_at_a_time(voting: Voting, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(11):
        await voting.say(await voting.ask(f"order {number}?"), corrected_reply="It sails today.")
    counts: list[int] = []
    list_records = AnswerService.list_records

    async def count(self: AnswerService, ids: Collection[str]) -> dict[str, AnswerRecord]:
        counts.append(len(ids))
        return await list_records(self, ids)

    monkeypatch.setattr(AnswerService, "list_records", count)
    monkeypatch.setattr(preferences, "_CONTESTS_AT_ONCE", 4)
    dataset = await voting.ok("POST", f"{FEEDBACK}/dataset", json={"release": "desk@2", "held_out": 0})
    assert (dataset["training"], counts) == (11, [4, 4, 3])


@pytest.mark.parametrize("wrong", [{"min_agreement": 0.5}, {"min_votes": 0}, {"held_out": 0.6}, {"side": "c"}])
async def test_rules_that_say_nothing_are_refused(voting: Voting, wrong: dict[str, Any]) -> None:
    (name,) = wrong
    error = await voting.fault(400, "POST", f"{COMPARISONS}/comparison_1/dataset", json=wrong)
    assert error["param"] == name
