"""Values are found fast, by ways around the slow one that find the same; numbers without an end break nothing."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.values import TextValues, find_values

WORDS = (
    "two years|twenty-five pounds|a hundred euros|a|one day|ORDER_ID|kestrel.de|x@kestrel.de|the|to|steps|page|press|"
    "v|version|March|May|十|天|三十六天|下午|원|ปี|°C|minus|£|euros|and|no.|number|top|Uhr|½|."
).split("|")


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", "", "-", "\n"])), max_size=8))
def test_a_text_without_a_digit_is_read_as_beside_one(pieces: list[tuple[str, str]]) -> None:
    text = "".join(word + sign for word, sign in pieces)
    *found, last = find_values(f"{text}\n\nIt is 77.")
    assert last.readings == ("number:77",)
    assert find_values(text) == found


@given(st.lists(st.sampled_from([*WORDS, "5 kg", "1 h 30 min", "£2.50", "2 Feb 2026", "12:30", "A12"]), max_size=8))
def test_a_long_text_is_read_as_a_short_one(pieces: list[str]) -> None:
    text = "; ".join(pieces)
    assert find_values(f"{text}\n\n{'so ' * 4_000}") == find_values(text)


def test_values_that_were_found_before_are_a_list_of_the_callers_own() -> None:
    first = find_values("It has 24 W.")
    first.clear()
    assert [value.text for value in find_values("It has 24 W.")] == ["24 W"]


@pytest.mark.parametrize("digits", [39, 400, 5_000])
@pytest.mark.parametrize(
    "form",
    ["{} m", "{} h 30 min", "{} weeks", "1-{} years", "{}.5 kg", "{}½ l", "{} pence", "£{}", "{} million", "v{}", "{}"],
)
def test_a_number_without_an_end_breaks_nothing(form: str, digits: int) -> None:
    text = f"It has 24 W, and {form.format('9' * digits)}."
    assert TextValues.of(text).states(find_values("24 W")[0])
    assert not TextValues.of("It has 24 W.").states(find_values(f"{'9' * 39} m")[0])


@pytest.mark.parametrize(
    "text", [",".join(["999"] * 2_000) + " weeks", "〇" * 5_000 + "天", "九" * 5_000 + "天", "九" * 50_000 + "次"]
)
def test_groups_and_characters_without_an_end_break_nothing(text: str) -> None:
    assert TextValues.of(f"{text}. It has 24 W.").states(find_values("24 W")[0])


def test_many_values_are_held_against_many_in_little_time() -> None:
    units = ("m", "cm", "kg", "GB", "h", "%", "€", "")

    def write(step: int) -> str:
        return " ".join(f"Part {number} is {number * step} {units[number % 8]} or so." for number in range(4_000))

    values, evidence = find_values(write(7)), TextValues.of(write(11))
    started = time.process_time()
    stated = sum(evidence.states(value) for value in values)
    assert 0 < stated < len(values)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "text",
    ["FİVE km", "fıve days", "ſix weeks", "dıx jours", "DREIßIG Tage", "dreissig Tage", "dreißigmal", "15 Junı 2026"],
)
def test_a_number_in_words_with_letters_of_another_alphabet_breaks_nothing(text: str) -> None:
    assert TextValues.of(f"{text}, and it has 24 W.").states(find_values("24 W")[0])
