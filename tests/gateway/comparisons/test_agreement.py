"""Agreement of voters, held against figures by hand and from the literature."""

from collections import Counter

import pytest

from gateway.comparisons.sides import digest_prompt, is_swapped, to_place, to_side
from gateway.comparisons.summary import measure_agreement


def test_alpha_is_that_of_krippendorffs_own_example() -> None:
    """Krippendorff 2011, section C: nominal data, four observers, missing values; alpha is 0.743."""
    table = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    units = [Counter(value for value in unit if value != ".") for unit in zip(*map(str.split, table), strict=True)]
    agreement = measure_agreement(units)
    assert agreement is not None
    assert agreement.alpha == pytest.approx(0.743, abs=0.0005)
    assert agreement.items == 11


def test_without_two_votes_there_is_none_and_votes_that_are_all_alike_have_no_alpha() -> None:
    assert measure_agreement([]) is None
    assert measure_agreement([Counter("a"), Counter("b")]) is None
    alike = measure_agreement([Counter("aa"), Counter("aaa"), Counter("b")])
    assert alike is not None
    assert (alike.items, alike.pairwise, alike.alpha) == (2, 1.0, None)
    chance = measure_agreement([Counter("ab")] * 40 + [Counter("aa")] * 20 + [Counter("bb")] * 20)
    assert chance is not None
    assert (chance.pairwise, chance.alpha) == (0.5, pytest.approx(0, abs=0.01))


def test_sides_are_drawn_fairly_and_found_again() -> None:
    swapped = [is_swapped(1, number) for number in range(1000)]
    assert 450 < sum(swapped) < 550
    assert swapped == [is_swapped(1, number) for number in range(1000)]
    assert swapped != [is_swapped(2, number) for number in range(1000)]
    assert [to_side("left", swapped=one) for one in (False, True)] == ["a", "b"]
    assert [to_side("right", swapped=one) for one in (False, True)] == ["b", "a"]
    for side in ("a", "b"):
        for one in (False, True):
            place = to_place(side, swapped=one)
            assert to_side(place, swapped=one) == side
    assert to_place("tie", swapped=True) == to_side("tie", swapped=True) == "tie"
    assert digest_prompt([{"role": "user", "content": "a"}]) != digest_prompt([{"role": "system", "content": "a"}])
