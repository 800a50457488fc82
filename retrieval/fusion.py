"""Two scores of each candidate → one score in 0..1, and the probability that it answers.

A weighted sum of absolute scores, not of ranks: a threshold has to mean the same for every question, and for the best
of only bad passages.
"""

import math
from collections.abc import Sequence

from retrieval.backends import Candidate
from retrieval.messages import Weights

__all__ = ["DENSE_WEIGHT", "FUSION", "estimate_answer", "fuse", "fuse_scores", "weigh"]

DENSE_WEIGHT = 0.8
"""Share of the cosine where words tell no more than meanings do; the rest is BM25's."""

_LEAST_DENSE_WEIGHT = 0.3
_PLACE = 10
_RIVALRY = 2.0
_SHIFT = 0.5


def fuse_scores(dense: float, keyword: float, unrelated: float = 0.0, weights: Weights | None = None) -> float:
    """Fuse a cosine and a share of BM25 (0..1) into 0..1.

    `unrelated` is the cosine that the embedder gives to texts that have nothing to do with each other: 0.05 for one,
    0.75 for another. It counts 0, so that scores of different embedders mean the same. `weights` stand in for
    `DENSE_WEIGHT`.
    """
    share = DENSE_WEIGHT if weights is None else weights.embedding / (weights.embedding + weights.text)
    return share * _measure_closeness(dense, unrelated) + (1 - share) * keyword


def _measure_closeness(dense: float, unrelated: float) -> float:
    """Return how far a cosine lies between that of unrelated texts and 1, as 0..1."""
    return min(max((dense - unrelated) / (1 - unrelated), 0.0), 1.0)


FUSION = f"sum-3-{DENSE_WEIGHT:g}"
"""The version of the fusion: part of a release's digest. Count the 3 up when the scores change otherwise."""


_BY_MEANING, _BY_WORDS, _NEITHER = 4.76, 1.52, -2.51


def estimate_answer(dense: float, keyword: float, unrelated: float = 0.0) -> float:
    """Return the probability that a passage answers, by its cosine and its share of BM25.

    A logistic model with these three figures for every store and embedder, fitted to questions of which a part has its
    answer taken out of the corpus, on the tune half, with two embedders at once (`docs/benchmarks.md`). On the report
    half 0.3 was true of 0.07 and 0.14 of them, 0.52 of 0.57 and 0.68, 0.72 of 0.75, 0.87 of 0.82 and 0.86. It doesn't
    depend on the question's other passages, nor on the weights that ranked them.
    """
    evidence = _NEITHER + _BY_MEANING * _measure_closeness(dense, unrelated) + _BY_WORDS * keyword
    return 1 / (1 + math.exp(-evidence))


def weigh(candidates: Sequence[Candidate], unrelated: float = 0.0) -> Weights:
    """Return the shares of meaning and of words for one question.

    A list whose best candidate stands out from its tenth knows something. Words count more by half of what their lead
    is beyond twice the cosines': by nothing where meanings tell the passages apart as well, whatever the embedder. The
    figures were chosen on the tune halves of seven sets with two embedders (`docs/benchmarks.md`).
    """
    closeness = [_measure_closeness(candidate.dense, unrelated) for candidate in candidates]
    lead = _measure_lead([candidate.keyword for candidate in candidates]) - _RIVALRY * _measure_lead(closeness)
    share = max(DENSE_WEIGHT - _SHIFT * max(lead, 0.0), _LEAST_DENSE_WEIGHT)
    return Weights(share, 1 - share)


def _measure_lead(scores: Sequence[float]) -> float:
    """Return by how much the best score is above the tenth, or the last of fewer."""
    best = sorted(scores, reverse=True)[:_PLACE]
    return best[0] - best[-1] if best else 0.0


def fuse(
    candidates: Sequence[Candidate],
    *,
    limit: int,
    threshold: float | None,
    unrelated: float = 0.0,
    weights: Weights | None = None,
) -> list[tuple[float, Candidate]]:
    """Return the best `limit` candidates at or above the threshold: best first, equal scores in the order of ids.

    Without `weights` the question's own candidates weigh it (`weigh`).
    """
    weights = weights or weigh(candidates, unrelated)
    scored = [
        (fuse_scores(candidate.dense, candidate.keyword, unrelated, weights), candidate) for candidate in candidates
    ]
    passing = [pair for pair in scored if threshold is None or pair[0] >= threshold]
    passing.sort(key=lambda pair: (-pair[0], pair[1].id))
    return passing[:limit]
