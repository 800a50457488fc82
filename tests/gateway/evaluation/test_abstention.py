import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.abstention import TopScore, choose_threshold, measure_abstention, trace_abstention

QUESTIONS = [
    TopScore(0.9, answerable=True),
    TopScore(0.6, answerable=True),
    TopScore(0.3, answerable=True),
    TopScore(0.5, answerable=False),
    TopScore(0.2, answerable=False),
    TopScore(None, answerable=False),
]


def test_precision_and_recall_are_those_by_hand() -> None:
    at = measure_abstention(QUESTIONS, 0.4)
    assert (at.abstained, at.unanswerable) == (3, 3)
    assert at.precision is not None
    assert at.recall is not None
    assert (at.precision.value, at.recall.value) == pytest.approx((2 / 3, 2 / 3))
    assert at.precision.interval == "wilson"


def test_no_hit_abstains_at_any_threshold_and_a_score_at_the_threshold_does_not() -> None:
    at = measure_abstention([TopScore(None, answerable=False), TopScore(0.0, answerable=True)], 0.0)
    assert at.abstained == 1
    assert not TopScore(0.5, answerable=True).abstains(0.5)


def test_figures_that_have_no_meaning_are_none() -> None:
    at = measure_abstention([TopScore(0.5, answerable=True)], 0.1)
    assert (at.precision, at.recall) == (None, None)
    assert choose_threshold([TopScore(0.5, answerable=True)]) is None
    assert trace_abstention([TopScore(0.5, answerable=True)]) == []


def test_the_threshold_chosen_is_precise_and_has_the_highest_recall() -> None:
    threshold = choose_threshold(QUESTIONS)
    assert threshold == pytest.approx(0.25)
    assert choose_threshold(QUESTIONS, 0.7) == pytest.approx(0.55)
    hopeless = [TopScore(0.1, answerable=True), TopScore(0.9, answerable=False)]
    assert choose_threshold(hopeless) is None


@given(
    st.lists(
        st.builds(TopScore, st.none() | st.floats(0, 1), answerable=st.booleans()),
        max_size=20,
    )
)
def test_no_other_threshold_is_better_than_the_chosen_one(questions: list[TopScore]) -> None:
    chosen = choose_threshold(questions)
    recalls = [-1.0]
    for threshold in [0.0, *(one.score + 1e-9 for one in questions if one.score is not None)]:
        at = measure_abstention(questions, threshold)
        if at.precision is not None and at.recall is not None and at.abstained and at.precision.value >= 0.9:
            recalls.append(at.recall.value)
    at = measure_abstention(questions, chosen) if chosen is not None else None
    assert (at is None) == (max(recalls) <= 0)
    assert at is None or (at.precision is not None and at.precision.value >= 0.9)
    assert at is None or (at.recall is not None and at.recall.value >= max(recalls) - 1e-9)
