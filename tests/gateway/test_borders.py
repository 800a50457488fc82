"""What is exactly at a documented bound is taken, and one more is refused; nothing behind it is there to do.

A request at a border names what doesn't exist, so that it is a 404 as soon as its bounds are looked at.
"""

import json
from array import array
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from gateway.diagnoses.cases import Case
from gateway.errors import BadRequest, PayloadTooLarge
from gateway.evals import grading, templates
from gateway.evals.criteria import TextSimilarityGrader
from gateway.evals.items import DataItem, check_item_schema, check_items, read_lines
from gateway.evaluation.even_sample import thin_out
from gateway.files import part_service
from gateway.gates.held_out_rows import read_held_out_rows
from gateway.vector_stores import search
from tests.architecture.documented_bounds import numbers
from tests.fakes import trainer
from tests.fakes.vllm import CHAT
from tests.gateway.conftest import Gateway

CALL = {"id": "call", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HI = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f"}}
GRADER = {"type": "string_check", "name": "right", "operation": "eq", "input": "a", "reference": "a"}
TURNS = "messages in a chat request; items of a Responses request"
SAMPLING = "`n`, `stop` sequences (and their characters), `top_logprobs`"
LISTS, PAIRS = "files of a batch; texts of a request for embeddings", "pairs of `metadata`; a message's `name`"
PARTS = "an upload in parts"
COMPARED = "comparisons of a tenant; prompts of one; votes on an item"
ITEMS = "rows of a run: in its request; in a file; a row"
BIASES, CRITERIA = "tokens in `logit_bias`", "evals of a tenant; criteria of one"
SAYING = "feedback of a tenant; a message or reply of it; a reason"
HELD_OUT = (
    "held-out rows of a gate that are asked; its prompts of the base suite; its planted texts; "
    "its pairs of runs of evals; tokens of its answers"
)
FAILURES = "failures of a diagnosis in its request; that are replayed; answers that passed"
BATCHES, GATE = "/v1/vector_stores/vs_0/file_batches", "/api/assistants/nobody/releases/1/gate"
RUN = "/v1/evals/eval_0/runs"


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "nobody", "messages": [HI], **fields}


def turn(**fields: Any) -> dict[str, Any]:
    return chat(messages=[{"role": "assistant", "content": "Hi", **fields}])


def run(count: int) -> dict[str, Any]:
    source = {"type": "file_content", "content": [{"item": {}}] * count}
    return {"data_source": {"type": "jsonl", "source": source}}


def graded(count: int) -> dict[str, Any]:
    criteria = [{**GRADER, "name": str(number)} for number in range(count)]
    return {"data_source_config": {"type": "custom", "item_schema": {}}, "testing_criteria": criteria}


def compared(count: int) -> dict[str, Any]:
    return {"models": ["nobody", "nobody"], "prompts": [{"messages": [HI]}] * count}


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def vote(**fields: Any) -> dict[str, Any]:
    return {"answer_id": "nobody", "rating": "up", **fields}


def diagnosis(**fields: Any) -> dict[str, Any]:
    return {"model": "nobody@1", "failures": [{"question": "x"}], **fields}


def upload(size: int) -> dict[str, Any]:
    return {"filename": "a.txt", "purpose": "user_data", "bytes": size, "mime_type": "text/plain"}


@dataclass(frozen=True)
class Border:
    """A bound on requests: its number in the docs, the requests that have so much of something, and the field."""

    row: str
    place: int
    path: str
    body: Callable[[int], dict[str, Any]]
    param: str
    taken: int = 404
    step: int = 1

    def __str__(self) -> str:
        return f"{self.path} {self.param} {self.row}"


BORDERS = (
    Border(TURNS, 0, CHAT, lambda most: chat(messages=[HI] * most), "messages"),
    Border(TURNS, 0, "/v1/responses", lambda most: {"model": "nobody", "input": [HI] * most}, "input"),
    Border(SAMPLING, 0, CHAT, lambda most: chat(n=most), "n"),
    Border(SAMPLING, 1, CHAT, lambda most: chat(stop=["x"] * most), "stop"),
    Border(SAMPLING, 2, CHAT, lambda most: chat(stop="x" * most), "stop"),
    Border(SAMPLING, 2, CHAT, lambda most: chat(stop=["x" * most]), "stop[0]"),
    Border(SAMPLING, 3, CHAT, lambda most: chat(logprobs=True, top_logprobs=most), "top_logprobs"),
    Border(BIASES, 0, CHAT, lambda most: chat(logit_bias=dict.fromkeys(range(most), 1)), "logit_bias"),
    Border(BIASES, 1, CHAT, lambda least: chat(logit_bias={1: least}), "logit_bias", step=-1),
    Border(BIASES, 2, CHAT, lambda most: chat(logit_bias={1: most}), "logit_bias"),
    Border("numbers in a path, a query or a body", 0, CHAT, lambda bits: chat(seed=2 ** (bits - 1) - 1), "seed"),
    Border("tools; calls in a message", 0, CHAT, lambda most: chat(tools=[TOOL] * most), "tools"),
    Border("tools; calls in a message", 0, CHAT, lambda most: turn(tool_calls=[CALL] * most), "messages[0].tool_calls"),
    Border(PAIRS, 0, CHAT, lambda most: chat(metadata=dict.fromkeys(map(str, range(most)), "b")), "metadata"),
    Border(PAIRS, 1, CHAT, lambda most: chat(metadata={"a" * most: "b"}), "metadata"),
    Border(PAIRS, 2, CHAT, lambda most: chat(metadata={"a": "b" * most}), "metadata"),
    Border(PAIRS, 3, CHAT, lambda most: turn(name="a" * most), "messages[0].name"),
    Border(LISTS, 0, BATCHES, lambda most: {"file_ids": [*map(str, range(most))]}, "file_ids"),
    Border(LISTS, 0, BATCHES, lambda most: {"files": [{"file_id": str(number)} for number in range(most)]}, "files"),
    Border(LISTS, 1, "/v1/embeddings", lambda most: {"model": "nobody", "input": ["x"] * most}, "input", 503),
    Border(PARTS, 0, "/v1/uploads", upload, "bytes", 200),
    Border(PARTS, 1, "/v1/uploads/upload_0/complete", lambda most: {"part_ids": ["part_0"] * most}, "part_ids"),
    Border(CRITERIA, 1, "/v1/evals", graded, "testing_criteria", 201),
    Border(COMPARED, 1, "/api/comparisons", compared, "prompts"),
    Border(SAYING, 3, "/api/feedback", lambda most: vote(messages=[said("x" * most)]), "messages[0].content"),
    Border(SAYING, 3, "/api/feedback", lambda most: vote(reply="x" * most), "reply"),
    Border(SAYING, 3, "/api/feedback", lambda most: vote(other_reply="x" * most), "other_reply"),
    Border(SAYING, 3, "/api/feedback", lambda most: vote(corrected_reply="x" * most), "corrected_reply"),
    Border(SAYING, 4, "/api/feedback", lambda most: vote(reason="x" * most), "reason"),
    Border(ITEMS, 0, RUN, run, "data_source.source.content"),
    Border(HELD_OUT, 0, GATE, lambda least: {"rows": least}, "rows", step=-1),
    Border(HELD_OUT, 1, GATE, lambda most: {"rows": most}, "rows"),
    Border(HELD_OUT, 3, GATE, lambda least: {"general_prompts": least}, "general_prompts", step=-1),
    Border(HELD_OUT, 4, GATE, lambda most: {"general_prompts": most}, "general_prompts"),
    Border(HELD_OUT, 6, GATE, lambda most: {"canaries": ["canary-1"] * most}, "canaries"),
    Border(HELD_OUT, 7, GATE, lambda most: {"eval_runs": [{"run_id": "r", "baseline_id": "b"}] * most}, "eval_runs"),
    Border(FAILURES, 0, "/api/diagnoses", lambda most: diagnosis(failures=[{"question": "x"}] * most), "failures"),
    Border(FAILURES, 0, "/api/diagnoses", lambda most: diagnosis(passes=[{"question": "x"}] * most), "passes"),
    Border(FAILURES, 0, "/api/diagnoses", lambda most: diagnosis(votes=most), "votes"),
)  # fmt: skip


async def test_a_request_at_a_border_is_taken_and_one_beyond_it_is_not(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    wrong: list[str] = []
    for border in BORDERS:
        most = numbers(border.row)[border.place]
        taken = await client.post(border.path, json=border.body(most))
        refused = await client.post(border.path, json=border.body(most + border.step))
        found = (taken.status_code, refused.status_code, refused.json().get("error", {}).get("param"))
        if found != (border.taken, 400, border.param):
            wrong.append(f"{border}: {found}")
    assert not wrong, "\n".join(wrong)


async def test_a_body_may_have_the_documented_bytes_and_no_more(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    most, of_texts, _, _ = numbers("a body")
    of_runs, of_comparisons, of_diagnoses = numbers(ITEMS)[1], numbers(COMPARED)[2], numbers(FAILURES)[1]
    for path, body, size, taken in (
        ("/v1/vector_stores", {"name": "docs"}, most, 200),
        (CHAT, chat(), of_texts, 404),
        ("/v1/responses", {"model": "nobody", "input": "Hi"}, of_texts, 404),
        ("/v1/embeddings", {"model": "nobody", "input": "Hi"}, of_texts, 503),
        (RUN, run(1), of_runs, 404),
        ("/api/comparisons", compared(1), of_comparisons, 404),
        ("/api/diagnoses", diagnosis(), of_diagnoses, 404),
    ):
        headers = {"content-type": "application/json"}
        content = json.dumps(body).encode().ljust(size)
        assert (await client.post(path, content=content, headers=headers)).status_code == taken, path
        refused = await client.post(path, content=content + b" ", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "payload_too_large"), path


async def test_a_part_of_an_upload_may_have_the_documented_bytes_and_no_more() -> None:
    piece, most = bytes(1 << 20), numbers("a body")[2]

    async def sent(more: bytes) -> AsyncGenerator[bytes]:
        for _ in range(most // len(piece)):
            yield piece
        if more:
            yield more

    assert sum([len(one) async for one in part_service._limit_part(sent(b""))]) == most
    with pytest.raises(PayloadTooLarge):
        _ = [one async for one in part_service._limit_part(sent(b"x"))]


def test_a_file_of_rows_may_have_the_documented_number_and_no_more() -> None:
    most = numbers(ITEMS)[2]
    assert len(read_lines(b'{"item": {}}\n' * most, "rows.jsonl")) == most
    with pytest.raises(BadRequest) as caught:
        read_lines(b'{"item": {}}\n' * (most + 1), "rows.jsonl")
    assert caught.value.code == "invalid_items"


def test_a_row_may_have_the_documented_bytes_and_no_more() -> None:
    room = numbers(ITEMS)[4] - len('{"item":{"a":""},"sample":null}')
    check_items([DataItem({"a": "x" * room})], {})
    with pytest.raises(BadRequest) as caught:
        check_items([DataItem({"a": "x" * (room + 1)})], {})
    assert caught.value.code == "invalid_items"


def test_a_schema_of_rows_may_have_the_documented_bytes_and_levels_and_no_more() -> None:
    size, levels = numbers("the schema of an eval's rows")
    room = size - len('{"title":""}')

    def nested(depth: int) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        for _ in range(depth - 1):
            schema = {"not": schema}
        return schema

    for taken, refused in (
        ({"title": "x" * room}, {"title": "x" * (room + 1)}),
        (nested(levels), nested(levels + 1)),
    ):
        check_item_schema(taken)
        with pytest.raises(BadRequest) as caught:
            check_item_schema(refused)
        assert caught.value.code == "schema_too_large"


async def test_a_filled_template_and_a_compared_text_may_be_as_long_as_documented() -> None:
    filled, compared = numbers("a filled template; a text that is compared")
    assert len(templates.render("{{ item.a }}", {"item": {"a": "x" * filled}})) == filled
    with pytest.raises(templates.UnknownPlace):
        templates.render("{{ item.a }}", {"item": {"a": "x" * (filled + 1)}})

    async def embed(texts: Sequence[str]) -> list[bytes]:
        return [array("f", [1]).tobytes() for _ in texts]

    criterion = TextSimilarityGrader(
        type="text_similarity", name="near", input="{{ item.a }}", reference="x",
        evaluation_metric="cosine", pass_threshold=0.5,
    )  # fmt: skip
    grader = grading.Grader([criterion], cast(Any, None), embed)
    for length, error in ((compared, None), (compared + 1, "text_too_long")):
        (grade,) = await grader.grade({"item": {"a": "x" * length}}, lambda *_: None)
        assert (grade.passed, (grade.sample or {}).get("error", {}).get("code")) == (error is None, error)


def test_of_more_rows_and_cases_than_documented_evenly_spaced_ones_are_asked() -> None:
    held_out = numbers(HELD_OUT)[1]
    for count in (held_out, held_out + 1):
        assert len(thin_out(read_held_out_rows(trainer.rows(count)), held_out)) == held_out
    for most in numbers(FAILURES)[2:]:
        cases = [Case(id=str(number), messages=[]) for number in range(most + 1)]
        assert len(thin_out(cases[:most], most)) == len(set(one.id for one in thin_out(cases, most))) == most


def test_a_question_is_searched_for_as_it_is_up_to_the_documented_length() -> None:
    (most,) = numbers("characters of a question that are searched for")
    assert search._cut("x" * most) == "x" * most
    cut = search._cut("a" * most + "b")
    assert (len(cut), cut[0], cut[-1]) == (most, "a", "b")
