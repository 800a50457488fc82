"""Places in templates are paths: nothing in them is run, and nothing that fills them is looked at again."""

from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.evals.templates import UnknownPlace, check_place, check_template, read_place, render

VALUES: dict[str, Any] = {
    "item": {"question": "Why?", "tags": ["a", "b"], "number": 3, "a b": {"c": None}, "trap": "{{ sample.x }}"},
    "sample": {"output_text": "secret", "output_json": {"rows": [{"x": 1}]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Q: {{item.question}}", "Q: Why?"),
        ("{{ item.tags[1] }}/{{ item['a b'].c }}", "b/null"),
        ('{{ item["tags"] }}', '["a","b"]'),
        ("{{ item.number }}{{ sample.output_json.rows[0].x }}", "31"),
        ("{{ item.trap }}", "{{ sample.x }}"),
        ("{% for x in item %} { item }", "{% for x in item %} { item }"),
    ],
)
def test_places_are_filled(text: str, rendered: str) -> None:
    check_template(text, "input")
    assert render(text, VALUES) == rendered


@pytest.mark.parametrize(
    "text",
    [
        "{{ config }}", "{{ item.question | upper }}", "{{ item.question.upper() }}", "{{ 7 * 7 }}", "{{ }}",
        "{{ ''.__class__ }}", "{{ item['a }}", "{{ item.question if item }}",
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused_when_it_is_written(text: str) -> None:
    with pytest.raises(BadRequest, match="paths only") as refused:
        check_template(text, "testing_criteria[0].input")
    assert (refused.value.code, refused.value.param) == ("invalid_template", "testing_criteria[0].input")


@pytest.mark.parametrize("text", ["{{ item.a", "{{ item.a }} {{ item.b }", "}} {{", "{{" + " " * 501 + "item.a }}"])
def test_a_place_without_an_end_is_refused_when_it_is_written(text: str) -> None:
    with pytest.raises(BadRequest, match=r"has no end\. Close it with '}}' within 500"):
        check_template(text, "input")


@pytest.mark.parametrize("place", ["item.__class__", "item.answer", "item.tags[2]", "item.question[0]", "sample.x.y"])
def test_a_path_reads_data_only(place: str) -> None:
    check_place(place, "input")
    with pytest.raises(UnknownPlace, match="isn't there"):
        read_place(place, VALUES)


def test_a_text_that_becomes_too_long_is_an_error() -> None:
    with pytest.raises(UnknownPlace, match="longer than"):
        render("{{ item.long }}" * 3, {"item": {"long": "x" * 400_000}})
