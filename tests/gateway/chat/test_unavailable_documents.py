"""Releases whose documents can't be searched, by the reason and by what the release says for that case."""

import asyncio
import json
from typing import Any, cast

import httpx2
import pytest
from structlog.testing import capture_logs

from gateway.answers.log import AnswerLog
from gateway.settings import Settings
from gateway.vector_stores import search
from gateway.vector_stores.tables import StoreRow
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway

MONTH = {"anchor": "last_active_at", "days": 30}
ROWS: dict[str, dict[str, Any]] = {
    "expired": {"last_active_at": 1, "expires_after": MONTH},
    "deleted": {"deleted_at": 1},
    "not whole": {"index_epoch": 1, "index_identity": "fake/words/1", "index_whole": False},
    "unknown index": {"index_epoch": 1, "index_identity": None},
}
"""What is so in the database."""

CASES = {
    "expired": (400, "vector_store_expired", "Modify its expires_after"),
    "deleted": (404, "not_found", "make one without it"),
    "not whole": (503, "retrieval_unavailable", "'braid docs reindex'"),
    "unknown index": (503, "retrieval_unavailable", "'braid docs reindex'"),
    "index_changed": (503, "retrieval_unavailable", "'braid docs reindex'"),
    "retriever_unavailable": (503, "retrieval_unavailable", "Try again"),
    "retriever_busy": (503, "retrieval_unavailable", "Try again"),
    "index_unavailable": (503, "retrieval_unavailable", "Try again"),
    "index_full": (503, "retrieval_unavailable", "Try again"),
    "index_silent": (503, "retrieval_unavailable", "in time"),
    "retriever_silent": (503, "retrieval_unavailable", "in time"),
    "retriever_failed": (503, "retrieval_unavailable", "Try again"),
}
"""By reason, the error of a release that doesn't answer without its documents, and what it says to do."""


PROBLEMS = {
    "expired": "vector_store_expired",
    "deleted": "not_found",
    "retriever_busy": "retriever_busy",
    **dict.fromkeys(("not whole", "unknown index", "index_changed"), "index_changed"),
    **dict.fromkeys(("index_silent", "retriever_silent"), "retriever_timeout"),
}
"""By reason, what the record of an answer without documents says; of all others `retriever_unavailable`."""


async def ask(client: httpx2.AsyncClient, model: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "How long is the warranty?"}]}
    return await client.post("/v1/chat/completions", json=body)


async def make_releases(client: httpx2.AsyncClient, stores: list[str]) -> None:
    """Make `support@1`, which requires its documents, and `support@2`, which goes on without them."""
    await client.post("/api/assistants", json={"name": "support"})
    for mode in ("required", "degrade"):
        spec = {"retrieval": {"vector_stores": stores, "mode": mode}}
        answer = await client.post("/api/assistants/support/releases", json=spec)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("reason", CASES)
async def test_a_release_degrades_for_whatever_reason_its_documents_are_unavailable(
    gateway: Gateway, passages: FakePassages, engine: FakeVllm, reason: str
) -> None:
    client = await gateway.tenant("kestrel")
    passages.find = lambda query: [make_passage(next(iter(query.stores)), 1, "The K2 has 31 months.")]
    stores = [(await client.post("/v1/vector_stores", json={"name": name})).json()["id"] for name in ("a", "b")]
    await make_releases(client, stores)
    if reason in ROWS:
        async with gateway.state.database.begin() as session:
            row = await session.get_one(StoreRow, stores[1])
            for column, value in ROWS[reason].items():
                setattr(row, column, value)
    else:
        passages.code, passages.failing = reason, True

    required, degraded = await ask(client, "support@1"), await ask(client, "support@2")
    error = required.json()["error"]
    status, code, way_out = CASES[reason]
    assert (required.status_code, error["code"]) == (status, code)
    assert way_out in error["message"]
    assert degraded.status_code == 200, degraded.text
    braid = degraded.json()["braid"]
    assert (braid["retrieval"], braid["citations"]) == ("unavailable", [])
    assert degraded.headers["braid-release"].startswith("support@2; rel_")
    assert "31 months" not in json.dumps(json.loads(engine.requests()[-1].body)["messages"])
    record = (await client.get(f"/api/answers/{degraded.json()['id']}")).json()
    assert (record["retrieval"], record["passages"], record["outcome"]) == ("unavailable", [], "completed")
    assert record["retrieval_problem"] == PROBLEMS.get(reason, "retriever_unavailable")


async def test_answers_without_it_do_not_bring_an_expired_store_back(gateway: Gateway, passages: FakePassages) -> None:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs", "expires_after": MONTH})).json()["id"]
    await make_releases(client, [store])
    async with gateway.state.database.begin() as session:
        (await session.get_one(StoreRow, store)).last_active_at = 1
    assert (await ask(client, "support@2")).json()["braid"]["retrieval"] == "unavailable"
    await cast(AnswerLog, gateway.state.parts[AnswerLog]).flush()
    assert (await client.get(f"/v1/vector_stores/{store}")).json()["status"] == "expired"
    assert passages.queries == []
    await client.post(f"/v1/vector_stores/{store}", json={"expires_after": MONTH})
    assert (await ask(client, "support@1")).json()["braid"]["retrieval"] == "nothing_found"


async def test_a_search_that_takes_longer_than_its_time_is_given_up(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_SECONDS", 0.1)
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    async with FakeRetriever(settings.retriever_socket) as retriever:
        retriever.before["search"] = lambda: asyncio.sleep(20)
        await make_releases(client, [store])
        with capture_logs() as lines:
            degraded = await asyncio.wait_for(ask(client, "support@2"), 15)
        (line,) = [line for line in lines if line["event"] == "retrieval_degraded"]
        assert (line["code"], "in time" in line["reason"]) == ("retriever_timeout", True)
        record = (await client.get(f"/api/answers/{degraded.json()['id']}")).json()
        assert (record["retrieval"], record["retrieval_problem"]) == ("unavailable", "retriever_timeout")
        refused = await client.post(f"/v1/vector_stores/{store}/search", json={"query": "warranty"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "retriever_timeout")
