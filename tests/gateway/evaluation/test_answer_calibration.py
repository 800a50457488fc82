"""Weights that are fitted to a store's questions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.evaluation.answer_calibration import MatchedQuestion, fit_weights, measure_loss
from gateway.evaluation.calibration_report import AskedQuestion, make_calibration_report
from gateway.evaluation.labels import BadLabels
from retrieval.answer_probability import STARTING_WEIGHTS, estimate_answer
from retrieval.messages import MatchFeatures

_MATCHES = st.builds(MatchFeatures, *[st.floats(0, 1)] * len(MatchFeatures.__struct_fields__))


def told_by_headings(number: int) -> list[MatchedQuestion]:
    """Make questions of a store whose headings alone tell what is answered."""
    return [
        MatchedQuestion.of(
            [MatchFeatures(closeness=0.6, coverage=0.7, heading=n % 2 * 0.8, names=1.0)], answerable=bool(n % 2)
        )
        for n in range(number)
    ]


def test_a_store_that_is_told_by_headings_learns_to_go_by_them() -> None:
    questions = told_by_headings(200)
    weights = fit_weights(questions)
    heading = MatchFeatures.__struct_fields__.index("heading")
    assert weights[heading] > STARTING_WEIGHTS[heading] + 1
    assert measure_loss(questions, weights) < measure_loss(questions, STARTING_WEIGHTS)
    answered, other = (estimate_answer(questions[place].features, weights) for place in (1, 0))
    assert other < 0.3 < 0.8 < answered


def test_with_few_questions_little_changes_and_with_one_kind_nothing() -> None:
    few, many = (fit_weights(told_by_headings(number)) for number in (4, 400))
    distance = [sum((a - b) ** 2 for a, b in zip(one, STARTING_WEIGHTS, strict=True)) for one in (few, many)]
    assert distance[0] < distance[1] / 4
    assert fit_weights([one for one in told_by_headings(40) if one.answerable]) == STARTING_WEIGHTS


@settings(max_examples=25, deadline=None)
@given(st.lists(st.builds(MatchedQuestion, _MATCHES, st.booleans(), st.floats(0, 1)), min_size=1, max_size=20))
def test_no_weight_is_below_0_and_the_fit_is_never_worse(
    questions: list[MatchedQuestion],
) -> None:
    weights = fit_weights(questions)
    assert min(weights[:-1]) >= 0
    assert measure_loss(questions, weights) <= measure_loss(questions, STARTING_WEIGHTS) + 1e-6


def test_the_report_is_of_the_half_that_was_held_out_and_adopts_what_is_better() -> None:
    asked = [
        AskedQuestion(f"question {n // 2}", ["a.md"] if match.answerable else [], match)
        for n, match in enumerate(told_by_headings(200))
    ]
    report = make_calibration_report("labels.csv", "vs", asked, 0.3, "minilm", "chunks-3")
    assert (report.questions, report.fitted + report.held_out) == (100, 200)
    assert report.adopted
    assert report.after.loss < report.before.loss
    assert report.after.abstention.recall is not None
    assert report.after.abstention.recall.value == 1.0
    assert report.after.refused.value == 0.0
    assert report.after.suggested is not None


def test_too_few_questions_are_refused() -> None:
    asked = [AskedQuestion(f"question {n}", [], match) for n, match in enumerate(told_by_headings(12))]
    with pytest.raises(BadLabels, match="least that tells anything"):
        make_calibration_report("labels.csv", "vs", asked, 0.3, "minilm", "chunks-3")
