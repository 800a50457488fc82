"""The chat road over HTTP: the real application, a fake engine on a real socket."""

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest

from gateway.answering.trace import AnswerTrace
from gateway.chat import routes
from gateway.openai_format.event_sender import EventSender
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.faults import Fault
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway, running
from tests.waiting import until

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "base", "messages": [{"role": "user", "content": "How long is the warranty?"}]}
STREAM = {**ASK, "stream": True}


def events_of(raw: str) -> list[Any]:
    events = [block.removeprefix("data: ") for block in raw.strip().split("\n\n")]
    return [event if event == "[DONE]" else json.loads(event) for event in events]


def text_of(events: list[Any]) -> str:
    chunks = [event for event in events if event != "[DONE]"]
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", []))


async def test_a_whole_answer_has_the_form_of_openais(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json={**ASK, "temperature": 0, "user": "someone", "cache_salt": "mine"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "base"
    assert body["choices"][0]["message"]["content"] == "The engine heard: How long is the warranty?"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    sent = json.loads(engine.requests()[-1].body)
    assert sent["temperature"] == 0
    assert "user" not in sent
    assert sent["cache_salt"] not in ("", "mine")


async def test_each_tenant_has_its_own_cache_salt(gateway: Gateway, engine: FakeVllm) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    for client in (kestrel, harbor, kestrel):
        await client.post(CHAT, json=ASK)
    salts = [json.loads(request.body)["cache_salt"] for request in engine.requests()]
    assert salts[0] == salts[2] != salts[1]


async def test_several_choices_at_temperature_0_are_given(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json={**ASK, "n": 2, "temperature": 0, "logprobs": True})
    assert answer.status_code == 200, answer.text
    assert [choice["index"] for choice in answer.json()["choices"]] == [0, 1]
    assert 0 < json.loads(engine.requests()[-1].body)["temperature"] <= 0.01


async def test_a_stream_has_the_form_of_openais(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json={**STREAM, "stream_options": {"include_usage": True}})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert events[-1] == "[DONE]"
    assert text_of(events) == "The engine heard: How long is the warranty?"
    assert events[-2]["usage"]["completion_tokens"] > 0
    assert {event["id"] for event in events[:-1]} == {events[0]["id"]} != {answer.headers["x-request-id"]}


@pytest.mark.parametrize("citations", [True, False])
async def test_pieces_written_at_once_are_the_same_as_sent_ones(
    gateway: Gateway, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch, citations: bool
) -> None:
    """And where nothing in them has to be checked, nobody is woken for them."""
    text = " ".join(f"word{number}" for number in range(40))
    engine.reply = lambda _: text
    engine.gap = 0.002
    client = await gateway.tenant("kestrel")
    sent: list[bytes] = []
    send = EventSender.send

    async def note(self: EventSender, events: bytes) -> None:
        sent.append(events)
        await send(self, events)

    monkeypatch.setattr(EventSender, "send", note)
    monkeypatch.setattr(AnswerTrace, "citable", citations)

    async def ask() -> tuple[list[Any], int]:
        sent.clear()
        answer = await client.post(CHAT, json=STREAM)
        events = events_of(answer.text)
        for event in events[:-1]:
            del event["id"], event["created"]
        return events, len(sent)

    at_once, few = await ask()
    monkeypatch.setattr(routes, "find_write", lambda _: None)
    woken, many = await ask()
    assert at_once == woken
    assert text_of(at_once) == text
    assert (few < many / 2) == (not citations)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'{"messages": [{"role": "user", "content": "x"}], "model": "\xff"}', 400, None),
        (b'{"model": "m", "response_format": {"type": ' + b"[" * 100_000, 400, None),
        (json.dumps({**ASK, "temperature": "hot"}).encode(), 400, "temperature"),
        (json.dumps({**ASK, "messages": []}).encode(), 400, "messages"),
        (json.dumps({**ASK, "model": "nope"}).encode(), 404, "model"),
        (json.dumps({**ASK, "model": "nope@3"}).encode(), 404, "model"),
        (json.dumps({**ASK, "model": "ft:base:kestrel:x:00000000"}).encode(), 404, "model"),
    ],
)
async def test_bad_input_gets_the_error_envelope(gateway: Gateway, body: bytes, status: int, param: str | None) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, content=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", "Basic abc", "Bearer ' OR 1=1 --", "Bearer ключ"]
)
async def test_a_wrong_key_is_401(gateway: Gateway, authorization: str) -> None:
    async with httpx2.AsyncClient(base_url=gateway.url) as client:
        headers = [(b"authorization", authorization.encode())] if authorization else []
        answer = await client.post(CHAT, json=ASK, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_revoked_key_stops_working_at_once(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    assert (await client.post(CHAT, json=ASK)).status_code == 200
    keys = (await client.get("/api/keys")).json()["data"]
    await gateway.admin.delete(f"/api/keys/{keys[0]['id']}", params={"tenant": "kestrel"})
    assert (await client.post(CHAT, json=ASK)).status_code == 401


async def test_switches_take_a_manage_key(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel", ("chat",))
    answer = await client.post(CHAT, json={**ASK, "braid": {"adapter": False}})
    assert answer.status_code == 403


async def test_a_full_context_is_a_400_with_its_code(gateway: Gateway, engine: FakeVllm) -> None:
    engine.script(faults.status(400, "This model's maximum context length is 4096 tokens. You asked for 5000."))
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json=ASK)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    "words",
    [
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        'tool_choice="required" requires --tool-call-parser to be set',
    ],
)
async def test_tools_that_the_engine_can_not_read_are_a_400_that_says_why(
    gateway: Gateway, engine: FakeVllm, words: str
) -> None:
    engine.script(faults.status(400, words))
    client = await gateway.tenant("kestrel")
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    answer = await client.post(CHAT, json={**ASK, "tools": [tool]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "tools_unsupported", "tools")
    assert "BRAID_ENGINE_OPTIONS" in error["message"]


@pytest.mark.parametrize(
    "fault", [faults.refuse(), faults.status(500), faults.status(503), faults.engine_error(0), faults.body(b"<html>")]
)
async def test_one_replica_that_fails_before_its_first_byte_is_a_5xx_to_try_again(
    gateway: Gateway, engine: FakeVllm, fault: Fault
) -> None:
    engine.script(fault, fault)  # the first may meet a kept connection, and is sent again then
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json=STREAM)
    assert answer.status_code in (502, 503)
    assert answer.json()["error"]["message"]
    assert engine.url not in answer.text


@pytest.mark.parametrize(
    "fault",
    [
        faults.refuse(),
        faults.status(500),
        faults.status(429),
        faults.cut(0),
        faults.engine_error(0),
        faults.body(b"<html>"),
    ],
)
async def test_another_replica_takes_over_before_the_first_byte(
    settings: Settings, engine: FakeVllm, fault: Fault
) -> None:
    async with (
        FakeVllm() as second,
        running(settings.model_copy(update={"engine_urls": (engine.url, second.url)})) as two,
    ):
        await until(lambda: all(replica.ready for replica in two.state.pool.list_states()))
        client = await two.tenant("kestrel")
        engine.script(fault)
        answers = [await client.post(CHAT, json=STREAM) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(engine.requests()) + len(second.requests()) == 3


async def test_no_engine_is_a_503_with_retry_after(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    await engine.stop()
    answer = await client.post(CHAT, json=ASK)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    await engine.start()


@pytest.mark.parametrize("fault", [faults.cut(), faults.bad_chunk(), faults.engine_error()])
async def test_a_stream_that_breaks_ends_with_an_error_event_and_no_done(
    gateway: Gateway, engine: FakeVllm, fault: Fault
) -> None:
    engine.script(fault)
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json=STREAM)
    events = events_of(answer.text)
    assert answer.status_code == 200
    assert set(events[-1]["error"]) == {"message", "type", "param", "code"}
    assert "[DONE]" not in events
    assert text_of(events[:-1])


@pytest.mark.parametrize("ended", [b"", b"data: [DONE]\n\n"])
async def test_a_stream_in_which_a_choice_has_no_end_ends_with_an_error_event(
    gateway: Gateway, engine: FakeVllm, ended: bytes
) -> None:
    said = [{"index": index, "delta": {"content": "It"}, "logprobs": None, "finish_reason": None} for index in (0, 1)]
    ends = [{**said[1], "delta": {}, "finish_reason": "stop"}]
    body = b"".join(b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n" for choices in (said, ends))
    engine.script(faults.body(body + ended, "text/event-stream"))
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json={**STREAM, "n": 2})
    events = events_of(answer.text)
    assert events[-1]["error"]["code"] == "stream_interrupted"
    assert ("[DONE]" not in events, text_of(events[:-1])) == (True, "ItIt")
    assert (await client.get(f"/api/answers/{events[0]['id']}")).json()["outcome"] == "interrupted"


async def test_a_whole_answer_with_fewer_choices_than_asked_for_is_a_502(gateway: Gateway, engine: FakeVllm) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "It"}, "finish_reason": "stop"}
    engine.script(faults.body(json.dumps({"choices": [choice]}).encode()))
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json={**ASK, "n": 2})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_error")


@pytest.mark.parametrize("body", [b"<html>", b'{"choices": ["\xff"]}', b'{"choices": ' + b"[" * 100_000])
async def test_an_answer_that_cannot_be_read_is_a_502(gateway: Gateway, engine: FakeVllm, body: bytes) -> None:
    engine.script(faults.body(body))
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json=ASK)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_error")


async def test_another_path_or_method_is_not_chat(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    assert (await client.post(CHAT + "/x", json=ASK)).status_code == 404
    assert (await client.get(CHAT)).status_code == 405


async def test_a_request_that_misses_the_shortcut_comes_to_the_same_door(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    routed = CHAT + "%0A"  # Starlette's router lets a newline at the end pass; the shortcut knows the exact path only
    answer = await client.post(routed, json=ASK)
    assert answer.json()["object"] == "chat.completion"
    async with httpx2.AsyncClient(base_url=gateway.url) as stranger:
        assert (await stranger.post(routed, json=ASK)).status_code == 401


async def test_a_dripping_stream_arrives_whole(gateway: Gateway, engine: FakeVllm) -> None:
    engine.script(faults.drip())
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json=STREAM)
    assert text_of(events_of(answer.text)) == "The engine heard: How long is the warranty?"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.case("gw-client-gone")
async def test_a_client_that_leaves_aborts_the_engine_within_a_second(
    gateway: Gateway, engine: FakeVllm, stream: bool
) -> None:
    engine.script(faults.stall() if stream else faults.hang())
    client = await gateway.tenant("kestrel")

    async def ask() -> None:
        await client.post(CHAT, json={**ASK, "stream": stream})

    asking = asyncio.create_task(ask())
    await until(lambda: bool(engine.requests()))
    left = time.monotonic()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: engine.requests()[-1].aborted is not None)
    aborted = engine.requests()[-1].aborted
    assert aborted is not None
    assert aborted - left < 1
    await until(lambda: not gateway.state.pool.list_states()[0].in_flight)
    await until(lambda: b'outcome="abandoned"' in gateway.state.metrics.render_text())


async def test_leaving_lets_a_stream_finish_and_refuses_new_requests(gateway: Gateway, engine: FakeVllm) -> None:
    engine.gap = 0.05
    client = await gateway.tenant("kestrel")
    asking = asyncio.create_task(client.post(CHAT, json=STREAM))
    await until(lambda: bool(engine.requests()))
    leaving = asyncio.create_task(gateway.state.drain.finish(5))
    await asyncio.sleep(0.02)
    refused = await client.post(CHAT, json=ASK)
    ready = await client.get("/readyz")
    answer = await asking
    await leaving
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "stopping"
    assert ready.status_code == 503
    assert events_of(answer.text)[-1] == "[DONE]"


async def test_after_the_grace_time_a_stream_ends_with_an_error_event(gateway: Gateway, engine: FakeVllm) -> None:
    engine.script(faults.stall())
    client = await gateway.tenant("kestrel")
    asking = asyncio.create_task(client.post(CHAT, json=STREAM))
    await until(lambda: bool(engine.requests()))
    await asyncio.sleep(0.05)
    await gateway.state.drain.finish(0.1)
    events = events_of((await asking).text)
    assert events[-1]["error"]["code"] == "stopping"


async def test_metrics_count_answers(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    await client.post(CHAT, json=ASK)
    text = (await client.get("/metrics")).text
    assert 'braid_chat_answers_total{outcome="completed"} 1.0' in text


async def test_of_an_answer_that_its_client_left_the_tokens_and_the_key_are_known(
    gateway: Gateway, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    engine.script(faults.stall(after=4))
    line = ""
    async with client.stream("POST", CHAT, json=STREAM) as answer:
        async for line in answer.aiter_lines():
            if '"content":"' in line:
                break
    id = json.loads(line.removeprefix("data: "))["id"]

    async def settled() -> bool:
        answer = await client.get(f"/api/answers/{id}")
        return answer.status_code == 200 and answer.json()["counts"] == "known"

    await until(settled)
    record = (await client.get(f"/api/answers/{id}")).json()
    key = (await client.get("/api/keys")).json()["data"][0]["id"]
    assert (record["outcome"], record["key"]) == ("abandoned", key)
    assert record["usage"]["prompt_tokens"] > 0
    assert 0 < record["usage"]["completion_tokens"] < 4
