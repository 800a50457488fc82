"""What a boost counts for and what it doesn't, and how alike two passages have to be to be copies."""

from typing import Any

import pytest

from gateway.answering.ranking import arrange, count_wanted
from gateway.assistants.release import Boost, RetrievalSpec
from retrieval.messages import Passage
from tests.fakes.passages import make_passage

NOW = 1_800_000_000.0
DAY = 86_400
NO_DATES = ("soon", True, False, float("inf"), float("nan"), "", "2026-13-01")


def make(number: int, text: str = "", **more: Any) -> Passage:
    return make_passage("vs", number, text or f"Text {number}.", **{"heading": "", "score": 0.5, **more})


def factor(boosts: tuple[Boost, ...], **attributes: Any) -> float:
    (one,) = arrange([make(1, attributes=attributes)], RetrievalSpec(("vs",), boosts=boosts), NOW)
    return one.boost


@pytest.mark.parametrize(
    ("wanted", "present", "counts"),
    [
        ("kettles", "kettles", True),
        ("kettles", "Kettles", False),
        (1, 1, True),
        (1, 1.0, True),
        (1.5, 1.5, True),
        (1, "1", False),
        (True, True, True),
        (False, False, True),
        (True, False, False),
        (True, 1, False),  # what Python takes for equal
        (1, True, False),
        (0, False, False),
    ],
)
def test_a_value_counts_where_it_is_the_same_of_the_same_kind(wanted: Any, present: Any, counts: bool) -> None:
    assert factor((Boost("area", 0.5, value=wanted),), area=present) == (1.5 if counts else 1.0)


def test_a_passage_without_the_attribute_stays_as_it_was() -> None:
    assert factor((Boost("area", 0.5, value="kettles"), Boost("saved", 0.5, half_life_days=1)), other="kettles") == 1.0


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((0.5, 0.25), 1.75), ((0.5, -0.25), 1.25), ((-1.0,), 0.0), ((-0.75, -0.75), 0.0), ((-1.0, 0.5), 0.5)],
)
def test_weights_add_up_and_never_turn_a_score_around(weights: tuple[float, ...], expected: float) -> None:
    assert factor(tuple(Boost("area", weight, value="kettles") for weight in weights), area="kettles") == expected


@pytest.mark.parametrize(
    ("saved", "share"),
    [
        (NOW, 1.0),
        (int(NOW) - 30 * DAY, 0.5),
        (NOW - 60 * DAY, 0.25),
        (NOW + 30 * DAY, 1.0),  # of tomorrow's date, as of now
        ("2027-01-15T08:00:00+00:00", 1.0),
        ("2027-01-15T08:00:00", 1.0),  # without a zone it is UTC
        ("2027-01-15T09:00:00+01:00", 1.0),
        ("2026-12-16T08:00:00Z", 0.5),
    ],
)
def test_recency_halves_with_each_half_life(saved: Any, share: float) -> None:
    assert factor((Boost("saved", 0.4, half_life_days=30),), saved=saved) == pytest.approx(1 + 0.4 * share)


@pytest.mark.parametrize("no_date", NO_DATES)
def test_what_is_no_moment_is_neither_old_nor_new(no_date: Any) -> None:
    assert factor((Boost("saved", 0.4, half_life_days=36_500),), saved=no_date) == 1.0


def test_boosted_scores_rank_and_equal_ones_by_their_passages() -> None:
    found = [
        make(3, score=0.8, attributes={"area": "pots"}),
        make(2, score=0.6, attributes={"area": "kettles"}),
        make(1, score=0.8, attributes={"area": "pots"}),
    ]
    for weight, order in ((0.5, [2, 1, 3]), (0.25, [1, 3, 2])):
        spec = RetrievalSpec(("vs",), boosts=(Boost("area", weight, value="kettles"),))
        assert [one.passage.id for one in arrange(found, spec, NOW)] == [f"point-{number}" for number in order]
    assert [one.passage for one in arrange(found, RetrievalSpec(("vs",)), NOW)] == found


@pytest.mark.parametrize(
    ("options", "top_k", "wanted"),
    [
        ({}, 5, 5),
        ({"expand": "section", "least_probability": 0.5}, 5, 5),
        ({"boosts": (Boost("area", 1, value=1),)}, 5, 15),
        ({"collapse_duplicates": True}, 5, 15),
        ({"max_per_document": 2}, 5, 15),
        ({"max_per_document": 2}, 16, 48),
        ({"max_per_document": 2}, 17, 50),
        ({"max_per_document": 2}, 50, 50),
    ],
)
def test_three_times_as_many_are_searched_where_some_will_go(options: Any, top_k: int, wanted: int) -> None:
    assert count_wanted(RetrievalSpec(("vs",), top_k, **options)) == wanted


def words(count: int, *, last: str = "") -> str:
    """A text of so many words, none of which has a digit."""
    return " ".join([*(chr(ord("a") + at) * 3 for at in range(count - 1)), last or "zzz"])


def are_copies(one: Passage, other: Passage) -> bool:
    arranged = arrange([one, other], RetrievalSpec(("vs",), collapse_duplicates=True), NOW)
    assert len(arranged) == (1 if arranged[0].copies else 2)
    return bool(arranged[0].copies)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (words(13), words(13, last="yyy"), True),  # 8 of 10 runs of five words are in both
        (words(12), words(12, last="yyy"), False),  # 7 of 9
        ("a b c d", "A b, c d!", True),
        ("a b c d", "a b c e", False),
        ("sold 3 of 5", "sold 5 of 3", False),
        (words(13) + " 31", words(13) + " 32", False),
        ("K2 " + words(13), "K3 " + words(13), False),
        ("…", "…", False),  # nothing is said in either
        ("Ünïcode Wörter hier", "ünïcode wörter HIER", True),
    ],
)
def test_copies_say_the_same_in_nearly_the_same_words(one: str, other: str, alike: bool) -> None:
    assert are_copies(make(1, one), make(2, other)) is alike
    assert are_copies(make(1, other), make(2, one)) is alike


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("", "", True), ("K2", "", True), ("", "K2", True), ("K2  care", "k2 Care", True), ("K2", "K3", False)],
)
def test_the_same_words_below_another_heading_are_no_copy(one: str, other: str, alike: bool) -> None:
    assert are_copies(make(1, words(9), heading=one), make(2, words(9), heading=other)) is alike


def test_copies_go_before_shares_are_counted_and_shares_before_the_end() -> None:
    found = [
        make(1, words(9), document="a"),
        make(2, words(9), document="b"),  # stands behind the first
        make(3, "one", document="a"),
        make(4, "two", document="a"),  # the third of its document
        make(5, "three", document="b"),
        make(6, "four", document="b"),
        make(7, "five", document="c"),
    ]
    spec = RetrievalSpec(("vs",), 4, collapse_duplicates=True, max_per_document=2)
    arranged = arrange(found, spec, NOW)
    assert [one.passage.id for one in arranged] == ["point-1", "point-3", "point-5", "point-6"]
    assert [copy.id for copy in arranged[0].copies] == ["point-2"]


def test_a_document_that_says_it_twice_is_named_once() -> None:
    found = [make(1, words(9), document="a"), *(make(at, words(9), document="b") for at in (2, 3))]
    (one,) = arrange(found, RetrievalSpec(("vs",), collapse_duplicates=True), NOW)
    assert [copy.id for copy in one.copies] == ["point-2"]
