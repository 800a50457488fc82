from typing import Any

import pytest

from retrieval.filter_expressions import All, AnyOf, Between, Match, Not
from retrieval.errors import InvalidFilter
from retrieval.filters import compile_filter, filterable


def comparison(kind: str, value: object, key: str = "a") -> dict[str, object]:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (comparison("eq", "red"), Match("where.k61", ("s:red",))),
        (comparison("eq", True), Match("where.k61", ("b:True",))),
        (comparison("eq", 3), Between("where.k61", gte=3, lte=3)),
        (comparison("ne", "red"), Not(Match("where.k61", ("s:red",)))),
        (comparison("gt", 1.5), Between("where.k61", gt=1.5)),
        (comparison("lte", 2), Between("where.k61", lte=2)),
        (comparison("in", ["red", "blue"]), AnyOf((Match("where.k61", ("s:red", "s:blue")),))),
        (
            comparison("nin", ["red", 4]),
            Not(AnyOf((Match("where.k61", ("s:red",)), Between("where.k61", gte=4, lte=4)))),
        ),
        (
            {"type": "and", "filters": [comparison("eq", "x"), {"type": "or", "filters": [comparison("lt", 1)]}]},
            All((Match("where.k61", ("s:x",)), AnyOf((Between("where.k61", lt=1),)))),
        ),
    ],
)
def test_compiles_what_openai_allows(filters: dict[str, Any], expected: object) -> None:
    assert compile_filter(filters) == expected


def nested(depth: int) -> dict[str, Any]:
    return comparison("eq", 1) if depth == 0 else {"type": "and", "filters": [nested(depth - 1)]}


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({}, "filters.type is None"),
        ({"type": "like", "key": "a", "value": "x"}, "Use one of eq"),
        ({"type": "and", "filters": []}, "list of 1 to 100"),
        ({"type": "or"}, "list of 1 to 100"),
        ({"type": "and", "filters": [comparison("eq", None)]}, r"filters\.filters\[0\]\.value must be"),
        ({"type": "and", "filters": ["x"]}, r"filters\.filters\[0\] is not an object"),
        (comparison("eq", 1, key=""), "name of an attribute"),
        (comparison("gt", "x"), "strings have no order"),
        (comparison("gte", True), "must be a number"),
        (comparison("in", []), "list of 1 to 100 values"),
        (comparison("in", "red"), "list of 1 to 100 values"),
        (comparison("eq", ["red"]), "not list"),
        (comparison("eq", float("nan")), "a number or a boolean"),
        (nested(9), "nested deeper"),
    ],
)
def test_says_what_is_wrong_with_a_filter(filters: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidFilter, match=says):
        compile_filter(filters)


def test_attribute_names_cannot_reach_into_other_fields() -> None:
    for key in ('x".tenant', "a.b", "a[0]", "tenant", "ключ"):
        (field,) = filterable({key: "v"})
        assert field.isalnum()
        assert compile_filter(comparison("eq", "v", key=key)) == Match(f"where.{field}", ("s:v",))


def test_a_word_is_not_a_boolean_and_numbers_stay_numbers() -> None:
    assert filterable({"a": "True", "b": True, "c": 3}) == {"k61": "s:True", "k62": "b:True", "k63": 3.0}
