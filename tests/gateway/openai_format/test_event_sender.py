"""While an engine is at work and says nothing, a stream has comments, which clients leave out."""

import json

import pytest
from openai import AsyncOpenAI

from tests.fakes import faults
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway

ASK = {"model": "base", "messages": [{"role": "user", "content": "Hello?"}], "stream": True}
CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.openai_format.event_sender._SILENCE_SECONDS", 0.1)


async def test_a_long_prefill_has_comments_until_the_first_event(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    engine.script(faults.delay(0.55))
    answer = await client.post(CHAT, json=ASK)
    assert answer.status_code == 200
    assert answer.headers["x-request-id"].startswith("req_")
    events = answer.text.split("\n\n")
    comments = [event for event in events if event.startswith(":")]
    assert 2 <= len(comments) <= 6
    assert events[: len(comments)] == comments
    assert events[len(comments)].startswith('data: {"id"')
    assert events[-2:] == ["data: [DONE]", ""]


async def test_a_silence_in_mid_stream_has_comments(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    engine.gap = 0.25
    answer = await client.post(CHAT, json={**ASK, "max_tokens": 2})
    events = [event for event in answer.text.split("\n\n") if event]
    assert not events[0].startswith(":")
    assert any(event.startswith(":") for event in events)
    assert events[-1] == "data: [DONE]"


async def test_an_engine_that_fails_after_a_comment_ends_the_stream_with_an_error(
    gateway: Gateway, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    engine.script(faults.hang())
    async with client.stream("POST", CHAT, json=ASK) as answer:
        assert answer.status_code == 200, "the head goes out with the first comment"
        await engine.stop()
        events = [event for event in (await answer.aread()).decode().split("\n\n") if event]
    assert events[0].startswith(":")
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "engine_unreachable"
    await engine.start()


async def test_the_openai_client_leaves_comments_out(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    key = client.headers["authorization"].removeprefix("Bearer ")
    async with AsyncOpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as openai:
        engine.script(faults.delay(0.35))
        stream = await openai.chat.completions.create(
            model="base", messages=[{"role": "user", "content": "Hello?"}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert text == "The engine heard: Hello?"
