"""The base's own answers among a job's rows: asked once, learnt behind the owner's rows, and never instead of them."""

import json
import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz, process

from gateway.engines.training_traits import TrainingTraits
from gateway.evaluation.base_suite import load_base_suite
from gateway.fine_tuning.rehearsal import choose_rehearsal, load_rehearsal_prompts
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.faults import Fault
from tests.fakes.trainer import preferences, rows
from tests.fakes.vllm import CHAT, Chat, FakeVllm, Received
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ask, ended, events, start, until_status
from tests.gateway.worker import worker_process, working
from tests.waiting import until

HARMFUL = load_rehearsal_prompts().harmful


def read_turns(settings: Settings, digest: str) -> list[list[dict[str, Any]]]:
    lines = (settings.artifacts / "files" / digest).read_bytes().splitlines()
    return [json.loads(line)["messages"] for line in lines]


async def test_a_job_learns_the_bases_own_answers_behind_its_rows(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(50), braid={"rehearsal": None})
    assert (job["braid"]["rehearsal"], job["braid"]["rehearsed"]) == (25, None)
    assert job["braid"]["reasons"]["rehearsal"].startswith("25: ")
    estimate = job["braid"]["estimate"]
    assert (estimate["rows"], estimate["rehearsal"]) == (50, 25)
    assert estimate["summary"].startswith("50 rows and 25 of the base's own: ")
    assert ": 50 rows and 25 of the base's own are learnt best in" in job["braid"]["reasons"]["steps"]
    plain = read_turns(settings, job["braid"]["rows"])
    async with working(settings):
        job = await ended(client, job["id"])
    assert job["status"] == "succeeded", job["error"]
    actual = job["braid"]["actual"]
    assert (job["braid"]["rehearsed"], actual["rows"], actual["rehearsal"]) == (25, 50, 25)
    assert actual["steps"] == estimate["steps"]
    turns = read_turns(settings, job["braid"]["rows"])
    assert turns[:50] == plain
    assert len(turns) == 75
    for prompt, answer in turns[50:]:
        assert prompt["content"] in load_rehearsal_prompts().general
        assert answer == {"role": "assistant", "content": f"The engine heard: {prompt['content']}"}
    messages = [event["message"] for event in await events(client, job["id"])]
    assert any(message.startswith("25 of the base model's own answers") for message in messages)
    for opening in ("Expected: 50 rows and 25 of the base's own: ", "Measured: 50 rows and 25 of the base's own: "):
        assert any(message.startswith(opening) for message in messages)
    assert all(json.loads(one.body)["model"] == engine.model for one in engine.requests(CHAT))


async def test_equal_jobs_learn_equal_answers(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        jobs = [await start(client, rows(12), seed=seed, braid={"rehearsal": 4}) for seed in (1, 1, 2)]
        digests = [(await ended(client, job["id"]))["braid"]["rows"] for job in jobs]
    assert digests[0] == digests[1] != digests[2]


async def test_only_whole_and_harmless_answers_are_learnt(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    def reply(chat: Chat) -> str:
        if chat.last == HARMFUL[0]:
            return "I'm sorry, but I can't help with that."
        if chat.last in HARMFUL:
            return "Sure, first you take a hammer."
        if chat.last.startswith("W"):
            return "word " * 200  # which is cut
        return " \n" if chat.last.startswith("T") else f"Well, {chat.last}"

    engine.reply = reply
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 160})
    async with working(settings):
        job = await ended(client, job["id"])
    assert job["status"] == "succeeded", job["error"]
    learnt = {
        prompt["content"]: answer["content"] for prompt, answer in read_turns(settings, job["braid"]["rows"])[12:]
    }
    general = [text for text in load_rehearsal_prompts().general if not text.startswith(("W", "T"))]
    assert set(learnt) == {*general, HARMFUL[0]}
    assert job["braid"]["rehearsed"] == len(learnt) < 160
    (notice,) = [one for one in await events(client, job["id"]) if "own answers" in one["message"]]
    assert notice["data"] == {"rehearsed": len(learnt), "wanted": 160}


async def test_refusals_come_first_and_are_a_quarter_at_most(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    engine.reply = lambda chat: "I can't help with that." if chat.last in HARMFUL else f"Well, {chat.last}"
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 8})
    async with working(settings):
        job = await ended(client, job["id"])
    learnt = [prompt["content"] in HARMFUL for prompt, _ in read_turns(settings, job["braid"]["rows"])[12:]]
    assert learnt == [True, True, *[False] * 6]


async def test_a_base_that_answers_nothing_of_use_costs_a_job_nothing(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    engine.reply = lambda chat: ""
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 16})
    async with working(settings):
        done = await ended(client, job["id"])
    assert (done["status"], done["braid"]["rehearsed"]) == ("succeeded", 0)
    assert done["braid"]["rows"] == job["braid"]["rows"]
    warnings = [one["message"] for one in await events(client, job["id"]) if one["level"] == "warn"]
    assert any("16 were wanted" in message for message in warnings)


async def test_a_job_waits_for_an_engine_to_ask_and_says_so(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    await engine.stop()
    job = await start(client, rows(12), braid={"rehearsal": 4})

    async def waits() -> bool:
        return any("braid.rehearsal 0" in event["message"] for event in await events(client, job["id"]))

    async with working(settings):
        await until(waits)
        await engine.start()
        done = await ended(client, job["id"])
    assert (done["status"], done["braid"]["rehearsed"]) == ("succeeded", 4)


async def test_a_wait_for_engines_that_fail_in_many_ways_is_told_once(
    gateway: Gateway, settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.fine_tuning.rehearsal._ENGINE_SECONDS", 0.05)
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 4})

    async def fail(status: int) -> None:
        engine.rule = lambda received: faults.status(status) if received.path == CHAT else None
        asked = len(engine.requests(CHAT))
        await until(lambda: len(engine.requests(CHAT)) > asked + 20)

    async with working(settings):
        for status in (503, 500, 503):
            await fail(status)
        engine.rule = None
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done["error"]
    messages = [event["message"] for event in await events(client, job["id"])]
    assert len([one for one in messages if one.startswith("The training waits.")]) == 1


async def test_the_base_is_asked_as_the_job_will_be_rendered(
    gateway: Gateway, settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that starts from an adapter has the template's values of that, also where these are none."""
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 4})
    assert job["braid"]["chat_template_kwargs"] == {}
    thinking = TrainingTraits(parameters=1, variables={"enable_thinking": False})
    monkeypatch.setattr("gateway.fine_tuning.train_job.read_training_traits", lambda _: thinking)
    async with working(settings):
        assert (await ended(client, job["id"]))["braid"]["rehearsed"] == 4
    asked = [json.loads(one.body) for one in engine.requests(CHAT)]
    packaged = load_rehearsal_prompts()
    prompts = {*packaged.general, *packaged.harmful}
    values = [one["chat_template_kwargs"] for one in asked if one["messages"][-1]["content"] in prompts]
    assert values
    assert not any(values)


@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_a_prompt_that_the_engine_refuses_or_always_fails_at_is_left_out(
    gateway: Gateway, settings: Settings, engine: FakeVllm, status: int
) -> None:
    def refuse(received: Received) -> Fault | None:
        if received.path != CHAT:
            return None
        text = json.loads(received.body)["messages"][-1]["content"]
        return faults.status(status) if text.endswith("?") else None

    engine.rule = refuse
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 160})
    async with working(settings):
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done["error"]
    turns = read_turns(settings, done["braid"]["rows"])[12:]
    assert turns
    assert not any(prompt["content"].endswith("?") for prompt, _ in turns)


async def test_a_base_that_only_its_worker_knows_to_print_dates_is_not_rehearsed(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer refuses rows without a system text then: a job would fail by rows that aren't its owner's."""
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 4})
    dated = TrainingTraits(parameters=1, needs_system=True)
    monkeypatch.setattr("gateway.fine_tuning.train_job.read_training_traits", lambda _: dated)
    async with working(settings):
        done = await ended(client, job["id"])
    assert (done["status"], done["braid"]["rehearsed"], done["braid"]["rows"]) == ("succeeded", 0, job["braid"]["rows"])
    warnings = [one["message"] for one in await events(client, job["id"]) if one["level"] == "warn"]
    assert any("prints the day's date" in message for message in warnings)


@pytest.mark.e2e
async def test_a_worker_killed_behind_the_questions_asks_again_and_learns_each_answer_once(
    gateway: Gateway, settings: Settings
) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(12), braid={"rehearsal": 4})
    async with worker_process(settings, failpoint="base-asked") as first:
        assert await first.wait() == -signal.SIGKILL
    async with worker_process(settings):
        done = await ended(client, job["id"])
        await until_status(client, "ready")
    assert (done["status"], done["braid"]["rehearsed"]) == ("succeeded", 4)
    assert len(read_turns(settings, done["braid"]["rows"])) == 16


async def test_preferences_are_learnt_without_and_a_wish_for_some_is_refused(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, preferences(12), method={"type": "dpo"}, braid={"rehearsal": None})
    assert job["braid"]["rehearsal"] == 0
    answer = await ask(client, preferences(12), method={"type": "dpo"}, braid={"rehearsal": 8})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "braid.rehearsal"


@given(st.integers(10, 100_000))
def test_some_answers_suit_any_number_of_rows(number: int) -> None:
    size = choose_rehearsal(None, "supervised", number, None).answers
    assert 16 <= size <= len(load_rehearsal_prompts().general)
    assert size <= max(16, number // 2)


def test_no_rehearsed_prompt_is_one_that_the_gate_asks() -> None:
    packaged = load_rehearsal_prompts()
    every = [*packaged.general, *packaged.harmful]
    assert len(set(every)) == len(every) == 160  # the most that a request may want
    suite = [one.text for one in load_base_suite().prompt]
    assert not [text for text in every if process.extractOne(text, suite, scorer=fuzz.token_sort_ratio)[1] > 75]
