"""The BM25 score that a question could reach, by which a passage's score becomes a share of it.

BM25 alone says little: the same passage and question have 6 in a store of 10 chunks and 24 in one of 3,000, since words
get rarer there, and more if the question has more words. The share has neither in it. The weights of the words are
counted here for the embedded engine (`document_frequencies`), and found by asking a server.
"""

from collections.abc import Sequence

__all__ = ["MOST_TERMS", "measure_reach", "to_share"]

MOST_TERMS = 48
"""Terms whose weight in the corpus is looked up; of a longer question the others are taken as the average of these."""

_WEIGHT = 1.1
"""Weight of a term that a passage of 80 words has once. Repeating it could reach twice as much (k1 + 1), but no passage
does that for all words of a question: measured against it, the best passages had half the share."""


def measure_reach(weights: Sequence[float], terms: int) -> float:
    """Return the score of a passage that has each of a question's terms.

    Where not all terms were looked up, the others are taken as the average of those that were.

    Args:
        weights: Per term that was looked up, its weight in the corpus; 0 where the corpus hasn't the term: what it
            doesn't say can't be reached.
        terms: Number of terms of the question.
    """
    return _WEIGHT * sum(weights) * terms / len(weights) if weights else 0.0


def to_share(score: float, reach: float) -> float:
    """Return a BM25 score as a share of what was in reach, 0..1: 0 where nothing was."""
    return min(score / reach, 1.0) if reach > 0 else 0.0
