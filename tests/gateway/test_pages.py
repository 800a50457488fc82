"""Every list, page by page: forwards and backwards, in both orders, nothing twice and nothing left out."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.answers.repository import AnswerDocumentRepository, AnswerRepository
from gateway.answers.tables import AnswerDocumentRow, AnswerRow
from gateway.assistants.service import find_assistant
from gateway.comparisons.repository import (
    ComparisonItemRepository,
    ComparisonRepository,
    ComparisonVoteRepository,
)
from gateway.comparisons.tables import ComparisonItemRow, ComparisonRow, ComparisonVoteRow
from gateway.diagnoses.repository import DiagnosisRepository
from gateway.diagnoses.tables import DiagnosisRow
from gateway.evals.repository import EvalOutputItemRepository, EvalRepository, EvalRunRepository
from gateway.evals.tables import EvalOutputItemRow, EvalRow, EvalRunRow
from gateway.evaluation_jobs.repository import EvaluationRepository
from gateway.evaluation_jobs.tables import EvaluationRow
from gateway.feedback.repository import FeedbackRepository
from gateway.feedback.tables import FeedbackRow
from gateway.sources.repository import SourceItemRepository, SourceRepository
from gateway.sources.tables import SourceItemRow, SourceRow
from gateway.tenants.repository import find_tenant
from tests.gateway.conftest import Gateway, on_both_databases

ITEMS = 5


def _read_documented(lists: str) -> set[str]:
    """Return the paths in a row of the documentation's table of lists."""
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    (paths,) = re.findall(rf"^\| {lists}[^|]* \| (.+) \|$", text, re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", paths))


NEWEST_FIRST = _read_documented("begin with the newest")
FORWARDS_ONLY = _read_documented("have `limit` and `after` alone")
"""As in OpenAI's contract; the tests of fine-tuning walk them."""
WHOLE = _read_documented("come whole")
"""Lists without pages in OpenAI's contract, one of the operator's own, which is short, and a report that is made when
somebody asks for it."""


async def _fill(gateway: Gateway, client: httpx2.AsyncClient) -> dict[str, str]:
    """Make five of everything that is listed, and return the ids that paths need."""
    files = [await _file(client, number) for number in range(ITEMS)]
    store = (await client.post("/v1/vector_stores", json={"name": "0"})).json()["id"]
    for number in range(1, ITEMS):
        await client.post("/v1/vector_stores", json={"name": str(number)})
    batch = await client.post(f"/v1/vector_stores/{store}/file_batches", json={"file_ids": files})
    assert batch.status_code == 200, batch.text
    for number in range(1, ITEMS + 1):
        made = await client.post("/api/prompts", json={"name": "house", "template": f"You are number {number}."})
        assert made.status_code == 201, made.text
        assert (await client.post("/api/assistants", json={"name": f"support{number}"})).status_code == 201
        assert (await client.post("/api/assistants/support1/releases", json={})).status_code == 201
        rollout = {"stages": [{"release": 1, "weight": 1}], "revision": number - 1}
        assert (await client.put("/api/assistants/support1/rollout", json=rollout)).status_code == 200
        key = {"tenant": "kestrel", "name": f"key {number}", "scopes": ["chat"]}
        assert (await client.post("/api/keys", json=key)).status_code == 201
        assert (await gateway.admin.post("/api/tenants", json={"name": f"tenant{number}"})).status_code == 201
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        for number in range(ITEMS):
            adapter = AdapterRow(id=f"adapter_{number}", created_at=1, name="house", base_model="base", source="job")
            adapter.model = adapter.served_name = f"ft:{number}"
            adapter.digest, adapter.rank, adapter.status, adapter.manifest = "0" * 64, 16, "ready", {"probe": []}
            AdapterRepository(session, tenant.id).add(adapter)
            answer = AnswerRow(id=f"chatcmpl-{number}", created_at=1, model="support", record={})
            AnswerRepository(session, tenant.id).add(answer)
            await session.flush()
            use = AnswerDocumentRow(id=f"use_{number}", created_at=1, answer_id=answer.id, document_id="doc_1")
            use.version, use.index_epoch, use.numbers, use.cited = 1, 1, [1], True
            AnswerDocumentRepository(session, tenant.id).add(use)
            await _add_source(session, tenant.id, store, number)
            await _add_eval(session, tenant.id, number)
            await _add_diagnosis(session, tenant.id, number)
            await _add_votes(session, tenant.id, number)
    return {
        "vector_store_id": store,
        "batch_id": batch.json()["id"],
        "name": "support1",
        "document_id": "doc_1",
        "source_id": "source_0",
        "eval_id": "eval_0",
        "run_id": "evalrun_0",
        "comparison_id": "comparison_0",
    }


async def _add_source(session: AsyncSession, tenant: str, store: str, number: int) -> None:
    """Add a source, an item of the first one, and an evaluation."""
    source = SourceRow(id=f"source_{number}", created_at=1, name=str(number), live_name=str(number), store_id=store)
    source.kind, source.origin, source.prefix, source.status = "folder", {"path": "docs"}, f"{number}/", "synced"
    source.include, source.exclude, source.hidden, source.attributes = [], [], False, {}
    SourceRepository(session, tenant).add(source)
    item = SourceItemRow(id=f"item_{number}", created_at=1, source_id="source_0", key=f"{number}.md")
    SourceItemRepository(session, tenant).add(item)
    evaluation = EvaluationRow(id=f"eval_{number}", created_at=1, kind="retrieval", status="failed", source="questions")
    evaluation.stores, evaluation.score_threshold, evaluation.questions_digest = [store], 0.0, "0" * 64
    evaluation.questions = evaluation.total = 1
    EvaluationRepository(session, tenant).add(evaluation)
    await session.flush()


async def _add_diagnosis(session: AsyncSession, tenant: str, number: int) -> None:
    assistant = await find_assistant(session, tenant, "support1")
    assert assistant is not None
    row = DiagnosisRow(
        id=f"diagnosis_{number}", created_at=1, assistant_id=assistant.id, assistant="support1", number=1
    )
    row.status, row.sources, row.options, row.inputs_digest = "failed", ["request"], {}, "0" * 64
    row.failures, row.passes, row.strands, row.releases = 1, 0, {}, {}
    DiagnosisRepository(session, tenant).add(row)


async def _add_eval(session: AsyncSession, tenant: str, number: int) -> None:
    """Add an eval, a run of the first one, and an output item of the first one's first run."""
    row = EvalRow(id=f"eval_{number}", created_at=1, updated_at=1, name=str(number), meta={}, testing_criteria=[])
    row.data_source_config = {"type": "custom", "item_schema": {}, "include_sample_schema": False}
    EvalRepository(session, tenant).add(row)
    await session.flush()
    run = EvalRunRow(id=f"evalrun_{number}", created_at=1, eval_id="eval_0", name=str(number), meta={}, status="failed")
    run.model, run.data_source, run.items_digest, run.total = (
        "",
        {"type": "jsonl", "source": {"type": "file_id"}},
        "",
        1,
    )
    run.criteria_results, run.usage, run.key = [], [], ""
    EvalRunRepository(session, tenant).add(run)
    await session.flush()
    item = EvalOutputItemRow(id=f"outputitem_{number}", created_at=1, run_id="evalrun_0", number=number, status="pass")
    item.item, item.sample, item.results = {}, {}, []
    EvalOutputItemRepository(session, tenant).add(item)


async def _add_votes(session: AsyncSession, tenant: str, number: int) -> None:
    """Add a comparison, an item of the first one, a vote on it, and feedback on an answer."""
    comparison = ComparisonRow(id=f"comparison_{number}", created_at=1, name="", meta={}, status="succeeded")
    comparison.models, comparison.sampling, comparison.source = ["base", "base"], {}, {"type": "prompts"}
    comparison.seed, comparison.prompts_digest, comparison.bytes, comparison.total, comparison.key = 1, "", 0, 1, ""
    ComparisonRepository(session, tenant).add(comparison)
    await session.flush()
    item = ComparisonItemRow(id=f"compared_{number}", created_at=1, comparison_id="comparison_0", number=number)
    answer = {"answer_id": "a", "text": "b", "finish_reason": "stop", "prompt": ""}
    item.swapped, item.messages, item.answers = False, [], [answer, answer]
    ComparisonItemRepository(session, tenant).add(item)
    await session.flush()
    vote = ComparisonVoteRow(id=f"vote_{number}", created_at=1, comparison_id="comparison_0", item_id=item.id)
    vote.voter, vote.updated_at, vote.preferred = "ann", 1, "a"
    ComparisonVoteRepository(session, tenant).add(vote)
    feedback = FeedbackRow(id=f"feedback_{number}", created_at=1, updated_at=1, answer_id="a", voter=str(number))
    feedback.model, feedback.rating, feedback.bytes = "base", "up", 1
    FeedbackRepository(session, tenant).add(feedback)


async def _file(client: httpx2.AsyncClient, number: int) -> str:
    form = {"file": (f"{number}.txt", b"31 months."), "purpose": (None, "assistants")}
    return (await client.post("/v1/files", files=form)).json()["id"]


def _describe_lists(described: dict[str, Any]) -> dict[str, set[str]]:
    """Return the parameters of each route that answers with a list."""
    lists: dict[str, set[str]] = {}
    for path, methods in described["paths"].items():
        answer = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        name = answer.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if "data" in described["components"]["schemas"].get(name, {}).get("properties", {}):
            lists[path] = {parameter["name"] for parameter in methods["get"].get("parameters", ())}
    return lists


async def _walk(client: httpx2.AsyncClient, path: str, order: str, cursor: str) -> list[str]:
    """Turn the pages of two items from one end of a list, or from its end back; return the items in their order."""
    items: list[str] = []
    page: dict[str, Any] = {"limit": 2, "order": order}
    if cursor == "before":
        whole = (await client.get(path, params={"limit": 100, "order": order})).json()
        items, page["before"] = [json.dumps(whole["data"][-1])], whole["last_id"]
    while True:
        response = await client.get(path, params=page)
        assert response.status_code == 200, response.text
        part = response.json()
        found = [json.dumps(item) for item in part["data"]]
        assert len(found) <= 2
        items = items + found if cursor == "after" else found + items
        if not part["has_more"]:
            return items
        page[cursor] = part["last_id"] if cursor == "after" else part["first_id"]


@on_both_databases
async def test_every_list_has_pages_forwards_and_backwards(gateway: Gateway, subtests: pytest.Subtests) -> None:
    client = await gateway.tenant("kestrel")
    ids = await _fill(gateway, client)
    lists = _describe_lists((await client.get("/openapi.json")).json())
    assert len(lists) > 12
    assert lists.keys() > FORWARDS_ONLY | WHOLE | NEWEST_FIRST
    for template, parameters in sorted(lists.items()):
        if template in FORWARDS_ONLY | WHOLE:
            expected = {"limit", "after"} if template in FORWARDS_ONLY else set[str]()
            with subtests.test(template):
                assert {"limit", "order", "after", "before"} & parameters == expected
            continue
        with subtests.test(template):
            assert {"limit", "order", "after", "before"} <= parameters
            house = {**ids, "name": "house"} if template.startswith("/api/prompts") else ids
            asking = gateway.admin if template == "/api/tenants" else client
            await _check_list(asking, template.format(**house), "desc" if template in NEWEST_FIRST else "asc")


async def _check_list(client: httpx2.AsyncClient, path: str, default: str) -> None:
    ascending = [json.dumps(item) for item in (await client.get(path, params={"order": "asc"})).json()["data"]]
    assert len(ascending) == len(set(ascending)) >= ITEMS
    unasked = [json.dumps(item) for item in (await client.get(path)).json()["data"]]
    assert unasked == (ascending if default == "asc" else ascending[::-1])
    for order, expected in (("asc", ascending), ("desc", ascending[::-1])):
        for cursor in ("after", "before"):
            assert await _walk(client, path, order, cursor) == expected, (order, cursor)
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"order": "up"}, {"after": "nobody"}, {"before": "nobody"}):
        assert (await client.get(path, params=wrong)).status_code in (400, 404), wrong
