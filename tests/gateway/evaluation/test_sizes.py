"""A value is the same one in another unit of its dimension, and another one in any other size or dimension."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.evaluation.faithfulness import make_counterfactual, score_support
from gateway.evaluation.values import TextValues, find_values

DIMENSIONS: dict[str, dict[str, int]] = {
    "length": {"mm": 1, "cm": 10, "dm": 100, "m": 1000, "km": 10**6},
    "mass": {"mg": 1, "g": 1000, "kg": 10**6, "t": 10**9},
    "volume": {"ml": 1, "cl": 10, "dl": 100, "l": 1000},
    "time": {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800},
    "months": {"months": 1, "years": 12},
    "data": {"bytes": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    "binary": {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
    "share": {"‰": 1, "%": 10},
    "power": {"W": 1, "kW": 1000},
}
UNITS = [(dimension, unit, factor) for dimension, units in DIMENSIONS.items() for unit, factor in units.items()]
GERMAN = {"seconds": "Sekunden", "minutes": "Minuten", "hours": "Stunden", "days": "Tage", "weeks": "Wochen"} | {
    "months": "Monate",
    "years": "Jahre",
}


def write(number: Fraction, unit: str, *, german: bool) -> str:
    """Write a number as English or German has it, with its signs between thousands."""
    digits = f"{number.numerator / number.denominator:,.3f}"
    text = digits.rstrip("0").rstrip(".")
    if german:
        return f"{text.translate(str.maketrans(',.', '.,'))} {GERMAN.get(unit, unit)}"
    return f"{text} {unit}"


def is_short(number: Fraction) -> bool:
    """Tell whether a number can be written with two places at most: `1.500` may be fifteen hundred."""
    return (number * 100).denominator == 1 and 0 < number < 10**12


TOLD = {True: "Es kostet 2,50 €. ", False: "It costs £2.50. "}
"""What tells the notation of a text, so that `1.500` isn't read in two ways."""


@given(
    st.sampled_from(UNITS),
    st.sampled_from(UNITS),
    st.integers(1, 9_999),
    st.sampled_from([1, 2, 4, 10, 100]),
    st.booleans(),
    st.booleans(),
)
def test_a_value_is_the_same_in_another_unit_of_its_dimension_alone(
    first: tuple[str, str, int], second: tuple[str, str, int], count: int, part: int, one: bool, two: bool
) -> None:
    number = Fraction(count, part)
    other = number * first[2] / second[2]
    assume(is_short(number) and is_short(other))
    said, meant = write(number, first[1], german=one), write(other, second[1], german=two)
    *_, value = find_values(f"{TOLD[one]}So {said}.")
    assert value.text == said
    assert TextValues.of(f"{TOLD[two]}So {meant}.").states(value) is (first[0] == second[0])


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.integers(1, 9_999), st.integers(1, 9_999))
def test_values_of_other_sizes_are_others(
    first: tuple[str, str, int], second: tuple[str, str, int], count: int, other: int
) -> None:
    assume(count * first[2] != other * second[2])
    *_, value = find_values(f"So {count} {first[1]}.")
    evidence = TextValues.of(f"So {other} {second[1]}.")
    assert not evidence.states(value)
    (bare,) = find_values(f"So {count * first[2]}.")
    assert evidence.states(bare) is (count * first[2] == other)


@pytest.mark.parametrize(
    ("evidence", "reply", "stated"),
    [
        ("It is 2 m long.", "200 cm", True),
        ("Es sind 1,5 kg.", "1500 g", True),
        ("Es sind 1.500 g.", "1,5 kg", True),
        ("It takes 90 minutes.", "1.5 hours", True),
        ("It takes 90 minutes.", "1½ hours", True),
        ("It takes 80 minutes.", "1 1/3 hours", True),
        ("Es dauert 90 Minuten.", "1,5 Stunden", True),
        ("It has 2 GB.", "2000 MB", True),
        ("It has 2 GB.", "2048 MB", False),
        ("It has 2 GiB.", "2048 MiB", True),
        ("It has 2 GiB.", "2 GB", False),
        ("Within 24 h.", "1 day", True),
        ("Within 3-5 days.", "72-120 hours", True),
        ("Within 3-5 days.", "72 hours", False),
        ("Within 2 business days.", "48 hours", False),
        ("In zwei Werktagen: 2 Werktage.", "48 Stunden", False),
        ("The fee is 5 ‰.", "0.5 %", True),
        ("It is 1 month.", "30 days", False),
        ("It costs £2.", "€2", False),
        ("It is 200 m.", "200 cm", False),
        ("It is 2 m, order 200.", "200 cm", True),
        ("Order 200 of 2 kg.", "200 cm", False),
        ("It weighs 166.7 g.", "0.1667 kg", True),
        ("It takes 10 minutes.", "0.1667 hours", True),
        ("It is 1285.7 m.", "1.2857 km", True),
        ("Within 2 working weeks.", "14 days", False),
        ("Within 2 business days and 3 hours.", "51 hours", False),
        ("It is 2 years and 6 months old.", "24 months", False),
        ("It takes 1 week and 2 days.", "7 days", False),
        ("Es dauert 8 h 30 min.", "8:00", False),
        ("Es kostet 10 DM.", "1 m", False),
        ("You can't have more than 5.", "5 t", False),
        ("I'm at 5 of 6.", "5 m", False),
        ("Um 8 in der früh.", "8 h", False),
        ("Il y a 5 bouteilles d'eau et l'huile.", "5 l", False),
        ("Length (m): 5", "5 m", True),
        ("Gewicht in 't': 5", "5 t", True),
    ],
)
def test_evidence_states_a_value_in_another_unit(evidence: str, reply: str, stated: bool) -> None:
    (value,) = find_values(f"It is {reply}.")
    assert TextValues.of(evidence).states(value) is stated


@pytest.mark.parametrize(
    ("parts", "whole", "others"),
    [
        ("1 h 30 min", "90 minutes", ["60 minutes", "1.3 hours", "30 minutes and 100 seconds"]),
        ("1 Stunde und 30 Minuten", "1,5 Stunden", ["60 Minuten", "90 Sekunden"]),
        ("1 hour, and 30 minutes", "90 min", ["60 min"]),
        ("1 day 2 h 30 min", "1590 minutes", ["26 h", "24 h"]),
        ("2 years and 6 months", "30 months", ["18 months"]),
        ("1 m 80 cm", "1.8 m", ["100 cm"]),
        ("2 kg 500 g", "2.5 kg", ["2000 g"]),
    ],
)
def test_a_value_of_several_units_is_their_sum(parts: str, whole: str, others: list[str]) -> None:
    assert len(find_values(parts)) > 1
    assert score_support(f"It is {parts}.", [f"So {whole}."]) == 1
    assert score_support(f"It is {whole}.", [f"So {parts}."]) == 1
    assert score_support(f"It is {parts}.", [f"So {parts}."]) == 1
    for other in others:
        assert score_support(f"It is {other}.", [f"So {parts}."]) < 1, other


@pytest.mark.parametrize("text", ["2 kg and 500 g", "1 hour. 30 minutes", "30 min 1 h", "1 h 90 min", "2 h 1-5 min"])
def test_values_that_only_stand_beside_each_other_are_no_sum(text: str) -> None:
    assert not any(value.is_part for value in find_values(text))


@pytest.mark.parametrize("text", ["2 business days and 3 hours", "3 Werktage, 2 Stunden", "2 working weeks and 3 days"])
def test_working_days_are_no_part_of_a_sum(text: str) -> None:
    assert not any(value.is_part for value in find_values(text))


def test_shirts_are_counted_and_not_weighed() -> None:
    for text in ("5 t-shirts", "5 T-shirts", "5 T-Shirts"):
        assert [value.readings for value in find_values(f"We send {text}.")] == [("number:5",)]
    assert find_values("ein 5 t-Lkw")[0].readings == ("quantity:5 tonne",)


def test_a_value_that_another_passage_has_in_its_own_words_is_not_changed() -> None:
    assert make_counterfactual("It is 2 m.", ["It is 2 m long.", "The cable: 200 cm."], "") is None
    assert make_counterfactual("It is 2 m.", ["It is 2 m long.", "The cable: 2 metres."], "") is None


def test_a_value_that_a_passage_has_in_two_units_is_not_changed_in_one() -> None:
    assert make_counterfactual("It is 2 m.", ["It is 2 m (200 cm) long."], "") is None
    changed = make_counterfactual("It is 2 m.", ["It is 2 m (300 cm) long."], "")
    assert changed
    assert changed.texts == ["It is 5 m (300 cm) long."]
