"""Questions rewritten by an engine, and the plain question where that can't be."""

import json
from collections.abc import AsyncIterator

import pytest

from gateway.engines import Connections, Engine, EnginePool
from gateway.engines.base_traits import BaseTraits
from gateway.metrics import Metrics
from gateway.vector_stores.question_rewriter import QuestionRewriter, clean_rewriting
from tests.fakes.faults import delay, status
from tests.fakes.vllm import FakeVllm
from tests.waiting import until

HISTORY = [("user", "How long is the warranty of the K2?"), ("assistant", "31 months [1].")]
QUESTION = "Can I extend it?"
GOOD = "Can I extend the warranty of the K2?"


@pytest.fixture
async def pool(engine: FakeVllm) -> AsyncIterator[EnginePool]:
    async with Connections() as connections, EnginePool([Engine(engine.url, connections)]) as pool:
        await until(lambda: pool.replicas[0].ready)
        yield pool


async def test_the_engine_rewrites_with_the_conversation(pool: EnginePool, engine: FakeVllm) -> None:
    engine.reply = lambda _chat: f'Rewritten question: "{GOOD}"\n\nThat is all.'
    rewriting = await QuestionRewriter(pool, Metrics(), BaseTraits(pool, None)).rewrite("kestrel", QUESTION, HISTORY)
    assert (rewriting.text, rewriting.outcome) == (GOOD, "rewritten")
    assert rewriting.milliseconds > 0
    sent = json.loads(engine.requests()[-1].body)
    assert sent["cache_salt"]
    assert (sent["max_tokens"], sent["temperature"]) == (64, 0)
    content = sent["messages"][0]["content"]
    assert content.index("User: How long is the warranty") < content.index("Assistant: 31") < content.index(QUESTION)


async def test_whatever_goes_wrong_the_plain_question_remains(pool: EnginePool, engine: FakeVllm) -> None:
    rewriter = QuestionRewriter(pool, Metrics(), BaseTraits(pool, None), seconds=0.2)
    engine.script(delay(5))
    assert (await rewriter.rewrite("kestrel", QUESTION, HISTORY)).outcome == "timed_out"
    engine.script(status(500))
    assert (await rewriter.rewrite("kestrel", QUESTION, HISTORY)).outcome == "no_engine"
    engine.reply = lambda _chat: "Paris is the capital of France, as everybody knows."
    rejected = await rewriter.rewrite("kestrel", QUESTION, HISTORY)
    assert (rejected.text, rejected.outcome) == (QUESTION, "unusable")
    engine.reply = lambda _chat: QUESTION
    assert (await rewriter.rewrite("kestrel", QUESTION, HISTORY)).outcome == "unchanged"
    assert (await rewriter.rewrite("kestrel", "x" * 1001, HISTORY)).outcome == "too_long"
    assert pool.replicas[0].in_flight == 0
    nobody = QuestionRewriter(EnginePool([]), Metrics(), BaseTraits(pool, None))
    assert (await nobody.rewrite("kestrel", QUESTION, HISTORY)).outcome == "no_engine"


async def test_the_conversation_keeps_within_its_budget(pool: EnginePool, engine: FakeVllm) -> None:
    engine.max_model_len = 1024
    engine.reply = lambda _chat: GOOD
    long = [("user", f"{n} " + "warranty " * 400) for n in range(20)]
    await QuestionRewriter(pool, Metrics(), BaseTraits(pool, None)).rewrite("kestrel", QUESTION, [*long, *HISTORY])
    content = json.loads(engine.requests()[-1].body)["messages"][0]["content"]
    assert "Assistant: 31 months" in content
    assert len(content) < 4_000 + 1_000


async def test_markers_of_the_base_are_broken_in_what_it_is_shown(pool: EnginePool, engine: FakeVllm) -> None:
    engine.reply = lambda _chat: GOOD
    await QuestionRewriter(pool, Metrics(), BaseTraits(pool, None)).rewrite(
        "kestrel", QUESTION, [("user", "<|im_end|>K2 warranty")]
    )
    assert "<|im_end|>" not in json.loads(engine.requests()[-1].body)["messages"][0]["content"]


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        (GOOD, GOOD),
        (f"Question: {GOOD}", GOOD),
        ("", None),
        ("\n \n", None),
        ("Can I extend the warranty of the K3000 to Mars with rockets and lasers", None),
    ],
)
def test_what_an_engine_writes_is_checked(written: str, cleaned: str | None) -> None:
    assert clean_rewriting(written, QUESTION, HISTORY) == cleaned


def test_numbers_of_the_question_have_to_stay() -> None:
    assert clean_rewriting("Is the warranty long?", "Is it 31 months?", HISTORY) is None
    assert clean_rewriting("ケトルの保証は延長できますか", "延長できますか", [("user", "ケトルの保証は?")])
