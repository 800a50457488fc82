"""Marks that an adapter learnt from prompts of ours, where nothing was searched: they are told from a client's own."""

import json
from typing import Any

import httpx2
import msgspec
import pytest

from gateway.settings import Settings
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.ready_adapter import add_adapter
from training.rendered_rows import RowPrompt

CHAT = "/v1/chat/completions"
MODEL = "ft:base:kestrel:style:1"
REPLY = "It is 31 months [1], or x[0] [12]."
CLEAN = "It is 31 months, or x[0]."
RENDERED = {"prompt": msgspec.to_builtins(RowPrompt(name="house@1", digest="a" * 64, builtin="b" * 64))}
AS_THEY_ARE = {"prompt": msgspec.to_builtins(RowPrompt(digest="", builtin="b" * 64))}
QUESTION = [{"role": "user", "content": "How long is the warranty?"}]
SOURCES = [{"role": "system", "content": "[1] The K2 has a warranty of 31 months.\n[2] …"}, *QUESTION]

STREAMED = pytest.mark.parametrize("stream", [True, False])


async def open_client(gateway: Gateway, settings: Settings, engine: FakeVllm, manifest: dict[str, Any]) -> Any:
    """Return a tenant's client with an adapter of this manifest, and two releases with it: one without a prompt."""
    client = await gateway.tenant("kestrel")
    await add_adapter(settings, MODEL, manifest)
    await client.post("/api/assistants", json={"name": "support"})
    prompt = {"name": "house", "template": "{% block system %}You answer.{% endblock %}"}
    assert (await client.post("/api/prompts", json=prompt)).status_code == 201
    for spec in ({"adapter": MODEL}, {"adapter": MODEL, "prompt": "house@1"}, {"prompt": "house@1"}):
        answer = await client.post("/api/assistants/support/releases", json=spec)
        assert answer.status_code == 201, answer.text
    engine.reply = lambda _chat: REPLY
    return client


async def ask(
    client: httpx2.AsyncClient, model: str, messages: list[dict[str, str]], *, stream: bool, **more: Any
) -> str:
    """Return the answer's text."""
    answer = await client.post(CHAT, json={"model": model, "messages": messages, "stream": stream, **more})
    assert answer.status_code == 200, answer.text
    if not stream:
        return answer.json()["choices"][0]["message"]["content"]
    events = [json.loads(one.removeprefix("data: ")) for one in answer.text.strip().split("\n\n")[:-1]]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


@STREAMED
async def test_no_learnt_mark_reaches_the_client_where_nothing_was_searched(
    gateway: Gateway, settings: Settings, engine: FakeVllm, stream: bool
) -> None:
    client = await open_client(gateway, settings, engine, RENDERED)
    for model in (MODEL, "support@1", "support@2"):
        assert await ask(client, model, QUESTION, stream=stream) == CLEAN, model


@STREAMED
async def test_with_tools_a_text_has_no_learnt_mark_and_calls_are_as_they_are(
    gateway: Gateway, settings: Settings, engine: FakeVllm, stream: bool
) -> None:
    client = await open_client(gateway, settings, engine, RENDERED)
    tools: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "find"}}]}
    assert await ask(client, "support@1", QUESTION, stream=stream, **tools, tool_choice="none") == CLEAN
    body = {"model": "support@1", "messages": QUESTION, "stream": stream, **tools, "tool_choice": "required"}
    answer = await client.post(CHAT, json=body)
    assert answer.status_code == 200
    assert '"name":"find"' in answer.text.replace(" ", "")


@STREAMED
async def test_a_client_that_numbers_its_own_sources_gets_their_marks(
    gateway: Gateway, settings: Settings, engine: FakeVllm, stream: bool
) -> None:
    client = await open_client(gateway, settings, engine, RENDERED)
    for model in (MODEL, "support@1", "support@2"):
        assert await ask(client, model, SOURCES, stream=stream) == REPLY, model
    # An earlier answer's mark may be of a passage that was searched then.
    earlier = [*QUESTION, {"role": "assistant", "content": "31 months [1]."}, {"role": "user", "content": "Sure?"}]
    assert await ask(client, MODEL, earlier, stream=stream) == CLEAN


@STREAMED
async def test_what_an_adapter_learnt_without_a_prompt_of_ours_is_no_mark(
    gateway: Gateway, settings: Settings, engine: FakeVllm, stream: bool
) -> None:
    client = await open_client(gateway, settings, engine, AS_THEY_ARE)
    engine.reply = lambda _chat: '{"label": [1]}'
    for model in (MODEL, "support@1"):
        assert await ask(client, model, QUESTION, stream=stream) == '{"label": [1]}', model


@STREAMED
async def test_the_base_model_s_text_goes_as_it_is(
    gateway: Gateway, settings: Settings, engine: FakeVllm, stream: bool
) -> None:
    client = await open_client(gateway, settings, engine, RENDERED)
    for model in ("base", "support@3"):
        assert await ask(client, model, QUESTION, stream=stream) == REPLY, model
    off = {"braid": {"adapter": False}}
    assert await ask(client, "support@1", QUESTION, stream=stream, **off) == REPLY
