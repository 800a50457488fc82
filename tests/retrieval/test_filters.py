import json
from typing import Any

import pytest

from retrieval.errors import InvalidFilter
from retrieval.filter_expressions import All, AnyOf, Between, Match, Not
from retrieval.filters import check_filter, compile_filter, encode_attributes, join_filters


def comparison(kind: str, value: object, key: str = "a") -> dict[str, object]:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (comparison("eq", "red"), Match("where.k61", ("s:red",))),
        (comparison("eq", True), Match("where.k61", ("b:True",))),
        (comparison("eq", 3), Between("where.k61", gte=3, lte=3)),
        (comparison("ne", "red"), Not(Match("where.k61", ("s:red",)))),
        (comparison("ne", 3), Not(Between("where.k61", gte=3, lte=3))),
        (comparison("gt", 1.5), Between("where.k61", gt=1.5)),
        (comparison("gte", 0), Between("where.k61", gte=0)),
        (comparison("lt", -1), Between("where.k61", lt=-1)),
        (comparison("lte", 2), Between("where.k61", lte=2)),
        (comparison("in", ["red", "blue"]), AnyOf((Match("where.k61", ("s:red", "s:blue")),))),
        (comparison("in", [1, True]), AnyOf((Match("where.k61", ("b:True",)), Between("where.k61", gte=1, lte=1)))),
        (
            comparison("nin", ["red", 4]),
            Not(AnyOf((Match("where.k61", ("s:red",)), Between("where.k61", gte=4, lte=4)))),
        ),
        (
            {"type": "and", "filters": [comparison("eq", "x"), {"type": "or", "filters": [comparison("lt", 1)]}]},
            All((Match("where.k61", ("s:x",)), AnyOf((Between("where.k61", lt=1),)))),
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_every_filter_of_openai_has_its_condition(filters: dict[str, Any], expected: object) -> None:
    assert compile_filter(filters) == expected


def nested(depth: int) -> dict[str, Any]:
    return comparison("eq", 1) if depth == 0 else {"type": "and", "filters": [nested(depth - 1)]}


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({}, "filters.type is None"),
        ({"type": "like", "key": "a", "value": "x"}, "Use one of eq"),
        ({"type": ["eq"], "key": "a", "value": "x"}, "Use one of eq"),
        ({"type": "and", "filters": []}, "list of 1 to 100"),
        ({"type": "or"}, "list of 1 to 100"),
        ({"type": "or", "filters": [comparison("eq", 1)] * 101}, "list of 1 to 100"),
        ({"type": "and", "filters": [comparison("eq", None)]}, r"filters\.filters\[0\]\.value must be"),
        ({"type": "and", "filters": ["x"]}, r"filters\.filters\[0\] is not an object"),
        (comparison("eq", 1, key=""), "name of an attribute"),
        ({"type": "eq", "key": 7, "value": 1}, "name of an attribute"),
        (comparison("eq", 1, key="a" * 65), "of 1 to 64 characters"),
        ({**comparison("eq", 1), "filters": []}, "has a member 'filters'"),
        ({"type": "and", "filter": [comparison("eq", 1)]}, "has a member 'filter'"),
        (comparison("gt", "x"), "strings have no order"),
        (comparison("gte", True), "must be a number"),
        (comparison("in", []), "list of 1 to 100 values"),
        (comparison("in", "red"), "list of 1 to 100 values"),
        (comparison("nin", list(range(101))), "list of 1 to 100 values"),
        (comparison("in", [None]), "not NoneType"),
        (comparison("eq", ["red"]), "not list"),
        (comparison("eq", float("nan")), "a finite number"),
        (comparison("lt", float("inf")), "a finite number"),
        (comparison("lt", -(10**400)), "of at most 308 digits"),
        (comparison("in", [1, 10**400]), "of at most 308 digits"),
        (nested(10), "nested deeper"),
    ],
)
@pytest.mark.case("doc-filters")
def test_a_filter_that_is_none_is_refused_with_the_part_that_is_wrong(filters: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidFilter, match=says):
        compile_filter(filters)


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        (nested(8), "nested deeper"),
        (
            {"type": "or", "filters": [comparison("in", list(range(100)))] * 6},
            "600 values in all, and 500 are the most",
        ),
        ("red", "not an object"),
    ],
)
def test_a_filter_of_a_client_is_bounded_in_depth_and_size(filters: Any, says: str) -> None:
    with pytest.raises(InvalidFilter, match=says):
        check_filter(filters)


def test_filters_that_are_right_each_are_right_together() -> None:
    largest = {"type": "or", "filters": [comparison("in", list(range(100)))] * 5}
    for one in (nested(7), largest):
        check_filter(one)
        assert isinstance(compile_filter(join_filters(one, one) or {}), All)
    assert join_filters(None, largest) == largest
    assert join_filters(None, None) is None


def test_a_filter_may_be_as_deep_as_the_limit() -> None:
    assert isinstance(compile_filter(nested(7)), All)


@pytest.mark.parametrize("key", ['x".tenant', "a.b", "a[0]", "tenant", "ключ"])
def test_the_name_of_an_attribute_cannot_reach_into_another_field(key: str) -> None:
    (field,) = encode_attributes({key: "v"})
    assert field.isalnum()
    assert compile_filter(comparison("eq", "v", key=key)) == Match(f"where.{field}", ("s:v",))


def test_a_word_is_not_a_boolean_and_numbers_stay_numbers() -> None:
    assert encode_attributes({"a": "True", "b": True, "c": 3}) == {"k61": "s:True", "k62": "b:True", "k63": 3.0}
