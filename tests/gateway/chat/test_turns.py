"""Turns of a conversation: small talk isn't searched for, follow-ups are rewritten, and the record says so."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import Gateway

EARLIER = [
    {"role": "user", "content": "How long is the warranty of the K2?"},
    {"role": "assistant", "content": "31 months [1]."},
]
REWRITTEN = "Can I extend the warranty of the K2?"


class Support:
    """A tenant's client with a store; `ask` returns the answer, and the record's decision."""

    def __init__(self, client: httpx2.AsyncClient, store: str) -> None:
        self.client = client
        self.store = store

    async def release(self, **retrieval: Any) -> int:
        body = {"retrieval": {"vector_stores": [self.store], **retrieval}}
        made = await self.client.post("/api/assistants/support/releases", json=body)
        assert made.status_code == 201, made.text
        return made.json()["release"]

    async def ask(self, release: int, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
        messages = [*EARLIER, {"role": "user", "content": text}]
        answer = await self.client.post(
            "/v1/chat/completions", json={"model": f"support@{release}", "messages": messages}
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        record = (await self.client.get(f"/api/answers/{body['id']}")).json()
        return body, record["search"]


@pytest.fixture
async def support(gateway: Gateway, passages: FakePassages, engine: FakeVllm) -> Support:
    def reply(chat: Chat) -> str:
        return REWRITTEN if "Rewritten question:" in chat.last else "You're welcome [1]."

    engine.reply = reply
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    passages.find = lambda query: [make_passage(store, 1, query.text)]
    await client.post("/api/assistants", json={"name": "support"})
    return Support(client, store)


async def test_small_talk_is_searched_for_only_where_the_release_says_so(
    support: Support, passages: FakePassages
) -> None:
    body, search = await support.ask(await support.release(), "Thanks a lot!")
    assert body["braid"]["retrieval"] == "skipped"
    assert body["choices"][0]["message"]["content"] == "You're welcome."  # no mark without a passage
    assert (search["kind"], search["rule"], search["searched"], search["queries"]) == ("small_talk", "words", False, [])
    assert passages.queries == []
    body, search = await support.ask(await support.release(when="always"), "Thanks a lot!")
    assert body["braid"]["retrieval"] == "found"
    assert (search["kind"], search["queries"]) == ("small_talk", ["Thanks a lot!"])


async def test_a_follow_up_is_rewritten_where_the_release_says_so(support: Support, passages: FakePassages) -> None:
    _, search = await support.ask(await support.release(), "Can I extend it?")
    assert (search["rewriting"], search["queries"]) == ("off", ["Can I extend it?"])
    auto = await support.release(rewrite="auto")
    _, search = await support.ask(auto, "Can I extend it?")
    assert (search["kind"], search["rewriting"]) == ("follow_up", "rewritten")
    assert search["queries"] == [REWRITTEN, "Can I extend it?"]
    assert search["rewriting_ms"] > 0
    assert {query.text for query in passages.queries[-2:]} == set(search["queries"])
    _, search = await support.ask(auto, "How do I descale the K2?")
    assert (search["rewriting"], search["rewriting_ms"]) == ("not_needed", None)
    _, search = await support.ask(await support.release(rewrite="always"), "How long can the K2 be extended?")
    assert search["rewriting"] == "rewritten"


async def test_options_that_are_as_before_are_not_in_the_digest(support: Support) -> None:
    await support.release(when="always", rewrite="never")
    spec = (await support.client.get("/api/assistants/support/releases")).json()["data"][0]["spec"]["retrieval"]
    assert not {"when", "rewrite"} & set(spec)
    first, second = await asyncio.gather(support.release(rewrite="auto"), support.release(rewrite="always"))
    assert first != second


async def test_a_search_rewrites_its_query_where_it_is_asked_to(
    support: Support, engine: FakeVllm, gateway: Gateway
) -> None:
    path = f"/v1/vector_stores/{support.store}/search"
    engine.reply = lambda _chat: "K2 warranty extension"
    asked = {"query": "Hi, could you tell me about the extension of the K2 warranty?", "rewrite_query": True}
    page = (await support.client.post(path, json=asked)).json()
    assert page["search_query"] == ["K2 warranty extension"]
    assert page["data"][0]["content"][0]["text"] == "K2 warranty extension"
    page = (await support.client.post(path, json={**asked, "rewrite_query": False})).json()
    assert page["search_query"] == [asked["query"]]
    number = len(engine.requests())
    assert (await support.client.post("/v1/vector_stores/vs_none/search", json=asked)).status_code == 404
    assert len(engine.requests()) == number, "it rewrites nothing for a store that can't be searched"
    await engine.stop()
    answer = await support.client.post(path, json=asked)
    assert (answer.status_code, answer.json()["search_query"]) == (200, [asked["query"]])
