"""From a row to its output item, and what a run's page shows of it; models' answers are written down."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.errors import BadRequest
from gateway.evals.criteria import CRITERIA
from gateway.evals.data_sources import RunDataSource
from gateway.evals.grading import Grader
from gateway.evals.item_answers import Asker
from gateway.evals.items import DataItem
from gateway.evals.output_items import ItemOutcome, OutputItemMaker
from gateway.evals.report_page import render_page
from gateway.evals.tables import EvalOutputItemRow, EvalRow, EvalRunRow
from gateway.tenants.authenticator import Principal
from tests.gateway.evals.conftest import sampled

CALL = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
SOURCES: TypeAdapter[Any] = TypeAdapter(RunDataSource)


def check(place: str, reference: str = "Oslo", operation: str = "eq") -> dict[str, Any]:
    return {"type": "string_check", "name": place, "input": f"{{{{ {place} }}}}", "reference": reference} | {
        "operation": operation
    }


class Model:
    """Gives one answer, made with these parameters."""

    def __init__(self, message: Mapping[str, Any] | None, **sent: Any) -> None:
        self._message = message
        self._sent = sent

    async def complete(self, _principal: Principal, _body: Mapping[str, Any]) -> tuple[bytes, bytes]:
        if self._message is None:
            raise BadRequest("It is too long.", code="context_length_exceeded")
        choices = [{"message": self._message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        return json.dumps({"choices": choices, "usage": usage}).encode(), json.dumps(self._sent).encode()

    async def make(self, row: DataItem, *criteria: dict[str, Any], asks: bool = True) -> ItemOutcome:
        async def embed(_: Any) -> Any:
            raise AssertionError("nothing is compared by meaning here")

        asker = Asker(self.complete, Principal("t", "", "k", frozenset()))
        grader = Grader(CRITERIA.validate_python(criteria), asker, embed)
        source = SOURCES.validate_python(sampled({"type": "file_id", "id": "file-1"})) if asks else None
        return await OutputItemMaker(source, asker, grader).make(3, row)


ROW = DataItem({"question": "Norway"})


async def test_an_answer_is_graded_by_its_text_its_json_and_its_calls() -> None:
    model = Model({"content": '{"city": "Oslo"}'}, temperature=0.5, top_p=0.9, seed=7, max_tokens=12)
    outcome = await model.make(ROW, check("sample.output_json.city"), check("sample.choices[0].finish_reason", "stop"))
    assert (outcome.number, outcome.status, [grade.passed for grade in outcome.grades]) == (3, "pass", [True, True])
    sample = outcome.sample
    assert [sample[name] for name in ("temperature", "top_p", "seed", "max_completion_tokens")] == [0.5, 0.9, 7, 12]
    assert sample["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "cached_tokens": 0}
    assert [(name, usage.total_tokens) for name, usage in outcome.usage] == [("base", 7)]
    called = await Model({"content": None, "tool_calls": [CALL]}).make(
        ROW, check("sample.output_tools[0].function.name", "find")
    )
    assert (called.status, json.loads(called.sample["output"][0]["content"])) == ("pass", [CALL])
    assert [called.sample[name] for name in ("temperature", "top_p", "seed")] == [1.0, 1.0, 0], "an engine's defaults"


@pytest.mark.parametrize(
    ("passes", "status"),
    [(("Oslo", "Oslo"), "pass"), (("Oslo", "Rome"), "fail"), (("Rome", "Oslo"), "fail")],
)
async def test_a_row_passes_where_all_criteria_do(passes: tuple[str, str], status: str) -> None:
    criteria = [check("sample.output_text", one) for one in passes]
    assert (await Model({"content": "Oslo"}).make(ROW, *criteria)).status == status


async def test_a_grade_that_cannot_be_given_is_an_error_whatever_the_others_say() -> None:
    outcome = await Model({"content": "Oslo"}).make(ROW, check("item.nothing"), check("sample.output_text"))
    assert (outcome.status, [grade.failed for grade in outcome.grades]) == ("error", [True, False])


@pytest.mark.parametrize(
    ("row", "code", "asked"),
    [
        (ROW, "context_length_exceeded", [{"role": "user", "content": "The capital of Norway?"}]),
        (DataItem({"city": "Oslo"}), "unknown_place", []),
    ],
)
async def test_a_row_that_could_not_be_asked_has_its_question_and_the_reason(
    row: DataItem, code: str, asked: list[dict[str, str]]
) -> None:
    outcome = await Model(None).make(row, check("sample.output_text"))
    assert (outcome.status, outcome.grades, outcome.usage) == ("error", [], [])
    assert (outcome.sample["error"]["code"], outcome.sample["input"]) == (code, asked)


@pytest.mark.parametrize(
    ("sample", "output"),
    [
        ({"output_text": "Oslo"}, ["Oslo"]),
        ({"output_text": {"city": "Oslo"}}, ['{"city":"Oslo"}']),
        ({}, []),
        (None, []),
    ],
)
async def test_an_answer_that_a_row_brought_is_shown_as_it_came(sample: Any, output: list[str]) -> None:
    outcome = await Model(None).make(DataItem({}, sample), check("sample.output_text"), asks=False)
    assert [one["content"] for one in outcome.sample["output"]] == output
    assert (outcome.sample["model"], outcome.usage) == ("", [])
    assert outcome.status == ("pass" if output == ["Oslo"] else "fail" if output else "error")


async def test_json_that_a_row_names_itself_stays() -> None:
    row = DataItem({}, {"output_text": '{"a": 1}', "output_json": {"a": 2}})
    assert (await Model(None).make(row, check("sample.output_json.a", "2"), asks=False)).status == "pass"


def page(*items: EvalOutputItemRow, **counts: int) -> str:
    run = {"id": "evalrun_1", "name": "", "model": "base", "status": "succeeded", "error": None, "created_at": 0}
    row = EvalRunRow(**run, total=9, criteria_results=[{"passed": 1, "failed": 1}], **counts)
    made = EvalRow(id="eval_1", name="", testing_criteria=[{"name": "exact", "type": "string_check"}])
    return render_page(made, row, items)


def item(**sample: Any) -> EvalOutputItemRow:
    results = [{"name": "exact", "passed": False, "score": 0.5}]
    return EvalOutputItemRow(number=4, status="fail", item={"q": "x" * 5000}, sample=sample, results=results)


def test_a_page_names_what_has_no_name_and_says_how_many_rows_it_leaves_out() -> None:
    text = page(item(), passed=1, failed=3, errored=2)
    assert "<h1>evalrun_1</h1>" in text
    assert "A run of eval_1" in text
    assert "16.7 %" in text, "of the rows that were graded or couldn't be"
    assert "4 more are in the run" in text
    assert "more are in the run" not in page(item(), passed=1, failed=1, errored=0)
    assert "There are none." in page(passed=2, failed=0, errored=0)
    assert "–" in page(passed=0, failed=0, errored=0), "without a row there is no share"


def test_a_page_shows_question_answer_and_reason_and_cuts_long_texts() -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Why?"}]
    text = page(item(input=turns, output=[{"content": "So."}]), passed=0, failed=1, errored=0)
    assert "system: Be kind.\nuser: Why?" in text
    assert "<p>So.</p>" in text
    assert "score 0.5" in text
    assert f"{'x' * 3994}…" in text, "4,000 characters of the row as JSON"
    assert "x" * 3995 not in text
    failed = page(item(error={"code": "too_long", "message": ""}), passed=0, failed=0, errored=1)
    assert "<p>too_long</p>" in failed
