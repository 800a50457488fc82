"""Evals as clients make them, and what is refused with a reason and a way on."""

from typing import Any

import pytest

from gateway.evals import service
from tests.gateway.evals.conftest import EXACT, SCHEMA, Evals, rows, sampled

CUSTOM: dict[str, Any] = {"type": "custom", "item_schema": SCHEMA}
JUDGED: dict[str, Any] = {"name": "j", "model": "base", "input": [{"role": "user", "content": "{{ item.question }}"}]}

LABELLED: dict[str, Any] = {**JUDGED, "type": "label_model", "labels": ["a"], "passing_labels": ["a"]}
SCORED: dict[str, Any] = {**JUDGED, "type": "score_model"}
ALIKE: dict[str, Any] = {
    **{"type": "text_similarity", "name": "a", "evaluation_metric": "bleu"},
    **{"input": "{{ sample.output_text }}", "reference": "{{ item.answer }}"},
}


async def test_an_eval_is_made_changed_listed_and_deleted_with_its_runs(evals: Evals) -> None:
    ids = [await evals.make(name=name, metadata={"n": name}) for name in ("one", "two", "three")]
    made = await evals.ok("GET", f"/{ids[0]}")
    schema = made["data_source_config"]["schema"]
    assert (schema["properties"]["item"], schema["required"]) == (SCHEMA, ["item", "sample"])
    assert made["testing_criteria"] == [EXACT]
    changed = await evals.ok("POST", f"/{ids[0]}", json={"name": "first"})
    assert (changed["name"], changed["metadata"]) == ("first", {"n": "one"})
    page = await evals.ok("GET", "", params={"limit": 2})
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (ids[:2], True)
    rest = await evals.ok("GET", "", params={"after": page["last_id"], "order_by": "updated_at", "order": "desc"})
    assert ids[1] not in [one["id"] for one in rest["data"]]
    run = await evals.run(ids[0], sampled(rows("France")))
    waiting = await evals.start(ids[0], sampled(rows("France")))
    assert await evals.ok("DELETE", f"/{ids[0]}") == {"object": "eval.deleted", "deleted": True, "eval_id": ids[0]}
    for id in (run["id"], waiting["id"]):
        await evals.fault(404, "GET", f"/{ids[0]}/runs/{id}")


@pytest.mark.parametrize(
    ("criterion", "code", "words"),
    [
        ({"type": "python", "name": "p", "source": "def grade(sample, item): return 1"}, "unsupported_grader",
         "Use string_check"),
        ({**ALIKE, "evaluation_metric": "meteor", "pass_threshold": 1}, "unsupported_grader", "rouge_l"),
        ({**EXACT, "input": "{{ os.environ }}"}, "invalid_template", "paths only"),
        ({**JUDGED, "type": "label_model", "labels": ["a"], "passing_labels": ["a"],
          "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, None, ""),
    ],
)  # fmt: skip
async def test_what_cannot_be_graded_is_refused(
    evals: Evals, criterion: dict[str, Any], code: str | None, words: str
) -> None:
    body = {"data_source_config": CUSTOM, "testing_criteria": [criterion]}
    refused = await evals.fault(400, "POST", "", json=body)
    assert words in refused["message"]
    assert code in (None, refused["code"])


@pytest.mark.parametrize(
    ("criterion", "member", "words"),
    [
        ({**LABELLED, "passing_labels": ["a", "b"]}, "[0].passing_labels", "has 'b', which isn't in labels"),
        ({**LABELLED, "passing_labels": []}, "[0].passing_labels", "is empty, so that no row would pass"),
        ({**SCORED, "pass_treshold": 0.5}, "[0].pass_treshold", "Known are input, model, name, pass_threshold, range,"),
        ({**EXACT, "expected": "a"}, "[0].expected", "'expected' isn't known in 'testing_criteria[0]'"),
        ({**ALIKE, "pass_threshold": 1, "threshold": 1}, "[0].threshold", "pass_threshold"),
        ({**LABELLED, "pass_labels": ["a"]}, "[0].pass_labels", "passing_labels"),
        ({**SCORED, "range": [5, 1]}, "[0].range", "from a lower number"),
        ({**SCORED, "range": [1, 5], "pass_threshold": 7}, "[0].pass_threshold", "no row would pass"),
        ({**SCORED, "range": [1, 5], "pass_threshold": 0.5}, "[0].pass_threshold", "every row would pass"),
        ({**SCORED, "pass_threshold": 3}, "[0].pass_threshold", "from 0 to 1"),
        ({**ALIKE, "pass_threshold": 80}, "[0].pass_threshold", "from 0 to 1"),
        ({**ALIKE, "pass_threshold": -1}, "[0].pass_threshold", "from 0 to 1"),
        ({**EXACT, "reference": "{{ item.a"}, "[0].reference", "'{{ item.a' has no end"),
        ({**EXACT, "reference": "{{ items.a }}"}, "[0].reference", "from 'item'"),
        ({**SCORED, "sampling_params": {"max_tokens": 5}}, "[0].sampling_params.max_tokens", "max_completions_tokens"),
        ({"type": "multi", "name": "m", "graders": {}, "calculate_output": "a"}, "[0].type",
         "'multi' isn't known as the 'type' of 'testing_criteria[0]'. Known are string_check, text_similarity,"),
        ({"name": "m"}, "[0].type", "Field required"),
    ],
)  # fmt: skip
async def test_a_criterion_that_can_decide_nothing_is_refused_by_its_member(
    evals: Evals, criterion: dict[str, Any], member: str, words: str
) -> None:
    body = {"data_source_config": CUSTOM, "testing_criteria": [criterion]}
    refused = await evals.fault(400, "POST", "", json=body)
    assert refused["param"] == f"testing_criteria{member}"
    assert words in refused["message"]


async def test_a_member_that_is_not_known_is_refused_by_its_name_wherever_it_stands(evals: Evals) -> None:
    body: dict[str, Any] = {"data_source_config": CUSTOM, "testing_criteria": [EXACT]}
    id = await evals.make()
    run = sampled(rows("France"))
    for path, sent, param in (
        ("", body | {"criteria": []}, "criteria"),
        ("", body | {"data_source_config": CUSTOM | {"sample_schema": True}}, "data_source_config.sample_schema"),
        (f"/{id}", {"names": "x"}, "names"),
        (f"/{id}/runs", {"data_source": run, "model": "base"}, "model"),
        (f"/{id}/runs", {"data_source": run | {"temperature": 0}}, "data_source.temperature"),
        (f"/{id}/runs", {"data_source": run | {"source": rows("France") | {"rows": 1}}}, "data_source.source.rows"),
    ):
        refused = await evals.fault(400, "POST", path, json=sent)
        assert (refused["code"], refused["param"]) == ("extra_forbidden", param)
        assert "Known are" in refused["message"]


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"role": "user", "content": "a", "contents": "b"}, "contents"),
        ({"role": "user", "content": {"type": "input_text", "text": "a", "texts": "b"}}, "content.texts"),
        ({"role": "user", "content": [{"type": "input_text", "text": "a", "texts": "b"}]}, "content[0].texts"),
    ],
)
async def test_messages_refuse_what_they_do_not_know_and_take_what_openai_returns(
    evals: Evals, message: dict[str, Any], place: str
) -> None:
    def ask(said: dict[str, Any]) -> dict[str, Any]:
        return {"data_source_config": CUSTOM, "testing_criteria": [{**LABELLED, "input": [said]}]}

    refused = await evals.fault(400, "POST", "", json=ask(message))
    assert (refused["param"], refused["code"]) == (f"testing_criteria[0].input[0].{place}", "extra_forbidden")
    part = {"type": "output_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
    returned = {"role": "assistant", "content": [part], "type": "message", "status": "completed", "phase": None}
    made = await evals.ok("POST", "", json=ask(returned))
    kept = made["testing_criteria"][0]["input"][0]
    assert not {"status", "phase"} & kept.keys()
    assert kept["content"] == [{"type": "output_text", "text": "a"}]


async def test_rows_of_a_request_refuse_a_misspelt_sample_and_hold_anything_within(evals: Evals) -> None:
    id = (await evals.ok("POST", "", json={"data_source_config": CUSTOM, "testing_criteria": [EXACT]}))["id"]
    (row,) = rows("France")["content"]

    def ask(sent: dict[str, Any]) -> dict[str, Any]:
        return {"data_source": sampled({"type": "file_content", "content": [sent]})}

    refused = await evals.fault(400, "POST", f"/{id}/runs", json=ask({**row, "samples": {}}))
    assert refused["param"] == "data_source.source.content[0].samples"
    free = {"item": {**row["item"], "any": {"x": [1]}}, "sample": {"output_text": "a", "more": [{}]}}
    await evals.ok("POST", f"/{id}/runs", json=ask(free))


async def test_what_earlier_clients_of_openai_send_is_taken_where_it_is_kept_to(evals: Evals) -> None:
    body: dict[str, Any] = {"data_source_config": CUSTOM, "testing_criteria": [EXACT]}
    for shared in (False, None):
        await evals.ok("POST", "", json=body | {"share_with_openai": shared})
    refused = await evals.fault(400, "POST", "", json=body | {"share_with_openai": True})
    assert refused["param"] == "share_with_openai"


async def test_criteria_are_taken_again_as_they_are_listed(evals: Evals) -> None:
    sampling = {"seed": 1, "max_completions_tokens": 5}
    criteria = [
        EXACT,
        {**ALIKE, "pass_threshold": 0.5},
        LABELLED,
        {**SCORED, "range": None, "pass_threshold": None, "sampling_params": sampling},
        {**SCORED, "input": [{"type": "message", "role": "user", "content": {"type": "input_text", "text": "a"}}]},
    ]
    listed = await evals.ok("GET", f"/{await evals.make(*criteria)}")
    again = await evals.ok("GET", f"/{await evals.make(*listed['testing_criteria'])}")
    assert again["testing_criteria"] == listed["testing_criteria"]


async def test_a_threshold_may_be_either_end_of_the_range(evals: Evals) -> None:
    await evals.make({**SCORED, "range": [1, 5], "pass_threshold": 5}, {**ALIKE, "pass_threshold": 0})


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"type": "thing"}, "invalid_schema"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "unsupported_format"),
        ({"description": "x" * 70_000}, "schema_too_large"),
        ({"$ref": "https://example.com/rows.json"}, "invalid_schema"),
        ({"properties": {"a": {"items": {"$ref": "#/$defs/missing"}}}}, "invalid_schema"),
        ({"properties": {"a": {"type": "string"}, "b": {"$ref": "#/properties/a/type/x"}}}, "invalid_schema"),
        ({"$ref": "#"}, "invalid_schema"),
    ],
)
async def test_a_schema_that_cannot_be_held_against_rows_is_refused(
    evals: Evals, schema: dict[str, Any], code: str
) -> None:
    config = {"type": "custom", "item_schema": schema}
    refused = await evals.fault(400, "POST", "", json={"data_source_config": config, "testing_criteria": [EXACT]})
    assert (refused["code"], refused["param"]) == (code, "data_source_config.item_schema")


@pytest.mark.parametrize("types", ["string", "array", ["string", "null"]])
async def test_a_schema_of_anything_but_objects_is_refused(evals: Evals, types: Any) -> None:
    config = {"type": "custom", "item_schema": {"type": types}}
    refused = await evals.fault(400, "POST", "", json={"data_source_config": config, "testing_criteria": [EXACT]})
    assert (refused["code"], refused["param"]) == ("invalid_schema", "data_source_config.item_schema.type")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["object", "null"]},
        {"properties": {"$ref": {"type": "string"}}},
        {"properties": {"a": {"$ref": "#/$defs/text"}}, "$defs": {"text": {"type": "string"}}},
        {"properties": {"a": {"$ref": "#text"}}, "definitions": {"text": {"$anchor": "text", "type": "string"}}},
        {"properties": {"a": {"$ref": "urn:a:text"}}, "$defs": {"text": {"$id": "urn:a:text", "type": "string"}}},
        {"properties": {"next": {"$ref": "#"}}},
    ],
)
async def test_a_schema_may_refer_to_what_is_in_it(evals: Evals, schema: dict[str, Any]) -> None:
    config = {"type": "custom", "item_schema": schema}
    await evals.ok("POST", "", json={"data_source_config": config, "testing_criteria": [EXACT]})


async def test_a_property_may_be_named_as_a_keyword(evals: Evals) -> None:
    config = {"type": "custom", "item_schema": {"properties": {"pattern": {"type": "string"}}}}
    await evals.ok("POST", "", json={"data_source_config": config, "testing_criteria": [EXACT]})


async def test_stored_answers_are_none_and_it_says_so(evals: Evals) -> None:
    for kind in ("logs", "stored_completions"):
        body = {"data_source_config": {"type": kind, "metadata": {}}, "testing_criteria": [EXACT]}
        refused = await evals.fault(400, "POST", "", json=body)
        assert (refused["code"], "file_content" in refused["message"]) == ("unsupported_data_source", False)
    id = await evals.make()
    for kind in ("responses", "stored_completions"):
        source = sampled({"type": kind, "model": "base"})
        refused = await evals.fault(400, "POST", f"/{id}/runs", json={"data_source": source})
        assert (refused["code"], "file_content" in refused["message"]) == ("unsupported_data_source", True)


async def test_a_run_is_held_against_schema_and_bounds(evals: Evals) -> None:
    id = await evals.make()
    for content, words in (
        ([{"item": {"question": 3}}, {"item": {}}], "row 0: item.question: 3 is not of type 'string'; row 1: item:"),
        ([{"item": {"question": "x" * 300_000}}], "larger than 256 KiB"),
    ):
        body = {"data_source": sampled({"type": "file_content", "content": content})}
        refused = await evals.fault(400, "POST", f"/{id}/runs", json=body)
        assert (refused["code"], words in refused["message"]) == ("invalid_items", True), refused["message"]
    files = ((b'{"question": "x"}\nno', "line 1:"), (b"\n", "no rows"), (b'{"item": {}}\n' * 10_001, "10,000"))
    for data, words in files:
        source = sampled({"type": "file_id", "id": await evals.file(data)})
        refused = await evals.fault(400, "POST", f"/{id}/runs", json={"data_source": source})
        assert (refused["code"], words in refused["message"]) == ("invalid_items", True), refused["message"]
    nameless = {key: value for key, value in sampled(rows("France")).items() if key != "model"}
    refused = await evals.fault(400, "POST", f"/{id}/runs", json={"data_source": nameless})
    assert refused["param"] == "data_source.model"
    for kind, sampling, name in (
        ("completions", {"max_tokens": 5}, "max_tokens"),
        ("responses", {"response_format": {"type": "json_object"}}, "response_format"),
        ("responses", {"text": {"form": {"type": "json_object"}}}, "text.form"),
    ):
        source = sampled(rows("France"), type=kind, sampling_params=sampling)
        refused = await evals.fault(400, "POST", f"/{id}/runs", json={"data_source": source})
        assert refused["param"] == f"data_source.sampling_params.{name}"
        assert refused["message"].startswith(f"'{name.rpartition('.')[2]}' isn't known in 'data_source.sampling_params")
    unanswered = [{"role": "user", "content": "{{ sample.output_text }}?"}]
    for form, member in (
        ({"type": "template", "template": unanswered}, "template[0].content"),
        ({"type": "item_reference", "item_reference": "sample.input"}, "item_reference"),
    ):
        source = sampled(rows("France"), input_messages=form)
        refused = await evals.fault(400, "POST", f"/{id}/runs", json={"data_source": source})
        assert (refused["code"], refused["param"]) == ("invalid_template", f"data_source.input_messages.{member}")
    search = sampled(rows("France"), type="responses", sampling_params={"tools": [{"type": "file_search"}]})
    refused = await evals.fault(400, "POST", f"/{id}/runs", json={"data_source": search})
    assert (refused["code"], "assistant" in refused["message"]) == ("unsupported_tool", True)


async def test_a_tenant_has_a_bounded_number_of_evals(evals: Evals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_EVALS", 1)
    await evals.make()
    body = {"data_source_config": CUSTOM, "testing_criteria": [EXACT]}
    assert (await evals.fault(429, "POST", "", json=body))["code"] == "too_many_evals"


async def test_a_run_is_found_under_its_own_eval_only(evals: Evals) -> None:
    id, other = await evals.make(), await evals.make()
    run = await evals.run(id, sampled(rows("France", "Norway")))
    twin = await evals.run(id, sampled(rows("France")))
    item = (await evals.items(run))[0]["id"]
    await evals.fault(404, "GET", f"/{other}/runs/{run['id']}")
    await evals.fault(404, "GET", f"/{id}/runs/{twin['id']}/output_items/{item}")
    listed = await evals.ok("GET", f"/{id}/runs", params={"status": "completed", "order": "desc"})
    assert [one["id"] for one in listed["data"]] == [twin["id"], run["id"]]
    assert listed["data"][0]["data_source"]["source"]["content"] == []
    assert (await evals.ok("GET", f"/{other}/runs"))["data"] == []
