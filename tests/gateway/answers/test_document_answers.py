from typing import Any

import httpx2
import pytest

from gateway.answers.service import delete_old_answers
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway, on_both_databases

ASK = {"model": "support@1", "messages": [{"role": "user", "content": "How long?"}]}


@pytest.fixture
async def client(gateway: Gateway, passages: FakePassages, engine: FakeVllm) -> httpx2.AsyncClient:
    """A tenant whose answers have passages of two documents and cite the first."""
    engine.reply = lambda _chat: "It is 31 months [1]."
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    passages.find = lambda _query: [make_passage(store, 1, "31 months"), make_passage(store, 2, "24 months")]
    await client.post("/api/assistants", json={"name": "support"})
    made = await client.post("/api/assistants/support/releases", json={"retrieval": {"vector_stores": [store]}})
    assert made.status_code == 201, made.text
    return client


async def ask(client: httpx2.AsyncClient) -> str:
    answer = await client.post("/v1/chat/completions", json=ASK)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def answers(client: httpx2.AsyncClient, document: str, **page: Any) -> list[dict[str, Any]]:
    response = await client.get(f"/api/documents/{document}/answers", params=page)
    assert response.status_code == 200, response.text
    return response.json()["data"]


@on_both_databases
async def test_every_answer_that_had_passages_of_a_document_is_listed(
    gateway: Gateway, client: httpx2.AsyncClient
) -> None:
    asked = [await ask(client) for _ in range(3)]
    plain = {"model": "base", "messages": ASK["messages"]}
    assert (await client.post("/v1/chat/completions", json=plain)).status_code == 200
    uses = await answers(client, "doc_1")
    assert [use["answer_id"] for use in uses] == asked
    assert {(use["release"], use["cited"], tuple(use["numbers"])) for use in uses} == {("support@1", True, (1,))}
    others = await answers(client, "doc_2", order="desc", limit=2)
    assert [use["answer_id"] for use in others] == asked[:0:-1]
    assert {use["cited"] for use in others} == {False}
    async with gateway.state.database.begin() as session:
        assert await delete_old_answers(session, 2**40, 1_000) == 4
    assert (await client.get("/api/documents/doc_1/answers")).status_code == 404


async def test_they_are_nobody_elses(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    await ask(client)
    harbor = await gateway.tenant("harbor")
    assert (await harbor.get("/api/documents/doc_1/answers")).status_code == 404
    chat_only = await gateway.tenant("kestrel", ("chat",))
    assert (await chat_only.get("/api/documents/doc_1/answers")).status_code == 403
