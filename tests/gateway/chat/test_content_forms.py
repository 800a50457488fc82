"""What clients send in other forms that mean the same, over HTTP: content, roles, limits; and what is refused alike."""

import json
from typing import Any

import pytest

from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import Gateway

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "base", "messages": [{"role": "user", "content": "How long is the warranty?"}]}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.mark.case("chat-content-forms")
async def test_forms_that_mean_the_same_are_the_same_prompt(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")

    async def send(role: str, result: Any, called: Any) -> tuple[Any, int]:
        messages = [
            {"role": role, "content": [{"type": "text", "text": "Be brief."}] if called == "" else "Be brief."},
            {"role": "user", "content": "How long?"},
            {"role": "assistant", "content": called, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": result},
        ]
        answer = await client.post(CHAT, json={"model": "base", "messages": messages})
        assert answer.status_code == 200, answer.text
        sent = json.loads(engine.requests()[-1].body)["messages"]
        return [(m["role"], m.get("content") or "") for m in sent], answer.json()["usage"]["prompt_tokens"]

    plain = await send("system", "31 months", None)
    assert await send("developer", [{"type": "text", "text": "31 months"}], "") == plain
    longer = await send("system", "31 months, and 42 for the K2 Pro", None)
    assert longer[1] > plain[1]


@pytest.mark.case("chat-max-completion-tokens")
async def test_the_newer_of_two_limits_holds(gateway: Gateway, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    for limits in ({"max_completion_tokens": 3}, {"max_completion_tokens": 3, "max_tokens": 9}):
        for stream in (False, True):
            answer = await client.post(CHAT, json={**ASK, **limits, "stream": stream})
            assert answer.status_code == 200
            sent = json.loads(engine.requests()[-1].body)
            assert sent["max_tokens"] == 3
            assert "max_completion_tokens" not in sent


@pytest.mark.case("chat-stop-never-leaks")
async def test_the_engine_stops_at_the_clients_sequences_and_its_text_is_passed_on(
    gateway: Gateway, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")

    def reply(chat: Chat) -> str:
        return "It has 31 months.".partition(chat.body["stop"][0])[0]

    engine.reply = reply
    whole = await client.post(CHAT, json={**ASK, "stop": ["months"]})
    streamed = await client.post(CHAT, json={**ASK, "stop": ["months"], "stream": True})
    events = [json.loads(event.removeprefix("data: ")) for event in streamed.text.strip().split("\n\n")[:-1]]
    choices = [choice for event in events for choice in event["choices"]]
    assert whole.json()["choices"][0]["message"]["content"] == "It has 31 "
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "It has 31 "
    assert whole.json()["choices"][0]["finish_reason"] == choices[-1]["finish_reason"] == "stop"


@pytest.mark.case("chat-refused-before-the-stream")
@pytest.mark.parametrize("stream", [True, False])
async def test_what_cannot_be_answered_is_refused_before_the_stream(gateway: Gateway, stream: bool) -> None:
    client = await gateway.tenant("kestrel")
    image = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    for content, code in (("word " * 9000, "context_length_exceeded"), (image, None)):
        body = {"model": "base", "messages": [{"role": "user", "content": content}], "stream": stream}
        answer = await client.post(CHAT, json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
        assert code is None or answer.json()["error"]["code"] == code
    user = {"role": "user", "content": "Hello"}
    empty: list[dict[str, Any]] = [
        {"messages": []},
        {"messages": [{"role": "narrator", "content": "Once"}, user]},
        {"messages": [user], "model": 7},
        {"messages": [user], "max_tokens": -3},
        *({"messages": [user, {"role": role}]} for role in ("user", "system", "developer")),
        {"messages": [user, {"role": "tool", "tool_call_id": "call_1"}]},
        {"messages": [user, {"role": "tool", "tool_call_id": "call_1", "content": None}]},
    ]
    for more in empty:
        answer = await client.post(CHAT, json={"model": "base", "stream": stream, **more})
        assert answer.status_code == 400, more
        assert answer.json()["error"]["type"] == "invalid_request_error"
    half = b'{"model": "base", "messages": [{"role": "user", "content": "\\ud800"}], "stream": %s}'
    answer = await client.post(CHAT, content=half % json.dumps(stream).encode())
    assert answer.status_code < 500
