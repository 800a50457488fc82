"""Evals of an export: which criteria are taken, what rows look like, and what stays behind with a reason."""

from typing import Any

import pytest

from gateway.client import GatewayError
from gateway.openai_import.eval_import import import_evals
from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.report import ImportReport, KindCount
from tests.gateway.openai_import.answering_client import AnsweringClient, destination

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
CONFIG: dict[str, Any] = {"type": "custom", "item_schema": SCHEMA}
EXACT = {"type": "string_check", "name": "exact", "input": "a", "reference": "a", "operation": "eq"}
JUDGE = {"type": "label_model", "name": "kind", "model": "gpt-4o", "input": [], "labels": ["a"]}


def record(*criteria: Any, **more: Any) -> dict[str, Any]:
    return {"name": "Parcels", "data_source_config": CONFIG, "testing_criteria": list(criteria), **more}


async def run_import(
    one: dict[str, Any], *, there: Any = (), refusal: Any = None, dry_run: bool = False, runs: int = 0
) -> tuple[dict[str, Any] | None, ImportReport]:
    """Return the body of the request that makes the eval; None where there was none."""
    export = ExportFolder({"eval": {"eval_1": one}, "eval.run": {str(n): {} for n in range(runs)}}, {}, {}, {})
    report = ImportReport(dry_run=dry_run)
    made = {"/v1/evals": refusal} if refusal else {}
    async with AnsweringClient({"/v1/evals": list(there)}, made) as client:
        grader = {"gpt-4o": "base"}.get
        await import_evals(export, destination(client, dry_run=dry_run), report, grader)
        return next((body for _, body in client.sent), None), report


async def test_an_eval_is_made_with_its_criteria_and_its_id() -> None:
    criteria = [
        EXACT | {"id": "exact-1", "eval_id": "eval_1"},
        JUDGE | {"id": "kind-1", "sampling_params": {"seed": 1}},
    ]
    body, report = await run_import(record(*criteria, metadata={"team": "desk"}))
    assert body == {
        "name": "Parcels",
        "data_source_config": CONFIG | {"include_sample_schema": False},
        "testing_criteria": [EXACT, JUDGE | {"model": "base", "sampling_params": {"seed": 1}}],
        "metadata": {"team": "desk", "openai_id": "eval_1"},
    }
    assert (report.counts, report.omissions) == ({"evals": KindCount(total=1, imported=1)}, [])


@pytest.mark.parametrize("name", [None, ""])
async def test_an_eval_without_a_name_is_called_by_its_id(name: Any) -> None:
    body, _ = await run_import(record(EXACT, name=name))
    assert body is not None
    assert body["name"] == "eval_1"


@pytest.mark.parametrize(
    ("config", "schema", "has_sample"),
    [
        (CONFIG | {"include_sample_schema": True}, SCHEMA, True),
        ({"type": "custom", "schema": {"properties": {"item": SCHEMA, "sample": {}}}}, SCHEMA, True),
        ({"type": "custom", "schema": {"properties": {"item": SCHEMA}}}, SCHEMA, False),
        ({"type": "custom", "schema": {}}, {"type": "object"}, False),
        ({"type": "custom", "item_schema": None, "schema": None}, {"type": "object"}, False),
    ],
)
async def test_the_schema_of_a_row_is_found_as_it_was_sent_or_as_it_is_shown(
    config: dict[str, Any], schema: dict[str, Any], has_sample: bool
) -> None:
    body, _ = await run_import(record(EXACT, data_source_config=config))
    assert body is not None
    shape = {"type": "custom", "item_schema": schema, "include_sample_schema": has_sample}
    assert body["data_source_config"] == shape


@pytest.mark.parametrize("config", [{"type": "stored_completions"}, {"type": "logs", "item_schema": SCHEMA}, None])
async def test_an_eval_of_answers_that_openai_stored_is_left_out(config: Any) -> None:
    body, report = await run_import(record(EXACT, data_source_config=config))
    assert (body, report.counts["evals"]) == (None, KindCount(total=1, omitted=1))
    assert "answers that OpenAI has stored" in report.omissions[0].reason


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        ({"type": "python", "name": "mine"}, "a program"),
        ({"type": "multi", "name": "mine"}, "the type 'multi'"),
        (JUDGE | {"name": "mine", "model": "o3"}, "the model 'o3', which isn't here. Name one"),
        (JUDGE | {"name": "mine", "type": "score_model", "model": None}, "the model 'None'"),
    ],
)
async def test_a_criterion_that_cannot_be_graded_here_is_told_and_the_others_are_taken(
    criterion: dict[str, Any], words: str
) -> None:
    body, report = await run_import(record(criterion, EXACT))
    assert body is not None
    assert body["testing_criteria"] == [EXACT]
    (note,) = report.omissions
    assert (note.partly, note.reason.startswith("the criterion 'mine' isn't taken: "), words in note.reason) == (
        True,
        True,
        True,
    )
    body, report = await run_import(record(criterion))
    assert (body, report.counts["evals"]) == (None, KindCount(total=1, omitted=1))
    assert [one.partly for one in report.omissions] == [True, False]


async def test_an_eval_that_is_there_a_dry_run_and_a_refusal_make_nothing() -> None:
    there = [{"id": "eval_here", "metadata": {"openai_id": "eval_1"}}]
    body, report = await run_import(record(EXACT), there=there)
    assert (body, report.counts["evals"]) == (None, KindCount(total=1, present=1))
    body, report = await run_import(record(EXACT), there=[{"id": "x", "metadata": None}], dry_run=True)
    assert (body, report.counts["evals"]) == (None, KindCount(total=1, imported=1))
    _, report = await run_import(record(EXACT), refusal=GatewayError(422, "It has no rows."))
    assert report.counts["evals"] == KindCount(total=1, omitted=1)
    assert report.omissions[0].reason == "It has no rows."
    with pytest.raises(GatewayError):
        await run_import(record(EXACT), refusal=GatewayError(401, "Who is there?"))


OURS = {**JUDGE, "model": "base"}
REFUSALS: tuple[tuple[str, str, dict[str, Any], list[dict[str, Any]], str], ...] = (
    ("testing_criteria[1].image_tag", "extra_forbidden", {"image_tag": "x"}, [EXACT, OURS], "'image_tag' of"),
    (
        *("testing_criteria[1].sampling_params.n", "extra_forbidden", {"sampling_params": {"n": 1, "seed": 2}}),
        *([EXACT, {**OURS, "sampling_params": {"seed": 2}}], "'sampling_params.n' of"),
    ),
    ("testing_criteria[0].reference", "invalid_template", {}, [OURS], "the criterion 'exact'"),
    ("testing_criteria[0].operation", "literal_error", {}, [OURS], "the criterion 'exact'"),
)


@pytest.mark.parametrize(("param", "code", "given", "rest", "words"), REFUSALS)
async def test_what_is_refused_of_a_criterion_is_told_and_the_rest_is_taken(
    param: str, code: str, given: dict[str, Any], rest: list[dict[str, Any]], words: str
) -> None:
    error = GatewayError(400, "It isn't known.", code, param)
    body, report = await run_import(record(EXACT, JUDGE | given), refusal=(error, {"id": "eval_here"}))
    assert body is not None
    assert body["testing_criteria"] == rest
    assert report.counts["evals"] == KindCount(total=1, imported=1)
    (note,) = report.omissions
    assert (note.partly, note.reason.startswith(words), "It isn't known." in note.reason) == (True, True, True)


async def test_an_eval_of_which_no_criterion_is_left_is_left_out() -> None:
    error = GatewayError(400, "It has no end.", "invalid_template", "testing_criteria[0].input")
    _, report = await run_import(record(EXACT), refusal=error)
    assert report.counts["evals"] == KindCount(total=1, omitted=1)
    assert [one.partly for one in report.omissions] == [True, False]
    _, report = await run_import(record("exact", None, EXACT))
    assert report.counts["evals"] == KindCount(total=1, imported=1)


@pytest.mark.parametrize(("runs", "words"), [(0, ""), (1, "1 run is of a hosted"), (3, "3 runs are of hosted")])
async def test_runs_stay_in_the_folder_and_are_counted(runs: int, words: str) -> None:
    _, report = await run_import(record(EXACT), runs=runs)
    assert report.counts.get("eval_runs") == (KindCount(total=runs, omitted=runs) if runs else None)
    assert [one.reason.startswith(words) for one in report.omissions] == [True] * bool(runs)
