"""Ways in which passages match a question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from retrieval.answer_probability import LEAST_PROBABILITY, estimate_generally
from retrieval.backends import Candidate
from retrieval.match_features import measure_matches
from retrieval.messages import MatchFeatures


def candidate(text: str, heading: str = "", dense: float = 0.5, keyword: float = 0.5) -> Candidate:
    return Candidate(text, dense, keyword, {"text": text, "heading": heading, "filename": "notes.md"})


def match(question: str, text: str, heading: str = "") -> MatchFeatures:
    passage = candidate(text, heading)
    return measure_matches(question, [passage], [passage], 0.0)[0]


def test_words_that_no_passage_has_count_also_where_the_store_never_says_them() -> None:
    whole = match("warranty of the kettle", "The kettles have a warranty of two years.")
    half = match("warranty of the hovercraft", "The kettles have a warranty of two years.")
    assert (whole.coverage, half.coverage) == (1.0, 0.5)
    assert match("What of the zebra?", "The kettles have a warranty.").coverage == 0


def test_words_in_the_heading_are_told_from_those_in_the_text() -> None:
    passage = match("K2 warranty", "It lasts two years.", "K2 > Warranty")
    assert (passage.heading, passage.coverage) == (1.0, 1.0)
    assert match("K2 warranty", "The K2 has a warranty.", "Kettles").heading == 0


def test_words_beside_each_other_in_the_question_are_looked_for_beside_each_other() -> None:
    assert match("page cache size", "The page cache has a size.").adjacency == 1.0
    assert match("page cache size", "Each page is in some list; a size of it, then another cache.").adjacency < 1.0


@pytest.mark.parametrize(
    ("question", "text", "missing"),
    [
        ("What does the K2 weigh?", "The kettle weighs 800 grams.", 1 / 2),
        ("What does the K2 weigh?", "The K20 weighs 800 grams.", 1),
        ("What does the K2 weigh?", "The K2 weighs 800 grams.", 0),
        ("What is error 1033?", "Error 1032 is SQLITE_READONLY.", 1 / 2),
        ("What does Foo::Bar do in sys.path?", "Set sys.path first.", 1 / 4),
        ("how do I open it?", "Open it by hand.", 0),
        ("K2?", "The K20.", 1),
    ],
)
def test_names_that_a_passage_has_not_count_by_their_share_of_the_words(
    question: str, text: str, missing: float
) -> None:
    assert match(question, text).names == 1 - missing


def test_a_question_for_a_name_with_another_number_is_refused_at_the_default_limit() -> None:
    passages = [
        candidate(f"The warranty of the Kestrel K{number} is {number * 3} months.", f"Kestrel K{number}", 0.85, 0.7)
        for number in range(1, 6)
    ]
    here = measure_matches("How long is the warranty of the K3?", passages, passages, 0.0)
    gone = measure_matches("How long is the warranty of the K77?", passages, passages, 0.0)
    assert [one.names for one in gone] == [0.0] * 5
    assert estimate_generally(gone) < LEAST_PROBABILITY < estimate_generally(here)


def test_documents_that_do_not_come_near_change_nothing() -> None:
    near = [candidate(f"The kettle {n} has a lid.", dense=0.9 - n / 20, keyword=0.8 - n / 20) for n in range(10)]
    far = [candidate(f"Hovercraft {n}", dense=0.2, keyword=0.0) for n in range(30)]
    alone = measure_matches("lid of the kettle", near[:5], near, 0.1)
    assert measure_matches("lid of the kettle", near[:5], [*far, *near], 0.1) == alone
    assert alone[0].agreement == 1.0


def test_an_embedder_of_another_scale_gives_the_same_figures() -> None:
    low = [candidate(str(n), dense=n / 20) for n in range(12)]
    high = [candidate(str(n), dense=0.7 + 0.3 * n / 20) for n in range(12)]
    pairs = zip(measure_matches("a", low, low, 0.0), measure_matches("a", high, high, 0.7), strict=True)
    assert all(astuple(one) == pytest.approx(astuple(other)) for one, other in pairs)


def test_passages_behind_the_first_twenty_have_no_features() -> None:
    many = [candidate(f"kettle {n}") for n in range(25)]
    features = measure_matches("kettle", many, many, 0.0)
    assert (features[19].coverage, features[20]) == (1.0, MatchFeatures())


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=20), st.floats(-1, 1), st.floats(0, 1))
def test_every_figure_is_a_share(question: str, text: str, heading: str, dense: float, keyword: float) -> None:
    passage = candidate(text, heading, dense, keyword)
    (features,) = measure_matches(question, [passage], [passage, candidate("other")], 0.3)
    assert all(0 <= value <= 1 for value in astuple(features))


def test_nothing_is_measured_of_nothing() -> None:
    assert measure_matches("kettle", [], [], 0.0) == []
