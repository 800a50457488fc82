"""A schema that is itself by its references is found, and one that only holds its own kind isn't."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai_format.schema_references import find_endless_reference, find_part
from tests.processor_time import measure


def defined(parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for part in parts.values() if isinstance(part, dict)]


@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=8), st.randoms())
def test_a_part_that_leads_back_to_itself_is_found_whatever_the_way(edges: list[list[int]], random: Any) -> None:
    """A graph of parts: each refers to others in place, and to any as its items."""
    graph = {f"p{number}": [f"p{to}" for to in ends if to < len(edges)] for number, ends in enumerate(edges)}
    parts: dict[str, Any] = {
        name: {
            random.choice(["anyOf", "allOf", "oneOf"]): [{"$ref": f"#/$defs/{to}"} for to in ends],
            "items": {"$ref": f"#/$defs/{random.choice(list(graph))}"},
        }
        for name, ends in graph.items()
    }
    reached = {name: set(ends) for name, ends in graph.items()}
    for _ in graph:
        reached = {name: ends.union(*(reached[end] for end in ends)) for name, ends in reached.items()}
    looping = any(name in ends for name, ends in reached.items())
    found = find_endless_reference({"$defs": parts}, defined(parts))
    assert (found is not None) == looping
    if found is not None:
        name = found.removeprefix("#/$defs/")
        assert name in reached[name]


def test_a_way_that_is_entered_in_its_middle_names_its_reference() -> None:
    schema: dict[str, Any] = {"$ref": "#/$defs/a/anyOf/0", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    assert find_endless_reference(schema, [schema]) == "#/$defs/a"


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        ("#", {"a/b": {"~": [1, {"ä": 2}]}}),
        ("#/a~1b/~0/1/%C3%A4", 2),
        ("#/a~1b/~0/0", 1),
        ("#/a~1b/~0/9", None),
        ("#/a~1b/~0/-1", None),
        ("#/a~1b/~0/0/x", None),
        ("#/", None),
        ("https://example.com/#/a~1b", None),
        (7, None),
    ],
)
def test_a_reference_names_a_part_as_pointers_do(reference: object, part: object) -> None:
    assert find_part({"a/b": {"~": [1, {"ä": 2}]}}, reference) == part


def test_the_time_grows_with_the_references_and_no_more() -> None:
    def chain(number: int) -> dict[str, Any]:
        return {f"p{one}": {"allOf": [{"$ref": f"#/$defs/p{one + 1}"}] * 3} for one in range(number)}

    def search(parts: dict[str, Any]) -> None:
        assert find_endless_reference({"$defs": parts}, defined(parts)) is None

    few, many = chain(500), chain(4000)
    assert measure(lambda: search(many)) < 24 * measure(lambda: search(few)) + 0.01
