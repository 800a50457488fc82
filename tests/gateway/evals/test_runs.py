"""Runs as clients see them: every row is answered and graded, and one that can't be stops no other."""

import json
from typing import Any

from tests.fakes import faults
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import on_both_databases
from tests.gateway.evals.conftest import EXACT, Evals, rows, sampled

JUDGE = [{"role": "user", "content": "Is this right? {{ sample.output_text }}"}]


@on_both_databases
async def test_each_row_is_asked_graded_and_counted(evals: Evals, engine: FakeVllm) -> None:
    id = await evals.make(name="capitals", metadata={"team": "geo"})
    queued = await evals.start(id, sampled(rows("France", "Norway", "Mars")), name="first")
    assert (queued["status"], queued["model"], queued["name"]) == ("queued", "base", "first")
    assert queued["result_counts"] == {"total": 3, "passed": 0, "failed": 0, "errored": 0}
    await evals.settle()
    run = await evals.ok("GET", f"/{id}/runs/{queued['id']}")
    assert (run["status"], run["error"]) == ("completed", None)
    assert run["result_counts"] == {"total": 3, "passed": 2, "failed": 1, "errored": 0}
    assert run["per_testing_criteria_results"] == [{"testing_criteria": "exact", "passed": 2, "failed": 1}]
    (usage,) = run["per_model_usage"]
    assert (usage["model_name"], usage["invocation_count"]) == ("base", 3)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert run["data_source"]["source"] == rows("France", "Norway", "Mars")
    items = await evals.items(run)
    assert [item["status"] for item in items] == ["pass", "pass", "fail"]
    assert items[0]["results"] == [{"name": "exact", "type": "string_check", "passed": True, "score": 1.0}]
    sample = items[0]["sample"]
    assert sample["input"] == [{"role": "user", "content": "The capital of France?"}]
    assert sample["output"] == [{"role": "assistant", "content": "Paris"}]
    assert (sample["model"], sample["finish_reason"], sample["error"]) == ("base", "stop", None)
    assert {json.loads(one.body)["seed"] for one in engine.requests(CHAT)} == {42}
    failing = await evals.items(run, status="fail")
    assert [item["datasource_item_id"] for item in failing] == [2]
    path = f"/{id}/runs/{run['id']}/output_items/{items[1]['id']}"
    assert await evals.ok("GET", path) == items[1]


async def test_rows_come_from_a_file_and_sampling_reaches_the_engine(evals: Evals, engine: FakeVllm) -> None:
    lines = [json.dumps({"item": {"question": "Norway", "answer": "Oslo"}}) for _ in range(20)]
    file = await evals.file("\n".join(lines).encode())
    params = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "max_completion_tokens": 12}
    id = await evals.make()
    run = await evals.run(id, sampled({"type": "file_id", "id": file}, sampling_params=params))
    assert run["result_counts"] == {"total": 20, "passed": 20, "failed": 0, "errored": 0}
    assert run["data_source"]["source"] == {"type": "file_id", "id": file}
    body = json.loads(engine.requests(CHAT)[0].body)
    sent = [body[name] for name in ("temperature", "top_p", "seed", "max_tokens")]
    sample = (await evals.items(run))[0]["sample"]
    told = [sample[name] for name in ("temperature", "top_p", "seed", "max_completion_tokens")]
    assert sent == told == [0.5, 0.9, 7, 12]


async def test_rows_with_answers_are_only_graded(evals: Evals, engine: FakeVllm) -> None:
    content = [
        {"item": {"question": "a", "answer": "Paris"}, "sample": {"output_text": "Paris"}},
        {"item": {"question": "b", "answer": "Oslo"}, "sample": {"output_text": "Rome"}},
        {"item": {"question": "c", "answer": "Rome"}},
    ]
    id = await evals.make()
    run = await evals.run(id, {"type": "jsonl", "source": {"type": "file_content", "content": content}})
    assert run["result_counts"] == {"total": 3, "passed": 1, "failed": 1, "errored": 1}
    assert (run["model"], run["per_model_usage"]) == ("", [])
    assert run["data_source"]["source"]["content"] == content
    items = await evals.items(run)
    assert items[0]["sample"]["output"] == [{"role": "assistant", "content": "Paris"}]
    error = items[2]["results"][0]["sample"]["error"]
    assert (error["code"], "sample.output_text" in error["message"]) == ("unknown_place", True)
    assert engine.requests(CHAT) == []


async def test_models_grade_the_answers(evals: Evals, engine: FakeVllm) -> None:
    label = {"type": "label_model", "name": "judge", "model": "base", "input": JUDGE}
    label |= {"labels": ["good", "bad"], "passing_labels": ["good"]}
    score = {"type": "score_model", "name": "points", "model": "base", "input": JUDGE, "range": [1, 5]}
    id = await evals.make(label, {**score, "pass_threshold": 4}, {**score, "name": "half"})
    run = await evals.run(id, sampled(rows("France", "Norway")))
    items = await evals.items(run)
    grades = [[(one["name"], one["passed"], one["score"]) for one in item["results"]] for item in items]
    assert grades == [
        [("judge", True, 1.0), ("points", True, 4.0), ("half", True, 4.0)],
        [("judge", False, 0.0), ("points", False, 1.0), ("half", False, 1.0)],
    ]
    assert items[0]["results"][0]["sample"]["output_text"] == '{"label": "good"}'
    assert run["per_model_usage"][0]["invocation_count"] == 8
    bodies = [json.loads(one.body) for one in engine.requests(CHAT)]
    schemas = [one["response_format"]["json_schema"]["schema"] for one in bodies if "response_format" in one]
    assert schemas[0]["properties"] == {"label": {"type": "string", "enum": ["good", "bad"]}}


async def test_a_grade_that_is_none_is_an_error_of_its_item(evals: Evals, engine: FakeVllm) -> None:
    engine.reply = lambda chat: json.dumps({"score": 9}) if "response_format" in chat.body else "Paris"
    score = {"type": "score_model", "name": "points", "model": "base", "input": JUDGE}
    id = await evals.make(score, EXACT)
    run = await evals.run(id, sampled(rows("France")))
    assert run["result_counts"]["errored"] == 1
    (item,) = await evals.items(run)
    assert [one["passed"] for one in item["results"]] == [False, True]
    assert item["results"][0]["sample"]["error"]["code"] == "invalid_grade"
    assert [one["passed"] + one["failed"] for one in run["per_testing_criteria_results"]] == [0, 1]


async def test_rows_that_cannot_be_asked_stop_no_other(evals: Evals, engine: FakeVllm) -> None:
    content = [{"item": {"question": one, "answer": "Oslo", "chat": chat}} for one, chat in (
        ("Norway", [{"role": "user", "content": "Norway"}]), ("x", "Norway"), ("y", 3), ("z", [{"role": "user"}]),
    )]  # fmt: skip
    source = sampled({"type": "file_content", "content": content})
    source["input_messages"] = {"type": "item_reference", "item_reference": "item.chat"}
    id = await evals.make()
    run = await evals.run(id, source)
    assert run["status"] == "completed"
    assert run["result_counts"] == {"total": 4, "passed": 2, "failed": 0, "errored": 2}
    items = await evals.items(run, status="pass")
    assert [item["datasource_item_id"] for item in items] == [0, 1]
    errors = {item["datasource_item_id"]: item["sample"]["error"] for item in await evals.items(run)}
    assert errors[2]["code"] == "unknown_place"
    assert "needs content" in errors[3]["message"]


async def test_an_engine_that_fails_is_asked_again_and_one_that_is_away_waited_for(
    evals: Evals, engine: FakeVllm
) -> None:
    engine.script(faults.status(500, "out of memory"), faults.status(500, "out of memory"))
    run = await evals.run(await evals.make(), sampled(rows("France")))
    assert run["result_counts"]["passed"] == 1


async def test_a_model_that_does_not_exist_fails_the_run(evals: Evals) -> None:
    run = await evals.run(await evals.make(), sampled(rows("France", "Norway"), model="nobody"))
    assert (run["status"], run["error"]["code"]) == ("failed", "model_not_found")
    assert run["result_counts"] == {"total": 2, "passed": 0, "failed": 0, "errored": 0}


async def test_the_words_of_responses_mean_the_same(evals: Evals, engine: FakeVllm) -> None:
    form = {"type": "json_schema", "name": "label", "schema": {"type": "object"}, "strict": True}
    tool: dict[str, Any] = {"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": True}
    params = {"text": {"format": form}, "tools": [tool], "max_completion_tokens": 5}
    source = sampled(rows("France"), type="responses", sampling_params=params)
    run = await evals.run(await evals.make(), source)
    assert run["status"] == "completed"
    body = json.loads(engine.requests(CHAT)[0].body)
    schema = {"name": "label", "schema": {"type": "object"}, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert body["tools"][0]["function"]["name"] == "find"
    assert body["max_tokens"] == 5
