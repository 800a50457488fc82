"""The BM25 score that a question could reach, by which a passage's score becomes a share of it.

BM25 alone says little: the same passage and question have 6 in a store of 10 chunks and 24 in one of 3,000, since words
get rarer there, and more if the question has more words. The share has neither in it.
"""

from collections.abc import Sequence

__all__ = ["MOST_TERMS", "measure_reach", "to_share"]

MOST_TERMS = 48
"""Terms whose weight in the corpus is looked up; of a longer question the others are taken as the average of these."""

_WEIGHT = 1.1
"""Weight of a term that a passage of 80 words has once. Repeating it could reach twice as much (k1 + 1), but no passage
does that for all words of a question: measured against it, the best passages had half the share."""


def measure_reach(best: Sequence[tuple[float, float] | None], terms: int) -> float:
    """Return the score of a passage that has each of a question's terms.

    Args:
        best: Per term that was looked up, score and weight of some passage of the corpus that has it; None where none
            has: what the corpus doesn't say can't be reached.
        terms: Number of terms of the question.
    """
    if not best:
        return 0.0
    weights = [score / weight for score, weight in (one for one in best if one is not None) if weight > 0]
    return _WEIGHT * sum(weights) * terms / len(best)


def to_share(score: float, reach: float) -> float:
    """Return a BM25 score as a share of what was in reach, 0..1."""
    return min(score / reach, 1.0) if reach > 0 else 0.0
