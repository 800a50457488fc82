import asyncio
import json
from typing import Any

import msgspec
import pytest

from gateway.evaluation.labels import LabelledQuestion
from gateway.evaluation.retrieval_page import render_page
from gateway.evaluation.retrieval_report import RetrievalReport
from gateway.evaluation_jobs.label_inputs import LabelInputs, read_inputs
from retrieval.messages import MatchFeatures, Weights
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import on_both_databases
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import Client, harbor, index, kestrel

__all__ = ["harbor", "index", "kestrel", "settings"]

URL = "/api/evaluations"
QUESTIONS = [
    {"question": "warranty of the kettle", "documents": ["warranty.md"], "answer": "24 months"},
    {"question": "what the kettle costs", "documents": ["price"]},
    {"question": "when the shop opens", "documents": ["hours.md"]},
    {"question": "zebra", "documents": []},
]


@pytest.fixture
async def store(kestrel: Client) -> str:
    store = await kestrel.store(name="shop")
    await kestrel.put(store, "warranty.md", "The warranty of the kettle is 24 months.")
    await kestrel.put(store, "price.md", "The kettle costs 40 euros.")
    await kestrel.put(store, "hours.md", "The shop opens at nine.")
    await kestrel.settle()
    return store


async def ask(client: Client, store: str, **more: Any) -> dict[str, Any]:
    return await client.ok("POST", URL, json={"kind": "retrieval", "vector_store_id": store, **more})


@on_both_databases
async def test_an_evaluation_is_made_listed_and_read(kestrel: Client, store: str) -> None:
    queued = await ask(kestrel, store, questions=QUESTIONS, score_threshold=0.4)
    assert (queued["status"], queued["questions"], queued["total"], queued["done"]) == ("queued", 4, 4, 0)
    early = await kestrel.fault(409, "GET", f"{URL}/{queued['id']}/report")
    assert early["code"] == "no_report"
    await kestrel.settle()
    done = await kestrel.ok("GET", f"{URL}/{queued['id']}")
    assert (done["status"], done["done"], done["error"]) == ("succeeded", 4, None)
    assert done["finished_at"] >= done["created_at"]
    report = await kestrel.ok("GET", f"{URL}/{queued['id']}/report")
    assert await kestrel.ok("GET", f"{URL}/{queued['id']}/report", headers={"range": "bytes=99999999-"}) == report
    assert (report["kind"], report["source"], report["store"], report["score_threshold"]) == (
        *("retrieval", "request", store),
        0.4,
    )
    results = {result["text"]: result for result in report["configurations"][0]["results"]}
    assert results["what the kettle costs"]["expected"] == ["price.md"]
    assert all(one["metrics"]["mrr"] == 1.0 for text, one in results.items() if text != "zebra")
    assert (results["zebra"]["ranking"], results["zebra"]["probability"]) == ([], 0.0)
    assert "svg" in render_page(msgspec.convert(report, RetrievalReport))


async def test_abstention_is_that_of_an_assistant_unless_a_score_is_asked_for(
    kestrel: Client, store: str, index: FakeRetriever
) -> None:
    index.match = lambda score: MatchFeatures(names=1.0)  # unlikely to answer, however high the score
    limits: list[dict[str, float]] = [{}, {"least_probability": 0}, {"score_threshold": 0.01}]
    ids = [(await ask(kestrel, store, questions=QUESTIONS, **limit))["id"] for limit in limits]
    await kestrel.settle()
    counts: list[int] = []
    for id in ids:
        (configuration,) = (await kestrel.ok("GET", f"{URL}/{id}/report"))["configurations"]
        counts.append(sum(half["abstention"]["abstained"] for half in configuration["halves"].values()))
    assert counts == [4, 0, 1]
    assert [(await kestrel.ok("GET", f"{URL}/{id}"))["score_threshold"] for id in ids] == [None, None, 0.01]


async def test_ways_to_search_one_store_are_compared(kestrel: Client, store: str, index: FakeRetriever) -> None:
    ways = [{"hybrid_search": {"embedding_weight": 1, "text_weight": 3}}, {"rerank": True}]
    queued = await ask(kestrel, store, questions=QUESTIONS, against_options=ways[:1])
    assert queued["total"] == 2 * len(QUESTIONS)
    failed = await ask(kestrel, store, questions=QUESTIONS, against_options=ways)
    await kestrel.settle()
    report = await kestrel.ok("GET", f"{URL}/{queued['id']}/report")
    assert [one["name"] for one in report["configurations"]] == [store, f"{store}, weights 1:3"]
    assert {one["configuration"] for one in report["comparisons"]} == {f"{store}, weights 1:3"}
    assert [query.weights for query in index.queries[: queued["total"]]] == [None] * 4 + [Weights(1, 3)] * 4
    ended = await kestrel.ok("GET", f"{URL}/{failed['id']}")  # this retriever has no reranker
    assert (ended["status"], ended["error"]["code"]) == ("failed", "rerank_failed")
    body = {"kind": "retrieval", "vector_store_id": store, "questions": QUESTIONS, "against_options": [{}]}
    assert "the usual search" in (await kestrel.fault(400, "POST", URL, json=body))["message"]


def test_questions_that_an_earlier_version_queued_are_read() -> None:
    questions = [LabelledQuestion("1", "What?", {"a": 1})]
    data = msgspec.json.encode(questions)
    assert read_inputs(data, 0.0) == LabelInputs(questions)
    assert read_inputs(data, 0.4).score_threshold == read_inputs(data, 0.4).least_probability == 0.4
    inputs = LabelInputs(questions, least_probability=0.6)
    assert read_inputs(msgspec.json.encode(inputs), 0.0) == inputs


async def test_evaluations_are_paged(kestrel: Client, store: str) -> None:
    ids = [(await ask(kestrel, store, questions=QUESTIONS[:1]))["id"] for _ in range(3)]
    first = await kestrel.ok("GET", URL, params={"limit": 2, "order": "asc"})
    assert ([row["id"] for row in first["data"]], first["has_more"]) == (ids[:2], True)
    rest = await kestrel.ok("GET", URL, params={"order": "asc", "after": first["last_id"]})
    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (ids[2:], False)
    back = await kestrel.ok("GET", URL, params={"order": "asc", "before": ids[2], "limit": 1})
    assert ([row["id"] for row in back["data"]], back["has_more"]) == (ids[1:2], True)


async def test_questions_come_from_an_uploaded_file_and_stores_are_compared(kestrel: Client, store: str) -> None:
    other = await kestrel.store(name="other")
    for key in ("warranty.md", "price.md", "hours.md"):
        await kestrel.put(other, key, "Nothing here.")
    await kestrel.settle()
    lines = "\n".join(map(json.dumps, QUESTIONS))
    file = await kestrel.file(lines.encode(), "labels.jsonl")
    queued = await ask(kestrel, store, file_id=file, against=[other, store])
    assert (queued["source"], queued["against"], queued["total"]) == ("labels.jsonl", [other], 8)
    await kestrel.settle()
    report = await kestrel.ok("GET", f"{URL}/{queued['id']}/report")
    assert [one["name"] for one in report["configurations"]] == [store, other]
    assert all("recall@5" in one["worse"] for one in report["comparisons"] if one["differences"])


async def test_what_cannot_be_evaluated_is_refused_at_once(kestrel: Client, harbor: Client, store: str) -> None:
    file = await kestrel.file(b"question,document\n,a.md\n", "labels.csv")
    body: dict[str, Any] = {"kind": "retrieval", "vector_store_id": store}
    bad = await kestrel.fault(400, "POST", URL, json={**body, "file_id": file})
    assert (bad["code"], "line 2: it has no question" in bad["message"]) == ("invalid_labels", True)
    same = [{"id": "1", "question": "a", "documents": []}, {"id": "1", "question": "b", "documents": []}]
    twice = await kestrel.fault(400, "POST", URL, json={**body, "questions": same})
    assert (twice["code"], twice["param"]) == ("invalid_labels", "questions[1].id")
    both = await kestrel.fault(400, "POST", URL, json={**body, "questions": QUESTIONS, "file_id": file})
    assert "either questions or file_id" in both["message"]
    await kestrel.fault(404, "POST", URL, json={**body, "file_id": "file-nowhere"})
    foreign = {**body, "vector_store_id": await harbor.store()}
    await kestrel.fault(404, "POST", URL, json={**foreign, "questions": QUESTIONS})


async def test_labels_without_their_documents_fail_with_what_to_do(kestrel: Client, store: str) -> None:
    queued = await ask(kestrel, store, questions=[{"question": "x", "documents": ["lost.md"]}])
    await kestrel.settle()
    failed = await kestrel.ok("GET", f"{URL}/{queued['id']}")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "invalid_labels")
    assert "lost.md" in failed["error"]["message"]
    assert "braid docs add" in failed["error"]["message"]


async def test_a_retriever_that_is_away_delays_and_a_store_that_is_gone_fails(
    kestrel: Client, store: str, index: FakeRetriever
) -> None:
    queued = await ask(kestrel, store, questions=QUESTIONS)
    index.fail("search", 100)
    await kestrel.settle()
    assert (await kestrel.ok("GET", f"{URL}/{queued['id']}"))["status"] == "running"
    del index.before["search"]
    gone = await ask(kestrel, store, questions=QUESTIONS)
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    assert (await kestrel.ok("POST", f"{URL}/{queued['id']}/cancel"))["status"] == "cancelled"
    await kestrel.settle()
    ended = await kestrel.ok("GET", f"{URL}/{gone['id']}")
    assert (ended["status"], ended["error"]["code"]) == ("failed", "not_found")


async def test_cancelled_and_deleted_evaluations_are_not_run(kestrel: Client, store: str, index: FakeRetriever) -> None:
    cancelled = await ask(kestrel, store, questions=QUESTIONS)
    deleted = await ask(kestrel, store, questions=QUESTIONS)
    assert (await kestrel.ok("POST", f"{URL}/{cancelled['id']}/cancel"))["status"] == "cancelled"
    twice = await kestrel.fault(400, "POST", f"{URL}/{cancelled['id']}/cancel")
    assert twice["code"] == "job_ended"
    assert (await kestrel.ok("DELETE", f"{URL}/{deleted['id']}"))["deleted"]
    await kestrel.fault(404, "GET", f"{URL}/{deleted['id']}")
    await kestrel.settle()
    assert index.queries == []


async def test_one_that_runs_stops_when_it_is_cancelled(kestrel: Client, store: str, index: FakeRetriever) -> None:
    queued = await ask(kestrel, store, questions=QUESTIONS)
    cancelled = False

    async def cancel() -> None:
        nonlocal cancelled
        if not cancelled:
            cancelled = True
            await kestrel.ok("POST", f"{URL}/{queued['id']}/cancel")
            await asyncio.sleep(1.5)  # a worker looks every second whether its job is to stop

    index.before["search"] = cancel
    await kestrel.settle()
    assert (await kestrel.ok("GET", f"{URL}/{queued['id']}"))["status"] == "cancelled"
    assert len(index.queries) < len(QUESTIONS)
