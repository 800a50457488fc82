"""Two runs over the same rows: a gate sees what differs, and how sure that is."""

import json

from gateway.evals.comparison import compare_runs
from gateway.evals.repository import RowResult
from gateway.evals.tables import EvalRunRow
from tests.fakes.vllm import FakeVllm
from tests.gateway.evals.conftest import ALIKE, EXACT, Evals, rows, sampled

COUNTRIES = ("France", "Norway", "Italy", "Mars") * 5


async def compare(evals: Evals, run: str, baseline: str) -> tuple[int, dict[str, object]]:
    answer = await evals.http.get(f"/api/eval_runs/{run}/differences/{baseline}")
    return answer.status_code, answer.json()


async def test_a_worse_model_is_told_from_a_better_one(evals: Evals, engine: FakeVllm) -> None:
    alike = {**ALIKE, "name": "alike", "evaluation_metric": "fuzzy_match"}
    id = await evals.make(EXACT, {**alike, "pass_threshold": 0.0})
    good = await evals.run(id, sampled(rows(*COUNTRIES)))
    engine.reply = lambda chat: "I don't know."
    bad = await evals.run(id, sampled(rows(*reversed(COUNTRIES), "Spain")))
    status, difference = await compare(evals, bad["id"], good["id"])
    assert (status, difference["complete"], difference["pairs"], difference["unpaired"]) == (200, True, 20, 1)
    passes = difference["passes"]
    assert isinstance(passes, dict)
    assert (passes["value"], passes["n"]) == (-0.75, 20)
    assert passes["low"] < -0.75 < passes["high"] < 0
    criteria = difference["criteria"]
    assert isinstance(criteria, list)
    assert [one["testing_criteria"] for one in criteria] == ["exact", "alike"]
    assert criteria[1]["scores"]["high"] < 0
    _, same = await compare(evals, good["id"], good["id"])
    assert same["passes"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 20}
    other = await evals.run(await evals.make(), sampled(rows("France")))
    status, refused = await compare(evals, other["id"], good["id"])
    assert (status, json.dumps(refused).count("different_evals")) == (400, 1)
    status, _ = await compare(evals, good["id"], "evalrun_none")
    assert status == 404


def test_errors_do_not_pass_and_have_no_score() -> None:
    grade = {"name": "exact", "passed": True, "score": 1.0}
    fault = {"name": "exact", "passed": False, "score": 0.0, "sample": {"error": {"code": "x", "message": "y"}}}
    good = [RowResult({"a": n}, "pass", [grade]) for n in (1, 1, 2)]
    bad = [
        RowResult({"a": 1}, "pass", [grade]),
        RowResult({"a": 1}, "error", []),
        RowResult({"a": 2}, "error", [fault]),
    ]
    run, baseline = EvalRunRow(id="run", status="running"), EvalRunRow(id="baseline", status="succeeded")
    difference = compare_runs(run, baseline, bad, good, ["exact"])
    assert not difference.complete
    assert difference.pairs == 3
    assert difference.passes is not None
    assert round(difference.passes.value, 3) == -0.667
    scores = difference.criteria[0].scores
    assert scores is not None
    assert (scores.value, scores.n) == (0.0, 1)
    assert compare_runs(run, baseline, [], good, ["exact"]).passes is None
