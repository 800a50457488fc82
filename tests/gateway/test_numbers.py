"""Numbers that are too large and halves of characters, which no database takes, are the client's fault everywhere."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.fakes.passages import FakePassages
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.declared import describe_api
from tests.gateway.test_foreign_ids import BODIES, EVAL, ids

__all__ = ["ids"]

FORMS = ("/v1/files", "/v1/uploads/{upload_id}/parts")
LEAN = ("/v1/chat/completions", "/v1/responses")
"""What is said there goes to the engine, and is kept nowhere."""
HALF = '"\\ud800"'
NUL = '"a\\u0000b"'
HUGE = ("9223372036854775808", "-9223372036854775809", "1" + "0" * 30, "9" * 5000, "1e400")
MORE_BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/chat/completions": {
        "model": "base", "messages": [{"role": "user", "content": "Hi"}], "n": 1, "seed": 1, "max_tokens": 1,
        "temperature": 1, "top_logprobs": 1, "logit_bias": {"1": 1}, "metadata": {"a": "b"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"maximum": 1}}}],
    },
    "POST /v1/responses": {
        "model": "base", "input": [{"role": "user", "content": "Hi"}], "max_output_tokens": 1, "temperature": 1,
        "top_logprobs": 1, "metadata": {"a": "b"},
        "tools": [{"type": "function", "name": "f", "parameters": {"maximum": 1}},
                  {"type": "file_search", "vector_store_ids": ["vs"], "max_num_results": 1,
                   "ranking_options": {"least_probability": 0.5},
                   "filters": {"type": "eq", "key": "a", "value": 1}}],
    },
    "POST /v1/vector_stores": {
        "name": "a", "expires_after": {"anchor": "last_active_at", "days": 1}, "metadata": {"a": "b"},
        "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 1}},
    },
    "POST /v1/vector_stores/{vector_store_id}/search": {
        "query": "x", "max_num_results": 1, "ranking_options": {"score_threshold": 0.5},
        "filters": {"type": "eq", "key": "a", "value": 1},
    },
    "POST /v1/vector_stores/{vector_store_id}/files": {"file_id": "f", "attributes": {"a": 1}},
    "POST /v1/fine_tuning/jobs": {
        "model": "base", "training_file": "f", "seed": 1, "metadata": {"a": "b"},
        "method": {
            "type": "dpo",
            "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": 1}},
            "dpo": {"hyperparameters": {"n_epochs": 1, "beta": 0.5}},
        },
        "braid": {
            "variables": {"a": 1},
            "evidence": {"vector_stores": ["vs"], "top_k": 1, "without": 0.1, "abstentions": ["No idea."]},
        },
    },
    "POST /api/tenants": {"name": "a", "keeps_cited_text": True},
    "PATCH /api/tenants/{tenant}": {"keeps_cited_text": True},
    "POST /api/keys": {"name": "a", "scopes": ["chat"]},
    "POST /api/prompts": {"name": "a", "template": "Hi."},
    "POST /api/assistants": {"name": "a"},
    "POST /api/assistants/{name}/releases": {
        "retrieval": {"vector_stores": ["vs"], "top_k": 1, "least_probability": 0.5}, "sampling": {"temperature": 1},
        "variables": {"a": 1},
    },
    "POST /api/assistants/{name}/releases/{number}/gate": {
        "file_id": "f", "rows": 10, "margin": 0.01, "canaries": ["canary-1"], "general_prompts": 196,
        "eval_runs": [{"run_id": "r", "baseline_id": "b"}],
    },
    "POST /api/adapters": {"name": "a", "file_id": "f"},
    "POST /api/evaluations": {
        "kind": "retrieval", "vector_store_id": "vs", "questions": [{"question": "x", "documents": ["a"]}],
        "score_threshold": 0.5, "least_probability": 0.5, "rows": 10,
        "against_options": [{"hybrid_search": {"embedding_weight": 1, "text_weight": 1}}],
    },
    "POST /api/diagnoses": {
        "model": "support@1", "votes": 1, "samples": 3, "run": {"eval_id": "e", "run_id": "r"},
        "gate": {"assistant": "support", "release": 1},
        "failures": [{"messages": [{"role": "user", "content": "Hi"}], "answer": "a", "answer_id": "b",
                      "reference": "1 kg", "expected": ["1 kg"], "reason": "c"}],
    },
    "POST /api/styles/facts": {
        "vector_stores": ["vs"],
        "rows": [{"messages": [{"role": "assistant", "content": "1 kg", "weight": 1}],
                  "passages": [{"title": "a", "text": "b"}]}],
    },
    "POST /v1/evals": {
        **EVAL, "name": "a", "metadata": {"a": "b"},
        "testing_criteria": [
            {"type": "score_model", "name": "s", "model": "base", "input": [{"role": "user", "content": "Hi"}],
             "range": [0, 1], "pass_threshold": 0.5, "sampling_params": {"seed": 1, "max_completions_tokens": 1}},
        ],
    },
    "POST /v1/evals/{eval_id}/runs": {
        "name": "a", "metadata": {"a": "b"},
        "data_source": {
            "type": "completions", "model": "base", "sampling_params": {"seed": 1, "temperature": 0.5},
            "input_messages": {"type": "template", "template": [{"role": "user", "content": "Hi"}]},
            "source": {"type": "file_content", "content": [{"item": {"a": 1}}]},
        },
    },
    "POST /api/comparisons": {
        "models": ["base", "base"], "prompts": [{"messages": [{"role": "user", "content": "Hi"}]}], "rows": 1,
        "seed": 1, "sampling": {"temperature": 0.5, "max_completion_tokens": 1}, "metadata": {"a": "b"}, "name": "a",
    },
    "POST /api/comparisons/{comparison_id}/items/{item_id}/votes": {
        "preferred": "left", "voter": "a", "reason": "b", "corrected_reply": "c",
    },
    "POST /api/comparisons/{comparison_id}/dataset": {
        "min_votes": 1, "min_agreement": 0.7, "held_out": 0.1, "seed": 1, "corrections": True, "side": "a",
    },
    "POST /api/comparisons/{comparison_id}/fine_tune": {
        "min_votes": 1, "hyperparameters": {"beta": 0.5, "n_epochs": 1}, "recipe": {"rank": 1, "learning_rate": 0.1},
        "metadata": {"a": "b"}, "suffix": "a",
    },
    "POST /api/feedback": {
        "answer_id": "a", "rating": "up", "voter": "b", "reply": "c", "corrected_reply": "d",
        "messages": [{"role": "user", "content": "Hi"}],
    },
    "POST /api/feedback/dataset": {"release": "a@1", "min_votes": 1, "min_agreement": 0.7, "seed": 1},
    "POST /api/feedback/fine_tune": {"release": "a@1", "hyperparameters": {"n_epochs": 1}, "seed": 1},
    "POST /api/index_migrations": {"embedder": "a", "qdrant_url": "http://a.example"},
    "POST /api/index_migrations/{index_migration_id}/evaluate": {
        "vector_store_id": "vs", "questions": [{"question": "x", "documents": ["a"]}],
    },
    "POST /api/index_migrations/{index_migration_id}/swap": {"force": True},
    "POST /v1/embeddings": {"model": "default", "input": ["x"], "dimensions": 3},
    "POST /v1/uploads": {
        "filename": "a.txt", "purpose": "user_data", "bytes": 1, "mime_type": "text/plain",
        "expires_after": {"anchor": "created_at", "seconds": 3600},
    },
    "POST /api/sources": {
        "name": "a", "vector_store_id": "vs", "attributes": {"a": 1}, "interval_seconds": 60,
        "origin": {"kind": "web", "url": "https://a.example/", "depth": 1, "pages": 1},
    },
    "POST /api/sources/{source_id}/sync": {"confirm_deletions": 1},
}  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places in a body where a number could be put."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    yield path


def replaced(body: Any, path: tuple[Any, ...], text: str) -> str:
    """The body as JSON, with the digits of `text` in a place."""
    if not path:
        return text
    copy = json.loads(json.dumps(body))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "@HERE@"
    return json.dumps(copy).replace('"@HERE@"', text)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = describe_api()["paths"]
    return [(method.upper(), path, one) for path, methods in paths.items() for method, one in methods.items()]


async def check(client: httpx2.AsyncClient, method: str, path: str, **more: Any) -> None:
    answer = await client.request(method, path, **more)
    assert answer.status_code < 500, f"{method} {path[:100]} {str(more)[:200]}: {answer.text}"
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"]


@pytest.fixture
async def client(gateway: Gateway, passages: FakePassages) -> httpx2.AsyncClient:
    return gateway.client((await gateway.admin.post("/api/keys", json={
        "tenant": "kestrel", "name": "all", "scopes": ["chat", "manage", "admin"],
    })).json()["key"])  # fmt: skip


async def test_huge_numbers_in_paths_are_the_client_s_fault(
    gateway: Gateway, ids: dict[str, str], client: httpx2.AsyncClient
) -> None:
    known = {**ids, "tenant": "kestrel"}
    for method, path, _ in operations():
        names = [name for name in known if f"{{{name}}}" in path]
        for name in names:
            prefix = {"model": "support@", "reference": "house@"}.get(name, "")
            for huge in HUGE:
                filled = path.format(**{**known, name: prefix + huge})
                await check(client, method, filled, **BODIES.get(f"{method} {path}", {}))


async def test_huge_numbers_in_queries_are_the_client_s_fault(
    gateway: Gateway, ids: dict[str, str], client: httpx2.AsyncClient
) -> None:
    known, seen = {**ids, "tenant": "kestrel"}, 0
    for method, path, operation in operations():
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                for huge in HUGE:
                    query = {parameter["name"]: huge}
                    more = BODIES.get(f"{method} {path}", {})
                    await check(client, method, path.format(**known), params=query, **more)
                    seen += 1
    assert seen > 50


async def test_huge_numbers_in_bodies_are_the_client_s_fault(
    gateway: Gateway, ids: dict[str, str], client: httpx2.AsyncClient
) -> None:
    known, seen = {**ids, "tenant": "kestrel"}, 0
    for method, path, operation in operations():
        if "requestBody" not in operation or path in FORMS:
            continue
        if path.endswith("/documents/{key}"):
            continue  # bytes, whatever they are
        body = MORE_BODIES.get(f"{method} {path}") or BODIES.get(f"{method} {path}", {}).get("json")
        assert body is not None, f"give {method} {path} a body above"
        for place in leaves(body):
            for huge in (*HUGE[::2], HALF, *((NUL,) if path in LEAN else ())):
                content = replaced(body, place, huge).encode()
                kind = {"content-type": "application/json"}
                await check(client, method, path.format(**known), content=content, headers=kind)
                seen += 1
    assert seen > 500


async def test_the_character_0_is_refused_wherever_a_text_is_kept(
    gateway: Gateway, ids: dict[str, str], client: httpx2.AsyncClient
) -> None:
    places = 0
    for method, path, operation in operations():
        if "requestBody" not in operation or path in (*FORMS, *LEAN) or path.endswith("/documents/{key}"):
            continue
        body = MORE_BODIES.get(f"{method} {path}") or BODIES[f"{method} {path}"]["json"]
        for place in leaves(body):
            content = replaced(body, place, NUL).encode()
            kind = {"content-type": "application/json"}
            answer = await client.request(method, path.format(**ids, tenant="kestrel"), content=content, headers=kind)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "out_of_range"), (path, place)
            places += 1
    assert places > 80


@pytest.mark.parametrize("pair", [{"a": "b\0"}, {"a\0": "b"}])
async def test_the_character_0_in_metadata_and_attributes_is_refused(
    ids: dict[str, str], client: httpx2.AsyncClient, pair: dict[str, str]
) -> None:
    store = f"/v1/vector_stores/{ids['vector_store_id']}"
    for path, body in (
        ("/v1/vector_stores", {"metadata": pair}),
        (store, {"metadata": pair}),
        (f"{store}/files", {"file_id": ids["file_id"], "attributes": pair}),
        ("/v1/fine_tuning/jobs", {"model": "base", "training_file": ids["file_id"], "metadata": pair}),
    ):
        answer = await client.post(path, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, "code 0" in error["message"]) == (400, True), answer.text
        member = "attributes" if "attributes" in body else "metadata"
        assert error["param"] == (f"{member}.a" if "a" in pair else member)


NAMES = ("POST /v1/vector_stores", "POST /api/tenants", "POST /api/keys", "POST /api/prompts", "POST /api/assistants",
         "POST /api/sources", "POST /api/adapters")  # fmt: skip


@on_both_databases
async def test_a_name_with_the_character_0_is_refused(
    gateway: Gateway, ids: dict[str, str], client: httpx2.AsyncClient
) -> None:
    for route in NAMES:
        method, path = route.split(" ")
        answer = await client.request(method, path, json=MORE_BODIES[route] | {"name": "a\0b"})
        assert answer.status_code == 400, (route, answer.text)
        assert answer.json()["error"]["message"]
