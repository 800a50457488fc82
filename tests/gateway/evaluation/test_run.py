"""Cases asked of the real gateway, in front of a fake engine."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.client import Client, GatewayError
from gateway.evaluation import EvaluationCase, FactQuestion, StyleRules, Variant, ask, evaluate
from tests.fakes.faults import Fault
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import ADMIN_KEY, Gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    async with Client(gateway.url, ADMIN_KEY) as client:
        yield client


def case(client: Client, number: int, *, timed: bool = False) -> EvaluationCase:
    question = FactQuestion(f"q-{number}", f"Question {number}?", ["42"], [], "k2.md")
    return EvaluationCase("kestrel", client, Variant("base", "base", "base"), question, StyleRules(()), timed=timed)


async def test_an_answer_has_its_text_tokens_and_times(client: Client, engine: FakeVllm) -> None:
    engine.gap = 0.02
    answer = await ask(client, Variant("base", "base", "base"), "How are you?", max_tokens=20)
    assert answer.text == "The engine heard: How are you?"
    assert answer.id.startswith("chatcmpl-")
    assert answer.cited == []
    assert answer.prompt_tokens > 0
    assert answer.answer_tokens > 1
    assert 0 < answer.first_token < answer.total
    body = engine.requests()[0].json
    assert (body["temperature"], body["max_tokens"], body["stream"]) == (0, 20, True)


async def test_an_empty_answers_first_token_comes_at_its_end(client: Client, engine: FakeVllm) -> None:
    engine.reply = lambda chat: ""
    answer = await ask(client, Variant("base", "base", "base"), "How are you?", max_tokens=20)
    assert answer.text == ""
    assert answer.first_token == answer.total


async def test_timed_cases_come_first_and_alone(client: Client, engine: FakeVllm) -> None:
    cases = [case(client, number, timed=number in (3, 5)) for number in range(6)]
    counts: list[int] = []
    scored = await evaluate(cases, max_tokens=20, on_answer=lambda count, done: counts.append(count))
    assert [answer.question for answer in scored[:2]] == ["Question 3?", "Question 5?"]
    assert [answer.timed for answer in scored] == [True, True, False, False, False, False]
    assert {answer.question for answer in scored} == {f"Question {number}?" for number in range(6)}
    assert counts == [1, 2, 3, 4, 5, 6]


async def test_no_more_cases_are_asked_at_once_than_allowed(client: Client, engine: FakeVllm) -> None:
    running, most = 0, 0

    def count(chat: Chat) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        asyncio.get_running_loop().call_later(0.05, finish)
        return "one two three"

    def finish() -> None:
        nonlocal running
        running -= 1

    engine.reply, engine.gap = count, 0.03
    await evaluate([case(client, number) for number in range(9)], max_tokens=20, concurrency=3)
    assert 1 < most <= 3


async def test_a_case_that_cannot_be_answered_ends_the_evaluation(client: Client, engine: FakeVllm) -> None:
    engine.rule = lambda received: Fault("status", status=400, message="no") if b"Question 2" in received.body else None
    with pytest.raises(GatewayError):
        await evaluate([case(client, number) for number in range(4)], max_tokens=20)
    cases = [task for task in asyncio.all_tasks() if "evaluate" in getattr(task.get_coro(), "__qualname__", "")]
    assert cases == [], "no case outlives the client that it uses"
