"""A document whose deletion has returned is cited by no answer that ends later, in any of the forms of an answer."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from sqlalchemy.exc import OperationalError

from gateway.answering import source_check
from gateway.answering.service import AnsweringService
from gateway.chat.in_process import InProcessChat
from gateway.tenants.authenticator import Scope
from tests.fakes import faults
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client, settings
from tests.waiting import until

__all__ = ["settings"]

LONG = "It is surely nine months , as it says right here [1] and also there [2] ."
ASKED = [{"role": "user", "content": "How long is the warranty of the kettle?"}]
Ask = Callable[[Client, FakeVllm], Coroutine[Any, Any, dict[str, Any]]]


@pytest.fixture
async def store(kestrel: Client, engine: FakeVllm) -> str:
    """A store of two documents that the release shows, and a reply that takes its time and cites both."""
    store = await kestrel.store(name="kettles")
    await kestrel.put(store, "first.md", "The warranty of the kettle is nine months.")
    await kestrel.put(store, "second.md", "How long the warranty of the other kettle is: two years.")
    await kestrel.settle()
    http = kestrel.http
    assert (await http.post("/api/assistants", json={"name": "support"})).status_code == 201
    retrieval = {"vector_stores": [store], "least_probability": 0}
    release = await http.post("/api/assistants/support/releases", json={"retrieval": retrieval})
    assert release.status_code == 201, release.text
    engine.reply, engine.gap = lambda _chat: LONG, 0.02
    return store


def read_data(text: str) -> list[dict[str, Any]]:
    lines = text.split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


async def complete(client: Client, _engine: FakeVllm) -> dict[str, Any]:
    body = await client.ok("POST", "/v1/chat/completions", json={"model": "support@1", "messages": ASKED})
    annotations = body["choices"][0]["message"]["annotations"]
    return {**body, "titles": [one["url_citation"]["title"] for one in annotations]}


async def stream(client: Client, _engine: FakeVllm) -> dict[str, Any]:
    asked = {"model": "support@1", "messages": ASKED, "stream": True}
    events = read_data((await client.http.post("/v1/chat/completions", json=asked)).text)
    (last,) = [event for event in events if "braid" in event]
    annotations = last["choices"][0]["delta"].get("annotations", [])
    return {**last, "titles": [one["url_citation"]["title"] for one in annotations]}


async def respond(client: Client, _engine: FakeVllm) -> dict[str, Any]:
    body = await client.ok("POST", "/v1/responses", json={"model": "support@1", "input": ASKED[0]["content"]})
    return {**body, "titles": [one["title"] for one in body["output"][-1]["content"][0]["annotations"]]}


async def stream_response(client: Client, _engine: FakeVllm) -> dict[str, Any]:
    asked = {"model": "support@1", "input": ASKED[0]["content"], "stream": True}
    body = read_data((await client.http.post("/v1/responses", json=asked)).text)[-1]["response"]
    return {**body, "titles": [one["title"] for one in body["output"][-1]["content"][0]["annotations"]]}


async def use_tools(client: Client, _engine: FakeVllm) -> dict[str, Any]:
    """Ask beside a tool, where every passage counts as cited and there are no marks."""
    function = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
    asked = {"model": "support@1", "messages": ASKED, "tools": [function], "tool_choice": "none"}
    body = await client.ok("POST", "/v1/chat/completions", json=asked)
    return {**body, "titles": [source["filename"] for source in body["braid"]["citations"]]}


FORMS = [complete, stream, respond, stream_response, use_tools]


async def ask_and_delete(ask: Ask, client: Client, engine: FakeVllm, store: str) -> dict[str, Any]:
    """Delete one of the two documents while the answer is made; return the answer."""
    before = len(engine.requests())
    asking = asyncio.create_task(ask(client, engine))
    await until(lambda: len(engine.requests()) > before)
    await client.ok("DELETE", f"/api/vector_stores/{store}/documents/first.md")
    assert not asking.done()
    return await asking


@pytest.mark.parametrize("ask", FORMS)
async def test_what_was_deleted_meanwhile_is_not_cited(kestrel: Client, engine: FakeVllm, store: str, ask: Ask) -> None:
    answer = await ask_and_delete(ask, kestrel, engine, store)
    assert [source["document_key"] for source in answer["braid"]["citations"]] == ["second.md"]
    assert answer["titles"] == ["second.md"]
    record = await kestrel.ok("GET", f"/api/answers/{answer['id']}")
    told = {one["document_key"]: (one["cited"], one["withdrawn"], one["deleted"]) for one in record["passages"]}
    assert told == {"first.md": (False, "deleted", True), "second.md": (True, "", False)}
    (first,) = {one["document_id"] for one in record["passages"] if one["deleted"]}
    (use,) = (await kestrel.ok("GET", f"/api/documents/{first}/answers"))["data"]
    assert use["cited"] is False


@pytest.mark.parametrize("ask", FORMS)
async def test_what_is_there_is_cited_as_before(kestrel: Client, engine: FakeVllm, store: str, ask: Ask) -> None:
    engine.gap = 0
    answer = await ask(kestrel, engine)
    assert {source["document_key"] for source in answer["braid"]["citations"]} == {"first.md", "second.md"}
    assert set(answer["titles"]) == {"first.md", "second.md"}


async def test_a_response_that_breaks_off_cites_nothing_deleted(kestrel: Client, engine: FakeVllm, store: str) -> None:
    engine.script(faults.Fault("cut", after=20))
    answer = await ask_and_delete(stream_response, kestrel, engine, store)
    assert answer["status"] == "failed"
    assert [source["document_key"] for source in answer["braid"]["citations"]] in ([], ["second.md"])


async def test_a_run_of_an_eval_cites_nothing_deleted(
    kestrel: Client, gateway: Gateway, engine: FakeVllm, store: str
) -> None:
    chat = InProcessChat(cast(AnsweringService, gateway.state.parts[AnsweringService]), grammars=False)

    async def ask(_client: Client, _engine: FakeVllm) -> dict[str, Any]:
        principal = await gateway.state.authenticator.authenticate(kestrel.http.headers["authorization"], Scope.CHAT)
        return json.loads((await chat.complete(principal, {"model": "support@1", "messages": ASKED}))[0])

    answer = await ask_and_delete(ask, kestrel, engine, store)
    assert [source["document_key"] for source in answer["braid"]["citations"]] == ["second.md"]


@pytest.mark.parametrize("ask", [complete, stream, respond, stream_response])
async def test_nothing_is_looked_up_where_nothing_is_cited(
    kestrel: Client, engine: FakeVllm, store: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    find_live = source_check.find_live

    async def count(*arguments: Any) -> set[str]:
        nonlocal looks
        looks += 1
        return await find_live(*arguments)

    monkeypatch.setattr(source_check, "find_live", count)
    engine.gap = 0
    engine.reply = lambda _chat: "It is nine months. More isn't known."
    assert (await ask(kestrel, engine))["braid"]["citations"] == []
    assert looks == 0
    engine.reply = lambda _chat: LONG
    await ask(kestrel, engine)
    assert looks == 1


@pytest.mark.parametrize("reply", ["Nine months [1]", "[1]", "Nine months 【1】", "Nine [1][2]"])
async def test_a_mark_at_the_very_end_is_looked_up_too(
    kestrel: Client, engine: FakeVllm, store: str, reply: str
) -> None:
    engine.reply, engine.gap = lambda _chat: reply, 0.2
    keys: set[str] = set()
    for ask in (complete, stream):
        await kestrel.put(store, "first.md", "The warranty of the kettle is nine months.")
        await kestrel.settle()
        answer = await ask_and_delete(ask, kestrel, engine, store)
        keys |= {source["document_key"] for source in answer["braid"]["citations"]}
    assert keys <= {"second.md"}


@pytest.mark.parametrize("ask", FORMS)
@pytest.mark.parametrize("fault", [OperationalError("SELECT", {}, Exception("gone")), TimeoutError()])
async def test_nothing_is_cited_where_the_database_cannot_tell(
    kestrel: Client, engine: FakeVllm, store: str, ask: Ask, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: Any) -> set[str]:
        raise fault

    monkeypatch.setattr(source_check, "find_live", fail)
    engine.gap = 0
    answer = await ask(kestrel, engine)
    assert (answer["braid"]["citations"], answer["titles"]) == ([], [])
    record = await kestrel.ok("GET", f"/api/answers/{answer['id']}")
    assert [(one["cited"], one["withdrawn"]) for one in record["passages"]] == [(False, "unchecked")] * 2


async def test_a_database_that_is_slow_holds_up_the_end_of_one_choice_only(
    kestrel: Client, engine: FakeVllm, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def fail(*_arguments: Any) -> set[str]:
        nonlocal looks
        looks += 1
        raise TimeoutError

    monkeypatch.setattr(source_check, "find_live", fail)
    engine.gap = 0.001
    asked = {"model": "support@1", "messages": ASKED, "stream": True, "n": 4, "temperature": 1}
    events = read_data((await kestrel.http.post("/v1/chat/completions", json=asked)).text)
    ends = [choice for event in events for choice in event["choices"] if choice["finish_reason"]]
    assert len(ends) == 4
    assert [event["braid"]["citations"] for event in events if "braid" in event] == [[]]
    assert looks == 1
