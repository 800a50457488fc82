"""Two models side by side, and votes by those who don't know whose answers they are."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import event

from gateway.comparisons.repository import ComparisonVoteRepository
from gateway.comparisons.sides import is_swapped
from gateway.settings import Settings
from gateway.tenants.repository import find_tenant
from tests.fakes import faults
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.tuning import upload
from tests.gateway.voting import COMPARISONS, Voting, prompts
from tests.gateway.worker import die_at, working
from tests.waiting import until

QUESTIONS = [f"order {number}?" for number in range(12)]


@on_both_databases
async def test_both_models_answer_each_prompt_and_voters_see_two_texts_only(
    voting: Voting, gateway: Gateway, engine: FakeVllm
) -> None:
    rollout = {"stages": [{"release": 1, "weight": 1}, {"release": 2, "weight": 9}], "revision": 0}
    await voting.ok("PUT", "/api/assistants/desk/rollout", json=rollout)
    begun = await voting.begin(*QUESTIONS, models=["desk@1", "desk"], name="warmth", metadata={"a": "b"})
    assert begun["models"] == ["desk@1", "desk@2"]  # the release with the largest share, for all prompts
    assert (begun["status"], begun["total"], begun["source"]) == ("queued", 12, {"type": "prompts"})
    await voting.settle()
    ended = await voting.ok("GET", f"{COMPARISONS}/{begun['id']}")
    assert (ended["status"], ended["answered"], ended["errored"], ended["error"]) == ("succeeded", 12, 0, None)
    items = await voting.items(begun["id"])
    for number, item in enumerate(items):
        texts = [f"About order {number}? Goodbye.", f"About order {number}? Fair winds."]
        left, right = texts[::-1] if is_swapped(7, number) else texts
        assert item["replies"] == {"left": left, "right": right}
        assert item["messages"] == [{"role": "user", "content": f"order {number}?"}]
        assert item["revealed"] is None
        assert not {"desk", "chatcmpl"} & set(json.dumps(item).split('"'))
    assert {item["replies"]["left"][-6:] for item in items} == {"odbye.", "winds."}  # both stand left now and then
    seeds = [json.loads(one.body)["seed"] for one in engine.requests(CHAT)]
    assert len(set(seeds)) == 24

    revealed = (await voting.items(begun["id"], reveal=True))[0]["revealed"]
    by_side = {one["side"]: one for one in revealed.values()}
    assert {side: one["model"] for side, one in by_side.items()} == {"a": "desk@1", "b": "desk@2"}
    record = await voting.ok("GET", f"/api/answers/{by_side['b']['answer_id']}")
    assert record["release"] == "desk@2"
    asking = await gateway.tenant("kestrel", ("chat",))
    path = f"{COMPARISONS}/{begun['id']}/items"
    assert (await asking.get(path)).status_code == 200
    for refused in (f"{path}?reveal=true", f"{path}/{items[0]['id']}?reveal=true", f"{COMPARISONS}/{begun['id']}"):
        answer = await asking.get(refused)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


@on_both_databases
async def test_a_voter_has_one_vote_per_item_and_the_later_one_counts(voting: Voting) -> None:
    id = await voting.compare(*QUESTIONS[:6])
    await voting.vote_by_rule(id, "ann", "bob")
    items = await voting.items(id)
    blind = await voting.vote(items[0], "tie", "ann", reason="Both will do.", corrected_reply="Ahoy!")
    assert (blind["side"], blind["preferred"], blind["voter"]) == (None, "tie", "ann")
    again = await voting.vote(items[0], "tie", "ann", reason="Neither will.")
    assert (again["id"], again["created_at"]) == (blind["id"], blind["created_at"])
    unnamed = await voting.ok("POST", f"{COMPARISONS}/{id}/items/{items[1]['id']}/votes", json={"preferred": "left"})
    (key,) = (await voting.ok("GET", "/api/keys"))["data"]
    assert unnamed["voter"] == key["id"]
    votes = (await voting.ok("GET", f"{COMPARISONS}/{id}/votes"))["data"]
    assert len(votes) == 13
    (first,) = [vote for vote in votes if (vote["item_id"], vote["voter"]) == (items[0]["id"], "ann")]
    assert (first["side"], first["reason"], first["corrected_reply"]) == ("tie", "Neither will.", None)
    assert {vote["side"] for vote in votes if vote["voter"] == "bob"} == {"b"}
    places = {vote["preferred"] for vote in votes if vote["voter"] == "bob"}
    assert places == {"left", "right"}


@on_both_databases
async def test_votes_and_items_are_stored_bytes_and_votes_have_to_find_room(voting: Voting, gateway: Gateway) -> None:
    async def measure() -> int:
        return (await voting.ok("GET", "/api/storage"))["kinds"]["comparisons"]

    long = "order " + "9" * 5_000
    id = await voting.compare(long)
    before = await measure()
    assert before > 4 * len(long)  # the prompt, its item's copy, and two answers that repeat it
    (item,) = await voting.items(id)
    path = f"{COMPARISONS}/{id}/items/{item['id']}/votes"
    await asyncio.gather(*(voting.vote(item, "left", f"v{number}", corrected_reply="x" * 1_000) for number in range(5)))
    grown = await measure() - before
    assert 5_000 < grown < 5_500
    gateway.state.storage.limit = before + grown + 20_000
    await voting.vote(item, "left", "v0", corrected_reply="x" * 20_000)  # in place of the shorter one
    full = await voting.fault(
        413, "POST", path, json={"preferred": "left", "voter": "new", "corrected_reply": "y" * 2_000}
    )
    assert full["code"] == "storage_full"
    assert len((await voting.ok("GET", f"{COMPARISONS}/{id}/votes"))["data"]) == 5
    gateway.state.storage.limit = 1
    for number in range(5):
        await voting.vote(item, "tie", f"v{number}")  # what makes room is never refused
    assert before < await measure() < before + 5 * 100
    await voting.ok("DELETE", f"{COMPARISONS}/{id}")
    assert await measure() == 0


async def test_the_summary_has_win_rate_and_agreement(voting: Voting) -> None:
    id = await voting.compare(*QUESTIONS)
    empty = await voting.ok("GET", f"{COMPARISONS}/{id}/summary")
    assert (empty["items"], empty["voted"], empty["win_rate"], empty["agreement"]) == (12, 0, None, None)
    await voting.vote_by_rule(id, "ann", "bob", "cid")
    items = await voting.items(id)
    other = {"left": "right", "right": "left"}
    await voting.vote(items[0], "tie", "ann")
    for voter in ("ann", "bob"):
        place = "left" if items[1]["replies"]["left"].endswith("Fair winds.") else "right"
        await voting.vote(items[1], other[place], voter)
    summary = await voting.ok("GET", f"{COMPARISONS}/{id}/summary")
    assert [summary[name] for name in ("voted", "votes", "voters", "wins_a", "wins_b", "ties")] == [12, 36, 3, 1, 11, 0]
    win_rate, score = summary["win_rate"], summary["score"]
    assert (win_rate["value"], win_rate["n"], win_rate["interval"]) == (pytest.approx(1 / 12), 12, "wilson")
    assert win_rate["high"] < 0.5  # side b wins beyond noise
    assert (score["value"], score["interval"]) == (pytest.approx((1 / 6 + 2 / 3) / 12), "bootstrap")
    assert summary["left_share"]["low"] < 0.5 < summary["left_share"]["high"]
    assert summary["agreement"]["items"] == 12
    assert summary["agreement"]["pairwise"] == pytest.approx(1 - 4 / 36)


async def test_prompts_come_from_rows_and_from_runs_of_evals(voting: Voting) -> None:
    chats = [
        {"messages": [{"role": "system", "content": "Be brief."}, *one["messages"],
                      {"role": "assistant", "content": "So."}]}
        for one in prompts("one?", "two?", "two?", "three?")
    ]  # fmt: skip
    file = await upload(voting.http, "\n".join(map(json.dumps, chats)).encode())
    begun = await voting.begin(file_id=file, rows=2)
    assert (begun["total"], begun["source"]) == (2, {"type": "file_id", "id": file})
    await voting.settle()
    asked = [item["messages"] for item in await voting.items(begun["id"])]
    assert asked == [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": one}]
                     for one in ("one?", "two?")]  # fmt: skip

    config = {"type": "custom", "item_schema": {"type": "object"}}
    criterion = {"type": "string_check", "name": "a", "operation": "eq", "input": "a", "reference": "a"}
    eval_id = (
        await voting.ok("POST", "/v1/evals", json={"data_source_config": config, "testing_criteria": [criterion]})
    )["id"]
    source: dict[str, Any] = {"type": "completions", "model": "desk@1"}
    source["source"] = {"type": "file_content", "content": [{"item": {"q": one}} for one in ("four?", "five?")]}
    source["input_messages"] = {"type": "template", "template": [{"role": "user", "content": "{{ item.q }}"}]}
    run = await voting.ok("POST", f"/v1/evals/{eval_id}/runs", json={"data_source": source})
    early = await voting.fault(400, "POST", COMPARISONS, json={"models": ["base"] * 2, "eval_run_id": run["id"]})
    assert early["code"] == "no_prompts"
    await voting.settle()
    id = await voting.compare(eval_run_id=run["id"])
    assert [item["messages"][-1]["content"] for item in await voting.items(id)] == ["four?", "five?"]


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"models": ["base", "desk@9"]}, 404, "models[1]", "model_not_found"),
        ({"models": ["ft:base:x:y:1", "base"]}, 404, "models[0]", "model_not_found"),
        ({"models": ["desk", "base"]}, 409, "models[0]", "no_rollout"),
        ({"models": ["base"]}, 400, "models", None),
        ({"file_id": "file-1"}, 400, "file_id", None),
        ({"prompts": None}, 400, "prompts", None),
        ({"prompts": None, "file_id": "file-1"}, 404, "file_id", "not_found"),
        ({"prompts": None, "eval_run_id": "evalrun_1"}, 404, "eval_run_id", "not_found"),
        ({"prompts": [{"messages": [{"role": "assistant", "content": "So."}]}]}, 400, "prompts", "no_prompts"),
        ({"sampling": {"seed": 1}}, 400, "sampling.seed", None),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    voting: Voting, body: dict[str, Any], status: int, param: str, code: str | None
) -> None:
    body = {"models": ["base", "desk@1"], "prompts": prompts("one?"), **body}
    error = await voting.fault(status, "POST", COMPARISONS, json=body)
    assert error["param"] == param
    if code:
        assert error["code"] == code
    if code == "no_prompts":
        assert error["message"].startswith("No conversation of 'prompts' ends with a user's message")


async def test_a_file_that_has_no_rows_is_named(voting: Voting) -> None:
    file = await upload(voting.http, b"not rows", name="a.txt", purpose="assistants")
    error = await voting.fault(400, "POST", COMPARISONS, json={"models": ["base"] * 2, "file_id": file})
    assert (error["code"], "a.txt isn't a file of rows. Row 1:" in error["message"]) == ("invalid_rows", True)


async def test_what_was_answered_before_a_kill_is_not_asked_again(
    voting: Voting, engine: FakeVllm, settings: Settings
) -> None:
    id = (await voting.begin(*QUESTIONS))["id"]
    await die_at(settings, "comparison-items-written")
    before = len(engine.requests(CHAT))
    assert len(await voting.items(id)) == 8
    await voting.settle()
    assert [item["number"] for item in await voting.items(id)] == list(range(12))
    assert len(engine.requests(CHAT)) - before == 8
    ended = await voting.ok("GET", f"{COMPARISONS}/{id}")
    assert (ended["status"], ended["answered"]) == ("succeeded", 12)


async def test_a_prompt_that_cannot_be_answered_is_an_item_without_votes(voting: Voting, engine: FakeVllm) -> None:
    engine.reply = lambda chat: " " if "1?" in chat.last else "So."
    id = (await voting.begin(*QUESTIONS[:2]))["id"]
    await voting.settle()
    _, empty = await voting.items(id, reveal=True)
    assert (empty["replies"], empty["revealed"]) == (None, None)
    assert empty["error"] == {"code": "empty_answer", "message": "desk@1 answered without a text."}
    path = f"{COMPARISONS}/{id}/items/{empty['id']}/votes"
    error = await voting.fault(400, "POST", path, json={"preferred": "left"})
    assert error["code"] == "not_answered"
    assert (await voting.ok("GET", f"{COMPARISONS}/{id}"))["errored"] == 1


async def test_a_cancelled_comparison_stops_and_a_deleted_one_leaves_nothing(
    voting: Voting, engine: FakeVllm, settings: Settings, gateway: Gateway
) -> None:
    engine.rule = lambda received: faults.delay(0.3) if received.path == CHAT else None
    id = (await voting.begin(*[f"{number}?" for number in range(200)]))["id"]
    async with working(settings):
        await until(lambda: len(engine.requests(CHAT)) > 16)
        assert (await voting.ok("POST", f"{COMPARISONS}/{id}/cancel"))["status"] == "cancelled"
    assert (await voting.fault(400, "POST", f"{COMPARISONS}/{id}/cancel"))["code"] == "job_ended"
    engine.rule = None
    await voting.settle()
    items = await voting.items(id)
    assert 8 <= len(items) < 100
    await voting.vote(items[0], "left", "ann")
    assert (await voting.ok("GET", "/api/storage"))["kinds"]["comparisons"] > 0
    stranger = await gateway.tenant("harbor")
    path = f"{COMPARISONS}/{id}/items/{items[0]['id']}/votes"
    assert (await stranger.post(path, json={"preferred": "left"})).status_code == 404
    other = await voting.compare("one?")
    mixed = f"{COMPARISONS}/{other}/items/{items[0]['id']}/votes"
    assert (await voting.fault(404, "POST", mixed, json={"preferred": "left"}))["param"] == "item_id"
    for each in (id, other):
        deleted = await voting.ok("DELETE", f"{COMPARISONS}/{each}")
        assert deleted == {"id": each, "object": "comparison.deleted", "deleted": True}
    assert (await voting.ok("GET", "/api/storage"))["kinds"]["comparisons"] == 0
    assert (await voting.http.get(f"{COMPARISONS}/{id}/votes")).status_code == 404


@on_both_databases
async def test_no_number_of_votes_or_items_is_read_whole(voting: Voting, gateway: Gateway) -> None:
    """A page of votes, the summary and a dataset read the columns that they need, and corrections up to a bound."""
    id = await voting.compare(*(f"order {number}?" for number in range(16)))
    await voting.vote_by_rule(id, "ann", "bob")
    for item in (await voting.items(id))[:3]:
        await voting.vote(item, "left", "ann", corrected_reply="It sails today.")
    async with reading(gateway) as statements:
        await voting.ok("GET", f"{COMPARISONS}/{id}/summary")
        assert not [one for one in statements if "messages" in one or "corrected_reply" in one]
        await voting.ok("GET", f"{COMPARISONS}/{id}/votes", params={"limit": 1})
        assert not [one for one in statements if "comparison_items.messages" in one]
        statements.clear()
        await voting.ok("POST", f"{COMPARISONS}/{id}/dataset", json={"corrections": False})
        assert not [one for one in statements if "corrected_reply" in one]
    async with gateway.state.database.read() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        votes = ComparisonVoteRepository(session, tenant.id)
        every, older = await votes.choose_corrections(id, 10, 1_000)
        assert (len(every), older) == (3, 0)
        assert await votes.choose_corrections(id, 2, 1_000) == (every[:2], 1)
        assert await votes.choose_corrections(id, 10, len("It sails today.")) == (every[:1], 2)


@asynccontextmanager
async def reading(gateway: Gateway) -> AsyncGenerator[list[str]]:
    """Collect the statements that are sent to the database."""
    statements: list[str] = []

    def add(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        statements.append(statement)

    engine = gateway.state.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", add)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", add)
