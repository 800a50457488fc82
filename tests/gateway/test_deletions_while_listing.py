"""Every list from which clients delete, walked page by page while its items go: what stays is seen exactly once."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.evaluation_jobs.repository import EvaluationRepository
from gateway.evaluation_jobs.tables import EvaluationRow
from gateway.feedback.repository import FeedbackRepository
from gateway.feedback.tables import FeedbackRow
from gateway.ids import new_id, seconds_of
from gateway.tenants.repository import find_tenant
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.test_foreign_ids import EVAL

ITEMS = 8
PROMPTS = [{"messages": [{"role": "user", "content": "How long?"}]}]
Make = Callable[[int], Awaitable[httpx2.Response]]


async def _add_rows(gateway: Gateway, number: int) -> None:
    """Add what only a job makes."""
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        id, key = new_id("adapter_"), new_id("eval_")
        adapter = AdapterRow(id=id, created_at=seconds_of(id, id), name=f"house{number}", base_model="base")
        adapter.source, adapter.model, adapter.served_name = "job", f"ft:{number}", f"ft:{number}"
        adapter.digest, adapter.rank, adapter.status, adapter.manifest = "0" * 64, 16, "ready", {"probe": []}
        AdapterRepository(session, tenant.id).add(adapter)
        evaluation = EvaluationRow(id=key, created_at=seconds_of(key, key), kind="retrieval", status="failed")
        evaluation.source, evaluation.stores, evaluation.score_threshold = "questions", ["vs"], 0.0
        evaluation.questions_digest, evaluation.questions, evaluation.total = "0" * 64, 1, 1
        EvaluationRepository(session, tenant.id).add(evaluation)
        id = new_id("feedback_")
        feedback = FeedbackRow(id=id, created_at=seconds_of(id, id), updated_at=1, answer_id="a", voter=str(number))
        feedback.model, feedback.rating, feedback.bytes = "base", "up", 1
        FeedbackRepository(session, tenant.id).add(feedback)


async def _fill(gateway: Gateway, client: httpx2.AsyncClient, store: str) -> None:
    for number in range(ITEMS):
        form = {"file": (f"{number}.txt", b"31 months."), "purpose": (None, "assistants")}
        file = (await client.post("/v1/files", files=form)).json()["id"]
        made = [
            await client.post(f"/v1/vector_stores/{store}/files", json={"file_id": file}),
            await client.post("/v1/vector_stores", json={"name": str(number)}),
            await client.post("/v1/evals", json=EVAL),
            await client.post("/api/comparisons", json={"models": ["base"] * 2, "prompts": PROMPTS}),
            await client.post("/api/keys", json={"tenant": "kestrel", "name": str(number), "scopes": ["chat"]}),
        ]
        assert {answer.status_code for answer in made} <= {200, 201, 202}, [answer.text for answer in made]
        await _add_rows(gateway, number)


def _name(item: dict[str, Any]) -> str:
    return item.get("id") or item["key"]  # of a document


async def _walk(client: httpx2.AsyncClient, path: str, page: dict[str, Any], gone: Callable[[str], str]) -> None:
    """Walk a list, and delete the last item of each page, and some others, before the next one."""
    backward = "before" in page
    chance = random.Random(str(sorted(page.items())))
    listed = (await client.get(path, params={"limit": 100, "order": page["order"]})).json()
    whole = [_name(item) for item in listed["data"]]
    if backward:
        page["before"] = listed["last_id"]
        whole.pop()
    there, seen, deleted = whole.copy(), list[str](), set[str]()
    while True:
        answer = await client.get(path, params=page)
        assert answer.status_code == 200, answer.text
        part = [_name(item) for item in answer.json()["data"]]
        assert not set(part) & deleted
        seen = part + seen if backward else seen + part
        if not answer.json()["has_more"]:
            break
        cursor = part[0] if backward else part[-1]
        page["before" if backward else "after"] = answer.json()["first_id" if backward else "last_id"]
        for id in {cursor, chance.choice(there)}:
            assert (await client.delete(gone(id))).status_code in (200, 204), id
            there.remove(id)
            deleted.add(id)
    assert len(deleted) >= 2
    assert [id for id in seen if id not in deleted] == there
    assert len(seen) == len(set(seen))
    wrong = await client.get(path, params={"after": new_id("other_")})
    assert wrong.status_code in (400, 404)


@on_both_databases
@pytest.mark.parametrize(("order", "cursor"), [("desc", "after"), ("asc", "before")])
async def test_what_is_not_deleted_is_seen_exactly_once(
    gateway: Gateway, subtests: pytest.Subtests, order: str, cursor: str
) -> None:
    client = await gateway.tenant("kestrel", ("chat", "manage", "admin"))
    store = (await client.post("/v1/vector_stores", json={"name": "store"})).json()["id"]
    await _fill(gateway, client, store)
    models = {item["id"]: item["model"] for item in (await client.get("/api/adapters")).json()["data"]}
    files = f"/v1/vector_stores/{store}/files"
    lists: dict[str, Callable[[str], str]] = {
        files: lambda id: f"{files}/{id}",
        f"/api/vector_stores/{store}/documents": lambda key: f"/api/vector_stores/{store}/documents/{key}",
        "/v1/files": lambda id: f"/v1/files/{id}",
        "/api/evaluations": lambda id: f"/api/evaluations/{id}",
        "/v1/evals": lambda id: f"/v1/evals/{id}",
        "/api/comparisons": lambda id: f"/api/comparisons/{id}",
        "/api/feedback": lambda id: f"/api/feedback/{id}",
        "/api/adapters": lambda id: f"/v1/models/{models[id]}",
        "/v1/vector_stores": lambda id: f"/v1/vector_stores/{id}",
    }
    for path, gone in lists.items():
        with subtests.test(path):
            if path.endswith("/documents"):
                rest = (await client.get("/v1/files", params={"limit": 100})).json()["data"]
                for file in rest:
                    await client.post(files, json={"file_id": file["id"]})
            page = {"limit": 2, "order": order, **({"before": ""} if cursor == "before" else {})}
            await _walk(client, path, page, gone)
