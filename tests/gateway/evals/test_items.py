"""Rows of a run as they are read from a file and held against the eval's schema."""

import json
from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.evals import items
from gateway.evals.items import DataItem, check_item_schema, check_items, decode_items, encode_items, read_lines

LINE = b'{"item": {"q": "x"}}'
STRICT: dict[str, Any] = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


def read_refusal(data: bytes) -> str:
    with pytest.raises(BadRequest) as error:
        read_lines(data, "rows.jsonl")
    assert (error.value.code, error.value.param) == ("invalid_items", "data_source.source")
    return error.value.message


def test_lines_are_rows_with_or_without_an_answer_and_blank_ones_are_none() -> None:
    data = b"\xef\xbb\xbf" + LINE + b"\r\n \n" + b'{"item": {}, "sample": {"output_text": "y"}, "more": 1}'
    rows = read_lines(data, "rows.jsonl")
    assert rows == [DataItem({"q": "x"}), DataItem({}, {"output_text": "y"})]
    assert decode_items(encode_items(rows)) == rows


def test_faults_are_named_by_their_lines_and_the_first_ones_alone() -> None:
    assert read_refusal(LINE + b"\n\nno\n[]").count("line ") == 2
    assert "line 3: " in read_refusal(LINE + b"\n\nno")
    assert "more" not in read_refusal(b"no\n" * 5)
    many = read_refusal(b"no\n" * 7)
    assert "line 5: " in many
    assert "line 6: " not in many
    assert many.endswith("; and 2 more")
    assert "[" * 10 not in read_refusal(b"[" * 100_000)


def test_a_run_has_a_bounded_number_of_rows_and_one_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    assert items.MOST_ITEMS == 10_000
    monkeypatch.setattr(items, "MOST_ITEMS", 3)
    assert len(read_lines((LINE + b"\n") * 3, "rows.jsonl")) == 3
    assert "more than 3 rows" in read_refusal((LINE + b"\n") * 4)
    assert "has no rows" in read_refusal(b" \n")


def test_rows_are_held_against_the_schema_by_number_and_path() -> None:
    check_items([DataItem({"q": "x", "more": 1})], STRICT)
    rows = [DataItem({"q": "x"}), DataItem({"q": 3}), DataItem({}), *[DataItem({"q": None})] * 4]
    with pytest.raises(BadRequest) as error:
        check_items(rows, STRICT)
    message = error.value.message
    assert "row 1: item.q: 3 is not of type 'string'; row 2: item: 'q' is a required property" in message
    assert message.endswith("; and 1 more")


@pytest.mark.parametrize(("size", "passes"), [(262_000, True), (262_144, False)])
def test_a_row_is_bounded(size: int, passes: bool) -> None:
    rows = [DataItem({"q": "x" * size})]
    if passes:
        check_items(rows, STRICT)
    else:
        with pytest.raises(BadRequest, match="row 0: it is larger than 256 KiB"):
            check_items(rows, STRICT)


@pytest.mark.parametrize("schema", [{"$ref": "https://x.example/schema"}, {"$ref": "#"}])
def test_a_schema_that_leads_elsewhere_or_nowhere_is_the_evals_fault(schema: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="isn't in it, or to itself") as error:
        check_items([DataItem({"q": "x"})], schema)
    assert error.value.code == "invalid_schema"


def nest(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        (STRICT, None),
        ({"properties": {"pattern": {"type": "string"}, "uniqueItems": {}}}, None),
        ({"$defs": {"pattern": {"type": "string"}}}, None),
        ({"items": {"pattern": "a"}}, "unsupported_format"),
        ({"anyOf": [{"uniqueItems": True}]}, "unsupported_format"),
        ({"properties": {"a": {"patternProperties": {}}}}, "unsupported_format"),
        ({"properties": {"properties": {"pattern": "a"}}}, "unsupported_format"),
        ({"$dynamicRef": "#a"}, "unsupported_format"),
        ({"type": "thing"}, "invalid_schema"),
        (nest(15), None),
        (nest(16), "schema_too_large"),
        ({"description": "x" * 65_000}, None),
        ({"description": "x" * 65_536}, "schema_too_large"),
    ],
)
def test_a_schema_is_one_that_can_be_checked_in_time(schema: dict[str, Any], code: str | None) -> None:
    if code is None:
        check_item_schema(json.loads(json.dumps(schema)))
    else:
        with pytest.raises(BadRequest) as error:
            check_item_schema(schema)
        assert (error.value.code, error.value.param) == (code, "data_source_config.item_schema")


def test_a_line_that_says_a_name_twice_is_refused_by_its_number() -> None:
    data = b'{"item": {"q": "a"}}\n{"item": {"q": "a", "q": "b"}}\n'
    with pytest.raises(BadRequest, match="line 2: It says 'q' twice"):
        read_lines(data, "rows.jsonl")
