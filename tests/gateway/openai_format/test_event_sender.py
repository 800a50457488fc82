"""While an engine is at work and says nothing, a stream has comments, which clients leave out."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from openai import AsyncOpenAI

from gateway.answering.question import Question
from gateway.answering.resolve import Target
from gateway.answering.trace import AnswerTrace
from gateway.openai_format.event_sender import EventSender, send_whole
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


TRACE = AnswerTrace(
    "kestrel",
    Question("chatcmpl-1", "support", [], {}),
    target=Target("base", release="support@7", fingerprint="rel_1"),
)


class Wire:
    """The server's side of a response; what is sent to one that is full waits for ever."""

    def __init__(self, *, full: bool = False) -> None:
        self.sent: list[Any] = []
        self.cancelled = False
        self._full = full

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        try:
            await asyncio.sleep(60 if self._full else 0)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_a_stream_that_has_ended_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.openai_format.event_sender._SILENCE_SECONDS", 0.005)
    wire = Wire()
    sender = EventSender(wire.send)
    sender.watch(TRACE)
    await sender.begin(TRACE)
    await sender.end(b"data: [DONE]\n\n")
    await asyncio.sleep(0.03)
    assert [message.get("body") for message in wire.sent] == [None, b"data: [DONE]\n\n"]


async def test_a_comment_that_nobody_takes_ends_with_its_stream_and_has_no_other_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.openai_format.event_sender._SILENCE_SECONDS", 0.005)
    wire = Wire(full=True)
    sender = EventSender(wire.send)
    sender.watch(TRACE)
    await asyncio.sleep(0.05)
    assert [message["type"] for message in wire.sent] == ["http.response.start"]
    sender.stop()
    await asyncio.sleep(0)
    assert wire.cancelled


async def test_one_that_has_not_begun_sends_nothing_at_its_end() -> None:
    wire = Wire()
    await EventSender(wire.send).end()
    assert wire.sent == []


async def test_the_head_is_sent_once_and_tells_proxies_to_pass_it_on() -> None:
    wire = Wire()
    sender = EventSender(wire.send)
    for _ in range(2):
        await sender.begin(TRACE)
    (head,) = wire.sent
    assert dict(head["headers"]) == {
        b"braid-release": b"support@7; rel_1",
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
    }


async def test_a_whole_answer_has_its_length_and_its_release() -> None:
    wire = Wire()
    await send_whole(wire.send, TRACE, '{"a": "é"}'.encode())
    head, body = wire.sent
    assert dict(head["headers"]) == {
        b"braid-release": b"support@7; rel_1",
        b"content-type": b"application/json",
        b"content-length": b"11",
    }
    assert body == {"type": "http.response.body", "body": '{"a": "é"}'.encode()}


async def test_an_event_is_one_line_also_for_clients_that_part_lines_at_separators_of_unicode() -> None:
    text, sent = "a\u0085b\u2028c\u2029d’é", list[bytes]()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["body"])

    def write(events: bytes) -> bool:
        sent.append(events)
        return True

    sender, event = EventSender(send, write), b"data: " + json.dumps(text, ensure_ascii=False).encode() + b"\n\n"
    sender.begun = True
    await sender.send(event)
    assert sender.send_at_once(event)
    await sender.end(event)

    assert len(sent) == 3
    for events in sent:
        line, rest = events.decode().splitlines()
        assert json.loads(line.removeprefix("data: ")) == text
        assert rest == ""
