"""Options of a release on what was found: boosts, copies, a share per document, neighbours; and what answers tell."""

import json
from typing import Any

import httpx2
import pytest

from retrieval.messages import TextPiece
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway

SAME = "The K2 has a warranty of 31 months."


@pytest.fixture
async def client(gateway: Gateway, passages: FakePassages, engine: FakeVllm) -> httpx2.AsyncClient:
    client = await gateway.tenant("kestrel")
    await gateway.admin.patch("/api/tenants/kestrel", json={"keeps_cited_text": True})
    await client.post("/api/assistants", json={"name": "support"})
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    client.headers["store"] = store
    found = [
        make_passage(store, 1, SAME, heading="K2"),
        make_passage(store, 2, "Other.", document="doc_1", heading="K2", attributes={"area": "kettles"}),
        make_passage(store, 3, SAME.lower(), heading="K2"),
        make_passage(store, 4, "Last.", heading="K2"),
    ]
    passages.find = lambda query: found[: query.limit]
    engine.reply = lambda _chat: "It is 31 months [1]."
    return client


async def ask(client: httpx2.AsyncClient, **retrieval: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    body = {"retrieval": {"vector_stores": [client.headers["store"]], "top_k": 3, **retrieval}}
    release = (await client.post("/api/assistants/support/releases", json=body)).json()["release"]
    asked = {"model": f"support@{release}", "messages": [{"role": "user", "content": "How long is the warranty?"}]}
    answer = (await client.post("/v1/chat/completions", json=asked)).json()
    return answer, (await client.get(f"/api/answers/{answer['id']}")).json()


async def test_without_rules_answers_have_what_was_found(client: httpx2.AsyncClient, passages: FakePassages) -> None:
    _, record = await ask(client, collapse_duplicates=False)
    assert passages.queries[-1].limit == 3
    assert passages.reads == []
    assert [(one["document_id"], one["copy"], one["boost"]) for one in record["passages"]] == [
        ("doc_1", False, 1.0),
        ("doc_1", False, 1.0),
        ("doc_3", False, 1.0),
    ]


async def test_a_copys_document_is_cited_too(client: httpx2.AsyncClient, engine: FakeVllm) -> None:
    answer, record = await ask(client)
    assert json.loads(engine.requests()[-1].body)["messages"][-1]["content"].lower().count(SAME.lower()) == 1
    assert [(one["number"], one["document_id"], one["copy"], one["cited"]) for one in record["passages"]] == [
        (1, "doc_1", False, True),
        (1, "doc_3", True, True),
        (2, "doc_1", False, False),
        (3, "doc_4", False, False),
    ]
    assert [source["document_id"] for source in answer["braid"]["citations"]] == ["doc_1", "doc_3"]
    annotations = [one["url_citation"] for one in answer["choices"][0]["message"]["annotations"]]
    assert [one["title"] for one in annotations] == ["1.md", "3.md"]
    assert annotations[0]["start_index"] == annotations[1]["start_index"]
    sources = [(await client.get(one["url"])).json() for one in annotations]
    assert [(one["document_id"], one["text"]) for one in sources] == [("doc_1", SAME), ("doc_3", SAME.lower())]
    uses = (await client.get("/api/documents/doc_3/answers")).json()["data"]
    assert [(use["answer_id"], use["numbers"], use["cited"]) for use in uses] == [(answer["id"], [1], True)]


async def test_boosts_rank_and_one_document_has_its_share(client: httpx2.AsyncClient, passages: FakePassages) -> None:
    boost = {"attribute": "area", "value": "kettles", "weight": 0.5}
    _, record = await ask(client, boosts=[boost], max_per_document=1, collapse_duplicates=False)
    assert passages.queries[-1].limit == 9
    assert [(one["document_id"], one["boost"], one["score"]) for one in record["passages"]] == [
        ("doc_1", 1.5, 0.8),
        ("doc_3", 1.0, 0.7),
        ("doc_4", 1.0, 0.6),
    ]


async def test_a_passage_is_extended_by_its_neighbours(client: httpx2.AsyncClient, passages: FakePassages) -> None:
    passages.pieces = {"doc_4": [TextPiece(46, 50, "More", "K2")]}
    _, record = await ask(client, expand="neighbours", top_k=4, passage_characters=500, collapse_duplicates=False)
    last = record["passages"][-1]
    assert (last["text"], last["neighbours"], last["start"], last["end"]) == ("Last.\n\nMore", 1, 40, 50)
    assert {read.document: read.index_epoch for read in passages.reads} == {"doc_1": 0, "doc_3": 0, "doc_4": 0}


@pytest.mark.parametrize(
    ("retrieval", "where"),
    [
        ({"boosts": [{"attribute": "a", "weight": 0.5}]}, "boosts"),
        ({"boosts": [{"attribute": "a", "weight": 0.5, "value": "x", "half_life_days": 3}]}, "boosts"),
        ({"boosts": [{"attribute": "a", "weight": 2, "value": "x"}]}, "boosts"),
        ({"max_per_document": 0}, "max_per_document"),
        ({"expand": "all"}, "expand"),
        ({"passage_characters": 1}, "passage_characters"),
    ],
)
async def test_options_that_cannot_be_meant_are_refused(
    client: httpx2.AsyncClient, retrieval: dict[str, Any], where: str
) -> None:
    body = {"retrieval": {"vector_stores": [client.headers["store"]], **retrieval}}
    answer = await client.post("/api/assistants/support/releases", json=body)
    assert answer.status_code == 400, answer.text
    assert where in answer.json()["error"]["param"]
