import pytest

from retrieval.answerability import estimate_answer


def test_the_probability_grows_with_both_scores_and_is_low_without_either() -> None:
    assert estimate_answer(0, 0) < 0.1 < estimate_answer(0.2, 0) < estimate_answer(0.2, 0.5) < estimate_answer(0.8, 0.5)
    assert estimate_answer(1, 1) > 0.95
    assert estimate_answer(-1, 0) == estimate_answer(0, 0)


def test_the_probability_counts_from_the_embedders_cosine_of_unrelated_texts() -> None:
    assert estimate_answer(0.75, 0.2, unrelated=0.75) == pytest.approx(estimate_answer(0, 0.2))
    assert estimate_answer(0.875, 0.2, unrelated=0.75) == pytest.approx(estimate_answer(0.5, 0.2))
