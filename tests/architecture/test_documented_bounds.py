"""The table of bounds in docs/configuration.md says what the code has. The borders themselves: `test_borders`."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, cast

import msgspec
import pytest

from gateway.chat.request import ChatCompletionCreate, ChatMessage
from gateway.comparisons.schemas import ComparisonCreate
from gateway.diagnoses.schemas import DiagnosisCreate
from gateway.embeddings.schemas import EmbeddingCreate
from gateway.evals.data_sources import FileContentSource
from gateway.evals.schemas import EvalCreate
from gateway.feedback.schemas import FeedbackCreate, TextMessage
from gateway.files.part_schemas import UploadComplete, UploadCreate
from gateway.gates.interview import ANSWER_TOKENS
from gateway.gates.schemas import GateCreate
from gateway.responses.request import ResponseCreate
from gateway.serve import choose_bounds
from gateway.settings import Settings
from gateway.vector_stores.file_batch_schemas import VectorStoreFileBatchCreate
from retrieval import filters
from tests.architecture.documented_bounds import numbers, rows, settings
from tests.architecture.source import ROOT
from tests.architecture.test_routes import routes

BOUNDS = choose_bounds(Settings())
QUEUES = ("evaluation_jobs.service", "evals.run_service", "comparisons.service", "gates.service", "diagnoses.service")


def constant(module: str, name: str) -> int:
    return cast(int, getattr(import_module(f"gateway.{module}"), name))


def in_source(path: str, name: str) -> int:
    """A constant of a module that can't be imported without its models' packages."""
    found = re.search(rf"^{name} = (\d+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert found is not None, path
    return int(found[1])


def limit(model: type, field: str, keyword: str) -> int:
    """A bound in a schema of requests, by the word that JSON Schema has for it."""
    schema = cast(Any, model).model_json_schema() if hasattr(model, "model_json_schema") else msgspec.json.schema(model)
    found = set(_values(schema.get("$defs", {}).get(model.__name__, schema)["properties"][field], keyword))
    assert len(found) == 1, (model, field, found)
    return found.pop()


def _values(node: Any, keyword: str) -> Iterator[int]:
    if isinstance(node, list):
        for inner in node:
            yield from _values(inner, keyword)
    elif isinstance(node, dict):
        yield from (value for key, value in node.items() if key == keyword)
        for inner in node.values():
            yield from _values(inner, keyword)


IN_CODE: dict[str, tuple[float, ...]] = {
    "open connections of clients": (BOUNDS.connections,),
    "those from one address": (BOUNDS.client_connections,),
    "a request's line and headers": (BOUNDS.head_bytes,),
    "path and query": (BOUNDS.url_bytes,),
    "time to send the headers; a pause inside a body": (BOUNDS.head_seconds, BOUNDS.pause_seconds),
    "time to send a body": (
        *(BOUNDS.body_seconds, BOUNDS.body_rate, BOUNDS.body_rate),
        *(BOUNDS.body_seconds, choose_bounds(Settings(client_pause_seconds=1)).body_seconds),
    ),
    "a client that doesn't read its answer": (BOUNDS.write_seconds,),
    "a connection between two requests": (BOUNDS.idle_seconds,),
    "a body": (
        constant("app", "_MAX_BODY_BYTES"),
        constant("chat.routes", "_BODY_BYTES"),
        constant("files.part_service", "_MAX_PART_BYTES"),
        Settings().max_file_bytes,
    ),
    "what a tenant stores": (Settings().tenant_storage_bytes,),
    "an upload in parts": (limit(UploadCreate, "bytes", "maximum"), limit(UploadComplete, "part_ids", "maxItems")),
    "a tenant's pending uploads in parts": (
        constant("files.part_service", "_MOST_PENDING"),
        constant("files.part_service", "_MOST_PENDING_BYTES"),
    ),
    "files of a batch; texts of a request for embeddings": (
        limit(VectorStoreFileBatchCreate, "file_ids", "maxItems"),
        limit(EmbeddingCreate, "input", "maxItems"),
    ),
    "requests for embeddings under way in a retriever": (in_source("retrieval/text_embedder.py", "_MOST_REQUESTS"),),
    "a filter": (filters._DEPTH, filters._PARTS, filters._VALUES),
    "characters of a question that are searched for": (constant("vector_stores.search", "_MOST_CHARACTERS"),),
    "searches under way in a retriever": (in_source("retrieval/index.py", "_MOST_SEARCHES"),),
    "messages in a chat request; items of a Responses request": (limit(ChatCompletionCreate, "messages", "maxItems"),),
    "`n`, `stop` sequences (and their characters), `top_logprobs`": (
        limit(ChatCompletionCreate, "n", "maximum"),
        limit(ChatCompletionCreate, "stop", "maxItems"),
        limit(ChatCompletionCreate, "stop", "maxLength"),
        limit(ChatCompletionCreate, "top_logprobs", "maximum"),
    ),
    "tokens in `logit_bias`": (
        constant("openai_format.bounds", "MAX_BIASES"),
        -100,
        100,
    ),  # these two are in test_borders
    "numbers in a path, a query or a body": (limit(ChatCompletionCreate, "seed", "maximum").bit_length() + 1,),
    "tools; calls in a message": (limit(ChatMessage, "tool_calls", "maxItems"),),
    "types of `response_format`; of a tool": (),
    "a schema (`json_schema`, a tool's `parameters`)": (
        constant("openai_format.bounds", "MAX_SCHEMA_BYTES"),
        constant("openai_format.bounds", "MAX_SCHEMA_DEPTH"),
    ),
    "a schema that the engine compiles (`json_schema`; a forced or strict tool)": (
        constant("openai_format.bounds", "MAX_REPEATS"),
        constant("openai_format.bounds", "MAX_REPEATS_IN_ALL"),
    ),
    "pairs of `metadata`; a message's `name`": (
        limit(ChatCompletionCreate, "metadata", "maxProperties"),
        *(64, 512),  # in test_borders
        limit(ChatMessage, "name", "maxLength"),
    ),
    "a question's tokens": (),
    "fine-tuning jobs and imports of a tenant that wait": (Settings().max_queued_jobs,),
    "evaluations, runs of evals, comparisons, gates, and diagnoses, of a tenant that wait": tuple(
        {constant(module, "_MOST_QUEUED") for module in QUEUES}
    ),
    "evals of a tenant; criteria of one": (
        constant("evals.service", "MOST_EVALS"),
        limit(EvalCreate, "testing_criteria", "maxItems"),
    ),
    "comparisons of a tenant; prompts of one; votes on an item": (
        constant("comparisons.service", "MOST_COMPARISONS"),
        limit(ComparisonCreate, "prompts", "maxItems"),
        constant("comparisons.routes", "_BODY_BYTES"),
        constant("comparisons.item_service", "MOST_VOTES"),
    ),
    "feedback of a tenant; a message or reply of it; a reason": (
        *(constant("feedback.service", "MOST_FEEDBACK"), constant("preferences.service", "_MOST_FEEDBACK")),
        *(
            constant("feedback.service", "_MOST_BYTES"),
            limit(TextMessage, "content", "maxLength"),
            limit(FeedbackCreate, "reason", "maxLength"),
        ),
    ),
    "rows of a run: in its request; in a file; a row": (
        *(limit(FileContentSource, "content", "maxItems"), constant("evals.routes", "_BODY_BYTES")),
        *(constant("evals.items", "MOST_ITEMS"), constant("evals.run_service", "_MOST_BYTES")),
        constant("evals.items", "_MOST_ITEM_BYTES"),
    ),
    "the schema of an eval's rows": (
        constant("evals.items", "_MOST_SCHEMA_BYTES"),
        constant("evals.items", "_MOST_SCHEMA_DEPTH"),
    ),
    "a filled template; a text that is compared": (
        constant("evals.templates", "_MOST_CHARACTERS"),
        constant("evals.grading", "_MOST_COMPARED"),
    ),
    "held-out rows of a gate that are asked; its prompts of the base suite; its planted texts; "
    "its pairs of runs of evals; tokens of its answers": (
        *(limit(GateCreate, "rows", "minimum"), limit(GateCreate, "rows", "maximum"), GateCreate().rows),
        *(limit(GateCreate, "general_prompts", "minimum"), limit(GateCreate, "general_prompts", "maximum")),
        GateCreate().general_prompts,
        *(limit(GateCreate, "canaries", "maxItems"), limit(GateCreate, "eval_runs", "maxItems"), ANSWER_TOKENS),
    ),
    "failures of a diagnosis in its request; that are replayed; answers that passed": (
        *(limit(DiagnosisCreate, "failures", "maxItems"), constant("diagnoses.routes", "_BODY_BYTES")),
        *(constant("diagnoses.schemas", "MOST_FAILURES"), constant("diagnoses.schemas", "MOST_PASSES")),
    ),
}
"""What the code has for each number of a row."""


def test_every_row_of_the_table_is_held_to_the_code() -> None:
    assert set(rows()) == set(IN_CODE)


@pytest.mark.parametrize("row", IN_CODE)
def test_a_row_says_what_the_code_bounds(row: str) -> None:
    assert numbers(row) == IN_CODE[row]


def test_a_setting_in_brackets_has_the_number_before_it_as_its_default() -> None:
    defaults = Settings().model_dump()
    assert settings() == {name: defaults[name] for name in settings()}
    assert len(settings()) == 7


def test_what_two_rows_of_requests_share_is_bounded_alike() -> None:
    (items,) = numbers("messages in a chat request; items of a Responses request")
    assert limit(ResponseCreate, "input", "maxItems") == items
    most = numbers("failures of a diagnosis in its request; that are replayed; answers that passed")[0]
    assert limit(DiagnosisCreate, "passes", "maxItems") == limit(DiagnosisCreate, "votes", "maximum") == most
    assert (
        limit(VectorStoreFileBatchCreate, "files", "maxItems")
        == numbers("files of a batch; texts of a request for embeddings")[0]
    )


def test_the_routes_that_take_larger_bodies_are_the_documented_ones() -> None:
    larger = {
        f"{method} {route.path}": route.max_body_size
        for route in routes()
        for method in route.methods or ()
        if route.max_body_size is not None
    }
    _, of_texts, of_a_part, _ = numbers("a body")
    in_runs = numbers("rows of a run: in its request; in a file; a row")[1]
    in_comparisons = numbers("comparisons of a tenant; prompts of one; votes on an item")[2]
    in_diagnoses = numbers("failures of a diagnosis in its request; that are replayed; answers that passed")[1]
    form, of_a_file = 1 << 20, (8 << 30) + (1 << 20)  # the most that a file's setting may allow, and the form around it
    assert larger == {
        "POST /v1/chat/completions": of_texts,
        "POST /v1/responses": of_texts,
        "POST /v1/embeddings": of_texts,
        "POST /v1/evals/{eval_id}/runs": in_runs,
        "POST /api/comparisons": in_comparisons,
        "POST /api/diagnoses": in_diagnoses,
        "POST /v1/uploads/{upload_id}/parts": of_a_part + form,
        "POST /v1/files": of_a_file,
        "PUT /api/vector_stores/{vector_store_id}/documents/{key:path}": of_a_file,
    }
