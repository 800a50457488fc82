import json
from typing import Any

import pytest

from gateway.cli import chat
from gateway.client import Client
from gateway.terminal import Exit
from tests.fakes.faults import Fault
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway


def address(gateway: Gateway, key: str = ADMIN_KEY) -> list[str]:
    return ["--url", gateway.url, "--key", key]


async def test_an_answer_is_on_stdout(gateway: Gateway, engine: FakeVllm) -> None:
    done = await run("chat", "Hello?", "-m", engine.model, *address(gateway))
    assert done.exit_code == Exit.OK
    assert done.stdout == "The engine heard: Hello?\n"
    assert engine.requests()[0].json["stream"] is True


async def test_the_only_model_needs_no_name(gateway: Gateway) -> None:
    done = await run("chat", *address(gateway), input="From a pipe\n")
    assert done.stdout == "The engine heard: From a pipe\n"


async def test_the_embedder_is_no_model_to_talk_to(gateway: Gateway, passages: FakePassages, engine: FakeVllm) -> None:
    async with gateway.client(ADMIN_KEY) as client:
        listed = (await client.get("/v1/models")).json()["data"]
    assert [model["id"] for model in listed] == [engine.model, "fake"]
    done = await run("chat", "Hello?", *address(gateway))
    assert done.stdout == "The engine heard: Hello?\n"


async def test_nothing_to_ask_is_a_usage_error(gateway: Gateway) -> None:
    done = await run("chat", *address(gateway), input="")
    assert done.exit_code == Exit.USAGE
    assert "nothing to ask" in done.stderr


async def test_json_is_the_whole_answer(gateway: Gateway, engine: FakeVllm) -> None:
    done = await run("chat", "Hello?", "--json", "--max-tokens", "3", *address(gateway))
    answer = json.loads(done.stdout)
    assert answer["object"] == "chat.completion"
    assert engine.requests()[0].json["max_tokens"] == 3


def _cites(_: Chat) -> str:
    return "31 months [1]."


@pytest.fixture
async def grounded(gateway: Gateway, passages: FakePassages, engine: FakeVllm) -> list[str]:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    passages.find = lambda query: [make_passage(next(iter(query.stores)), 1, "The K2 has a warranty of 31 months.")]
    engine.reply = _cites
    await client.post("/api/assistants", json={"name": "support"})
    body: dict[str, Any] = {"retrieval": {"vector_stores": [store]}}
    assert (await client.post("/api/assistants/support/releases", json=body)).status_code == 201
    rollout = {"stages": [{"release": 1, "weight": 100}], "revision": 0}
    assert (await client.put("/api/assistants/support/rollout", json=rollout)).status_code == 200
    return address(gateway, client.headers["authorization"].removeprefix("Bearer "))


async def test_sources_are_told_on_stderr(grounded: list[str]) -> None:
    done = await run("chat", "How long is the warranty?", *grounded)
    assert done.stdout == "31 months [1].\n"
    assert "source 1: 1.md" in done.stderr
    assert "/citations/1" in done.stderr


async def test_a_wrong_key_is_denied(gateway: Gateway) -> None:
    done = await run("chat", "Hello?", "-m", "base", *address(gateway, "sk-braid-wrong"))
    assert done.exit_code == Exit.DENIED
    assert "isn't known" in done.stderr


async def test_an_unknown_model_is_not_found(gateway: Gateway) -> None:
    done = await run("chat", "Hello?", "-m", "nobody", *address(gateway))
    assert done.exit_code == Exit.NOT_FOUND
    assert "nobody" in done.stderr


async def test_a_stream_that_breaks_off_fails(gateway: Gateway, engine: FakeVllm) -> None:
    engine.script(Fault("cut", after=2))
    done = await run("chat", "Hello there, how are you?", "-m", engine.model, *address(gateway))
    assert done.exit_code == Exit.FAILED
    assert "Traceback" not in done.output


async def test_nobody_there_is_unreachable(unused_tcp_port: int) -> None:
    done = await run("chat", "Hello?", "--url", f"http://127.0.0.1:{unused_tcp_port}", "--key", "k")
    assert done.exit_code == Exit.UNREACHABLE
    assert "braid up" in done.stderr


async def test_a_conversation_ends_with_an_empty_line(
    gateway: Gateway, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["Hello?", "And now?", ""])
    monkeypatch.setattr(chat, "input", lambda prompt: next(lines), raising=False)
    async with Client(gateway.url, ADMIN_KEY) as client:
        await chat.converse(client, {"model": engine.model, "messages": []})
    assert [len(request.json["messages"]) for request in engine.requests()] == [1, 3]
    assert engine.requests()[1].json["messages"][1]["content"] == "The engine heard: Hello?"


async def test_a_conversation_ends_with_the_input(
    gateway: Gateway, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(chat, "input", closed, raising=False)
    async with Client(gateway.url, ADMIN_KEY) as client:
        await chat.converse(client, {"model": engine.model, "messages": []})
    assert engine.requests() == []


async def test_with_several_models_one_has_to_be_named(grounded: list[str], gateway: Gateway) -> None:
    key = grounded[-1]
    async with gateway.client(key) as client:
        await client.post("/api/assistants", json={"name": "sales"})
        await client.post("/api/assistants/sales/releases", json={})
        rollout = {"stages": [{"release": 1, "weight": 100}], "revision": 0}
        await client.put("/api/assistants/sales/rollout", json=rollout)
    done = await run("chat", "Hello?", *grounded)
    assert done.exit_code == Exit.USAGE
    assert "--model" in done.stderr
    assert "sales" in done.stderr


async def test_a_key_that_may_only_chat_finds_the_only_model(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel", scopes=("chat",))
    key = client.headers["authorization"].removeprefix("Bearer ")
    done = await run("chat", "Hello?", *address(gateway, key))
    assert done.stdout == "The engine heard: Hello?\n"
