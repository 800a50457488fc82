"""A passage's two scores → the probability that it answers the question.

A logistic model of three figures for every store and embedder: fitted to questions of which a part has its answer taken
out of the corpus, on the tune half, with two embedders at once (`tests/bench/retrieval/unanswered.py`). On the report
half 0.3 was true of 0.07 and 0.14 of them, 0.52 of 0.57 and 0.68, 0.72 of 0.75 and 0.87 of 0.82 to 0.86.
"""

import math

from retrieval.fusion import measure_closeness

__all__ = ["estimate_answer"]

_BY_MEANING, _BY_WORDS, _NEITHER = 4.76, 1.52, -2.51


def estimate_answer(dense: float, keyword: float, unrelated: float = 0.0) -> float:
    """Return the probability of an answer by a passage's cosine and its share of BM25.

    It doesn't depend on the question's other passages, nor on the weights that ranked them. `unrelated` is the
    embedder's cosine of texts that have nothing to do with each other.
    """
    evidence = _NEITHER + _BY_MEANING * measure_closeness(dense, unrelated) + _BY_WORDS * keyword
    return 1 / (1 + math.exp(-evidence))
