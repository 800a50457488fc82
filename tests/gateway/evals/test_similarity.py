"""The measures' values are those of sacrebleu (effective order), nltk's `sentence_gleu`, rouge-score and rapidfuzz."""

from array import array

import pytest

from gateway.evals.similarity import MEASURES, compute_cosine

PAIRS = [
    ("The cat sat on the mat.", "The cat is on the mat.", (0.37991784, 0.5, 0.83333333, 0.6, 0.25, 0.83333333)),
    ("It is 31 months.", "The warranty is 31 months.", (0.46307772, 3 / 7, 2 / 3, 4 / 7, 0.4, 2 / 3)),
]  # fmt: skip
NAMES = ("bleu", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_l")


@pytest.mark.parametrize(("text", "reference", "expected"), PAIRS)
def test_values_are_those_of_the_field(text: str, reference: str, expected: tuple[float, ...]) -> None:
    assert [MEASURES[name](text, reference) for name in NAMES] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", MEASURES)
def test_equal_texts_score_1_and_others_0(name: str) -> None:
    text = "five words and two more stand here"
    assert MEASURES[name](text, text) == pytest.approx(1)
    assert MEASURES[name]("xyz", "") == 0
    assert 0 <= MEASURES[name]("", "") <= 1


def test_a_fuzzy_match_counts_edits_and_words_have_any_script() -> None:
    assert MEASURES["fuzzy_match"]("kitten", "sitting") == pytest.approx(8 / 13)
    assert MEASURES["rouge_1"]("Größe 5", "größe 5!") == 1
    assert MEASURES["rouge_l"]("a b c d", "a c b d") == pytest.approx(0.75)


def test_the_cosine_is_of_any_lengths() -> None:
    one, other, nothing = (array("f", numbers).tobytes() for numbers in ([3, 4], [6, 8], [0, 0]))
    assert compute_cosine(one, other) == pytest.approx(1)
    assert compute_cosine(one, nothing) == 0
