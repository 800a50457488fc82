import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.openai_format.schema_repeats import count_repeats

MOST = 10**6


@given(st.lists(st.integers(1, 10_000), max_size=6), st.booleans())
def test_counts_within_each_other_multiply_whether_in_place_or_by_reference(counts: list[int], by_name: bool) -> None:
    schema: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for number, count in enumerate(counts):
        parts[str(number)] = schema
        schema = {"maxItems": count, "items": {"$ref": f"#/$defs/{number}"} if by_name else schema}
    found = count_repeats({**schema, "$defs": parts}, MOST)
    assert found >= min(math.prod(counts), MOST + 1)
    assert found <= MOST + 1


@given(st.lists(st.integers(1, 10_000), max_size=200))
def test_counts_beside_each_other_add_up(counts: list[int]) -> None:
    expected = min(1 + sum(counts), MOST + 1)
    assert count_repeats({"anyOf": [{"maxLength": count} for count in counts]}, MOST) == expected
    members = {f"maxItems{number}": {"maxLength": count} for number, count in enumerate(counts)}
    assert count_repeats({"properties": members}, MOST) == expected


def test_names_and_data_are_no_counts_and_circles_end() -> None:
    data = {"properties": {"maxItems": {"const": {"maxItems": 10**6}}, "default": {"maxLength": 7}}}
    assert count_repeats(data, MOST) == 1 + 1 + 7
    assert count_repeats({"maxItems": 9, "items": {"$ref": "#"}}, MOST) == 9 * (1 + 2)
    assert count_repeats({"$ref": "#/$defs/none/at/all"}, MOST) == 1
    assert (
        count_repeats({"anyOf": [{"maxLength": 7}, {"$ref": "#/anyOf/0"}, {"$ref": "#/anyOf/9"}]}, MOST)
        == 1 + 7 + 8 + 1
    )
    chain = {str(number): {"$ref": f"#/$defs/{number + 1}"} for number in range(1_000)}
    assert count_repeats({"$ref": "#/$defs/0", "$defs": chain}, MOST) == MOST + 1
