import json
from typing import Any

import pytest

from gateway.answering.compose import compose
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE
from gateway.engines import EnginePool
from gateway.engines.client import cache_salt
from gateway.engines.token_counter import TokenCounter

COUNTER = TokenCounter(EnginePool([]))  # messages that go on as they are need no counting


async def body_of(*messages: Message, target: Target | None = None, stream: bool = False, **parameters: Any) -> Any:
    question = Question("answer-1", "base", messages or [Message("user", "Hi")], parameters, stream=stream)
    return json.loads((await compose(question, target or Target("base"), NO_EVIDENCE, "kestrel", COUNTER)).body)


async def test_without_a_prompt_the_messages_go_on_as_they_are() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "price", "arguments": "{}"}}]
    body = await body_of(
        Message("system", "Be brief."),
        Message("user", "How much?", name="ann"),
        Message("assistant", None, tool_calls=calls),
        Message("tool", "89", tool_call_id="call_1"),
    )
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How much?", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "89", "tool_call_id": "call_1"},
    ]


async def test_a_clients_parameters_win_over_the_releases() -> None:
    target = Target("base", sampling={"temperature": 0.2, "top_p": 0.9})
    body = await body_of(target=target, temperature=0.7)
    assert (body["temperature"], body["top_p"]) == (0.7, 0.9)


@pytest.mark.parametrize(("n", "temperature"), [(1, 0), (2, 0.01)])
async def test_several_choices_are_never_greedy(n: int, temperature: float) -> None:
    assert (await body_of(n=n, temperature=0))["temperature"] == temperature


@pytest.mark.parametrize("release", [True, False])
async def test_a_top_p_of_nothing_is_the_likeliest_token_alone(release: bool) -> None:
    body = await body_of(target=Target("base", sampling={"top_p": 0})) if release else await body_of(top_p=0)
    assert 0 < body["top_p"] < 0.001


async def test_a_stream_always_asks_for_its_usage() -> None:
    assert (await body_of(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream" not in await body_of()


async def test_the_salt_is_the_tenants_own() -> None:
    assert (await body_of())["cache_salt"] == cache_salt("kestrel") != cache_salt("harbor")
