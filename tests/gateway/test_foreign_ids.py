"""Another tenant's ids on every route that takes one: each is a 404, as if it had never been."""

import json
from typing import Any

import httpx2
import pytest

from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.comparisons.repository import ComparisonItemRepository
from gateway.comparisons.tables import ComparisonItemRow
from gateway.evals.repository import EvalOutputItemRepository
from gateway.evals.tables import EvalOutputItemRow
from gateway.tenants.repository import find_tenant
from tests.architecture.test_routes import SIGNED, routes
from tests.fakes.passages import FakePassages, make_passage
from tests.gateway.conftest import Gateway, on_both_databases

ROWS = b"\n".join(
    json.dumps(
        {"messages": [{"role": "user", "content": f"Q{n}?"}, {"role": "assistant", "content": f"A{n}."}]}
    ).encode()
    for n in range(12)
)
ADAPTER = "ft:base:kestrel:house:00000000"
NOT_THERE = ("/content", "/report", "/export", "/page")
"""Ends of paths to bytes that nobody has made here."""

EVAL: dict[str, Any] = {
    "data_source_config": {"type": "custom", "item_schema": {"type": "object"}, "include_sample_schema": True},
    "testing_criteria": [
        {"type": "string_check", "name": "right", "operation": "eq", "input": "{{ item.a }}", "reference": "b"}
    ],
}
RUN: dict[str, Any] = {
    "data_source": {"type": "jsonl", "source": {"type": "file_content", "content": [{"item": {"a": "b"}}]}}
}
# What a route needs besides ids, so that only the ids can be what is refused.
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/vector_stores/{vector_store_id}": {"json": {"name": "mine"}},
    "POST /v1/vector_stores/{vector_store_id}/search": {"json": {"query": "x"}},
    "POST /v1/vector_stores/{vector_store_id}/files": {"json": {"file_id": "{file_id}"}},
    "POST /v1/vector_stores/{vector_store_id}/files/{file_id}": {"json": {"attributes": {"area": "kettles"}}},
    "POST /v1/vector_stores/{vector_store_id}/file_batches": {"json": {"file_ids": ["file-of-nobody"]}},
    "POST /v1/uploads/{upload_id}/parts": {"files": {"data": ("data", b"x")}},
    "POST /v1/uploads/{upload_id}/complete": {"json": {"part_ids": ["part_1"]}},
    "PUT /api/vector_stores/{vector_store_id}/documents/{key}": {"content": b"# Mine\n\nText."},
    "POST /api/index_migrations/{index_migration_id}/evaluate": {
        "json": {"vector_store_id": "vs", "questions": [{"question": "x", "documents": ["a"]}]}
    },
    "POST /api/index_migrations/{index_migration_id}/swap": {"json": {}},
    "POST /v1/evals/{eval_id}": {"json": {"name": "mine"}},
    "POST /v1/evals/{eval_id}/runs": {"json": RUN},
    "POST /api/assistants/{name}/releases": {"json": {}},
    "POST /api/comparisons/{comparison_id}/items/{item_id}/votes": {"json": {"preferred": "tie"}},
    "POST /api/comparisons/{comparison_id}/dataset": {"json": {}},
    "POST /api/comparisons/{comparison_id}/fine_tune": {"json": {}},
    "POST /api/assistants/{name}/releases/{number}/gate": {"json": {}},
    "POST /api/adapters/{id_or_model}/closed_book": {"json": {"questions": 1, "seconds": 5, "seed": 1}},
    "PUT /api/assistants/{name}/rollout": {"json": {"stages": [{"release": 1, "weight": 1}], "revision": 1}},
    "POST /api/assistants/{name}/rollback": {"json": {"revision": 1}},
}


@pytest.fixture
async def ids(gateway: Gateway, passages: FakePassages) -> dict[str, str]:
    """Something of kestrel's behind every parameter."""
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    passages.find = lambda _query: [make_passage(store, 1, "31 months")]
    upload = {"file": ("facts.txt", b"31 months"), "purpose": (None, "assistants")}
    file = (await client.post("/v1/files", files=upload)).json()["id"]
    await client.post(f"/v1/vector_stores/{store}/files", json={"file_id": file})
    await client.put(f"/api/vector_stores/{store}/documents/a/b.md", content=b"# B\n\n31 months.")
    batch = await client.post(f"/v1/vector_stores/{store}/file_batches", json={"file_ids": [file]})
    upload = {"filename": "a.txt", "purpose": "assistants", "bytes": 3, "mime_type": "text/plain"}
    upload_id = (await client.post("/v1/uploads", json=upload)).json()["id"]
    training = {"file": ("rows.jsonl", ROWS), "purpose": (None, "fine-tune")}
    rows = (await client.post("/v1/files", files=training)).json()["id"]
    job = (await client.post("/v1/fine_tuning/jobs", json={"model": "base", "training_file": rows})).json()["id"]
    evaluation = {"kind": "retrieval", "vector_store_id": store, "questions": [{"question": "x", "documents": []}]}
    evaluation_id = (await client.post("/api/evaluations", json=evaluation)).json()["id"]
    await client.post("/api/prompts", json={"name": "house", "template": "You are Kestrel."})
    await client.post("/api/assistants", json={"name": "support"})
    await client.post("/api/assistants/support/releases", json={"retrieval": {"vector_stores": [store]}})
    rollout = {"stages": [{"release": 1, "weight": 1}], "revision": 0}
    await client.put("/api/assistants/support/rollout", json=rollout)
    await client.post("/api/assistants/support/releases/1/gate", json={"file_id": rows})
    asked = {"model": "support", "messages": [{"role": "user", "content": "How long?"}]}
    answer = (await client.post("/v1/chat/completions", json=asked)).json()["id"]
    key = (await client.get("/api/keys")).json()["data"][0]["id"]
    failures = {"model": "support@1", "failures": [{"question": "x", "expected": ["31 months"]}]}
    diagnosis = (await client.post("/api/diagnoses", json=failures)).json()["id"]
    (gateway.state.settings.home / "lent").mkdir()
    origin = {"kind": "folder", "path": str(gateway.state.settings.home / "lent")}
    made = await client.post("/api/sources", json={"name": "docs", "vector_store_id": store, "origin": origin})
    await _add_adapter(gateway)
    eval_id, run_id = await _add_eval(gateway, client)
    comparison = await _add_comparison(gateway, client)
    feedback = await client.post("/api/feedback", json={"answer_id": answer, "rating": "up"})
    move = await gateway.admin.post("/api/index_migrations", json={"embedder": "another"})
    # The passage's document is in the fake only, as if it were deleted.
    await gateway.admin.patch("/api/tenants/kestrel", json={"keeps_cited_text": True})
    return {
        "model": ADAPTER,
        "file_id": file,
        "vector_store_id": store,
        "batch_id": batch.json()["id"],
        "upload_id": upload_id,
        "document_id": "doc_1",
        "key": "a/b.md",
        "fine_tuning_job_id": job,
        "evaluation_id": evaluation_id,
        "diagnosis_id": diagnosis,
        "eval_id": eval_id,
        "run_id": run_id,
        "baseline_id": run_id,
        "output_item_id": "outputitem_1",
        "comparison_id": comparison,
        "item_id": "compared_1",
        "feedback_id": feedback.json()["id"],
        "key_id": key,
        "name": "support",
        "reference": "house@1",
        "id_or_model": ADAPTER,
        "answer_id": answer,
        "source_id": made.json()["id"],
        "index_migration_id": move.json()["id"],
        "number": "1",
    }


async def _add_eval(gateway: Gateway, client: httpx2.AsyncClient) -> tuple[str, str]:
    eval_id = (await client.post("/v1/evals", json=EVAL)).json()["id"]
    run_id = (await client.post(f"/v1/evals/{eval_id}/runs", json=RUN)).json()["id"]
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        row = EvalOutputItemRow(id="outputitem_1", created_at=1, run_id=run_id, number=0, status="pass")
        row.item, row.sample, row.results = {}, {}, []
        EvalOutputItemRepository(session, tenant.id).add(row)
    return eval_id, run_id


async def _add_comparison(gateway: Gateway, client: httpx2.AsyncClient) -> str:
    prompts = [{"messages": [{"role": "user", "content": "How long?"}]}]
    made = await client.post("/api/comparisons", json={"models": ["base", "support@1"], "prompts": prompts})
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        row = ComparisonItemRow(id="compared_1", created_at=1, comparison_id=made.json()["id"], number=0)
        answer = {"answer_id": "a", "text": "b", "finish_reason": "stop", "prompt": ""}
        row.swapped, row.messages, row.answers = False, prompts[0]["messages"], [answer, answer]
        ComparisonItemRepository(session, tenant.id).add(row)
    return made.json()["id"]


async def _add_adapter(gateway: Gateway) -> None:
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        row = AdapterRow(
            id="adapter_1", created_at=1, name="house", model=ADAPTER, served_name="kestrel.style.00000000"
        )
        row.digest, row.base_model, row.rank, row.status, row.source = "0" * 64, "base", 16, "ready", "job"
        row.manifest = {"probe": []}
        AdapterRepository(session, tenant.id).add(row)


async def _ask(client: httpx2.AsyncClient, method: str, path: str, ids: dict[str, str]) -> httpx2.Response:
    template = path.replace(":path}", "}")
    name = ids["reference"].partition("@")[0] if template.startswith("/api/prompts/{name}") else ids["name"]
    filled = template.format(**{**ids, "name": name})
    more = dict(BODIES.get(f"{method} {template}", {}))
    if more.get("json", {}).get("file_id"):
        more["json"] = {"file_id": ids["file_id"]}
    return await client.request(method, filled, **more)


def with_ids() -> list[tuple[str, str]]:
    """List the routes with ids, but for the administrator's, who sees every tenant, and for signed links."""
    administrators = ("/api/tenants/", "/api/index_migrations/")
    there = [
        route
        for route in routes()
        if "{" in route.path and not route.path.startswith(administrators) and route.path not in SIGNED
    ]
    return [(method, route.path) for route in there for method in sorted(route.methods or ())]


@on_both_databases
@pytest.mark.case("gw-tenants-apart")
async def test_every_route_with_an_id_hides_another_tenants(gateway: Gateway, ids: dict[str, str]) -> None:
    harbor = await gateway.tenant("harbor")
    got = {f"{method} {path}": (await _ask(harbor, method, path, ids)).status_code for method, path in with_ids()}
    assert got == dict.fromkeys(got, 404)
    assert len(got) > 30


@on_both_databases
async def test_the_owner_finds_all_of_it(gateway: Gateway, ids: dict[str, str]) -> None:
    kestrel = await gateway.tenant("kestrel")
    looked_at = [path for method, path in with_ids() if method == "GET" and not path.endswith(NOT_THERE)]
    got = {path: (await _ask(kestrel, "GET", path, ids)).status_code for path in looked_at}
    assert got == dict.fromkeys(got, 200)


@pytest.mark.parametrize("model", [ADAPTER, "support", "support@1"])
async def test_chat_hides_another_tenants_models(gateway: Gateway, ids: dict[str, str], model: str) -> None:
    harbor = await gateway.tenant("harbor")
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    assert (await harbor.post("/v1/chat/completions", json=body)).status_code == 404
