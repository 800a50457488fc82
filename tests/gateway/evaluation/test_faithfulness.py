"""Scores of what answers make of their passages: what a row can't tell isn't counted, and chance is kept out."""

import pytest

from gateway.evaluation.faithfulness import (
    Counterfactual,
    FaithfulnessScore,
    abstains,
    make_counterfactual,
    score_citations,
)


@pytest.mark.parametrize(
    ("score", "total"),
    [
        (FaithfulnessScore(1.0, None, None, None), 1.0),
        (FaithfulnessScore(0.5, None, None, None), 0.5),
        (FaithfulnessScore(1.0, 0.5, None, 0.0), 0.5),
        (FaithfulnessScore(1.0, 0.0, 1.0, 0.0), 0.5),
        (FaithfulnessScore(0.0, None, 1.0, None), 0.5),
    ],
)
def test_the_total_is_of_what_a_row_can_tell(score: FaithfulnessScore, total: float) -> None:
    assert score.total == total


def test_a_value_that_any_passage_has_is_no_counterfactual_of_another() -> None:
    passages = ["The kettle has 31 months.", "The toaster has 34 months."]
    assert make_counterfactual("It is 31 months.", passages[:1], "How long?") is not None
    assert make_counterfactual("It is 31 months.", passages, "How long?") is None, "34 months could come from either"


@pytest.mark.parametrize(
    ("reply", "passage", "prompt", "texts"),
    [
        ("31 months.", "31 months, as said.", "Is it 31 months?", None),  # the question has it
        ("31 months.", "It is 24 weeks.", "How long?", None),  # it came from somewhere else
        ("31 months and £5.", "31 months, 131 months, £5", "£5?", ["34 months, 131 months, £5"]),
        ("31 months and £5.", "31 months for £5.", "How?", ["34 months for £8."]),
        ("31 months.", "31 months, then 31 months", "How?", ["34 months, then 34 months"]),
    ],
)
def test_only_values_that_the_passages_alone_have_are_changed(
    reply: str, passage: str, prompt: str, texts: list[str] | None
) -> None:
    changed = make_counterfactual(reply, [passage], prompt)
    assert (changed and changed.texts) == texts


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("It is 34 months.", 1.0),
        ("Thirty-four is 34 Months, and £8.", 1.0),
        ("It is £8.", 1.0),
        ("It is £8, not £5.", 0.0),
        ("34 months, once 31 months", 0.0),
        ("34 weeks", 0.0),
        ("", 0.0),
    ],
)
def test_an_answer_follows_where_it_states_a_new_value_and_no_former_one(answer: str, score: float) -> None:
    assert Counterfactual([], {"31 months": "34 months", "£5": "£8"}).score(answer) == score


@pytest.mark.parametrize(("answer", "follows"), [("the blue one", 1.0), ("the green one", 0.0), ("none", 0.0)])
def test_words_without_a_value_are_followed_as_they_stand(answer: str, follows: float) -> None:
    assert Counterfactual([], {"green": "blue"}).score(answer) == follows


@pytest.mark.parametrize(
    ("answer", "passages", "score"),
    [("[1][2]", 2, 1.0), ("[0] [3]", 2, 0.0), ("[1] [2] [3] [4]", 2, 0.5), ("", 2, None)],
)
def test_marks_are_right_from_one_to_the_number_of_passages(answer: str, passages: int, score: float | None) -> None:
    assert score_citations(answer, ["A passage."] * passages) == score


@pytest.mark.parametrize(
    ("answer", "right"),
    [("That isn't in our documents.", True), ("It runs for 31 months.", False), ("", False), (" \n", False)],
)
def test_who_abstains_says_something_and_no_value_from_nowhere(answer: str, right: bool) -> None:
    assert abstains(answer, ["For how many months is the K2 covered?"]) is right
