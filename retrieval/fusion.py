"""Two scores of each candidate → one score in 0..1.

A weighted sum of absolute scores, not of ranks: a threshold has to mean the same for every question, and for the best
of only bad passages.
"""

from collections.abc import Sequence

from retrieval.backends import Candidate
from retrieval.messages import Weights

__all__ = ["DENSE_WEIGHT", "FUSION", "fuse", "fuse_scores", "measure_closeness", "weigh"]

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
    return share * measure_closeness(dense, unrelated) + (1 - share) * keyword


def measure_closeness(dense: float, unrelated: float) -> float:
    """Return how far a cosine lies between that of unrelated texts and 1, as 0..1."""
    return min(max((dense - unrelated) / (1 - unrelated), 0.0), 1.0)


FUSION = f"sum-3-{DENSE_WEIGHT:g}"
"""The version of the fusion: part of a release's digest. Count the 3 up when the scores change otherwise."""


def weigh(candidates: Sequence[Candidate], unrelated: float = 0.0) -> Weights:
    """Return the shares of meaning and of words for one question.

    A list whose best candidate stands out from its tenth knows something. Words count more by half of what their lead
    is beyond twice the cosines': by nothing where meanings tell the passages apart as well, whatever the embedder. The
    figures were chosen on the tune halves of seven sets with two embedders (`docs/benchmarks/retrieval.md`).
    """
    closeness = [measure_closeness(candidate.dense, unrelated) for candidate in candidates]
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
    pairs = [
        (fuse_scores(candidate.dense, candidate.keyword, unrelated, weights), candidate) for candidate in candidates
    ]
    passing = [pair for pair in pairs if threshold is None or pair[0] >= threshold]
    passing.sort(key=lambda pair: (-pair[0], pair[1].id))
    return passing[:limit]
