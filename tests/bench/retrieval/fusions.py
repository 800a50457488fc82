"""Ways to make one ranking of a question's candidates, beside the one that Braid has."""

from collections.abc import Callable, Sequence
from statistics import fmean, pstdev

from retrieval.backends import Candidate
from retrieval.fusion import fuse_scores, weigh
from tests.bench.retrieval.runs import CandidateScore

__all__ = ["FUSIONS", "Fusion"]

Fusion = Callable[[Sequence[CandidateScore], float], list[float]]
"""From candidates, and the cosine of unrelated texts, to a score for each candidate."""

_RRF_K = 60
_GAP_PLACE = 10


def _fuse_dense(candidates: Sequence[CandidateScore], unrelated: float) -> list[float]:
    """Return the cosine, as the sum counts it: 0 for unrelated texts."""
    return [max((one.dense - unrelated) / (1 - unrelated), 0.0) for one in candidates]


def _fuse_keywords(candidates: Sequence[CandidateScore], unrelated: float) -> list[float]:
    return [one.keyword for one in candidates]


def _fuse_ranks(candidates: Sequence[CandidateScore], unrelated: float) -> list[float]:
    """Return reciprocal ranks, added; a list counts for those that are in it. Divided so that first in both is 1."""
    dense = _rank([one.dense for one in candidates])
    keyword = _rank([one.keyword for one in candidates])
    highest = 2 / (_RRF_K + 1)
    return [
        (1 / (_RRF_K + by_dense) + (1 / (_RRF_K + by_keyword) if one.keyword > 0 else 0.0)) / highest
        for one, by_dense, by_keyword in zip(candidates, dense, keyword, strict=True)
    ]


def _rank(scores: Sequence[float]) -> list[int]:
    """Return the rank of each score, from 1."""
    ranks = [0] * len(scores)
    for rank, index in enumerate(sorted(range(len(scores)), key=lambda index: -scores[index]), 1):
        ranks[index] = rank
    return ranks


def _fuse_sum(candidates: Sequence[CandidateScore], unrelated: float) -> list[float]:
    """Return today's score."""
    weights = weigh([Candidate("", one.dense, one.keyword, {}) for one in candidates], unrelated)
    return [fuse_scores(one.dense, one.keyword, unrelated, weights) for one in candidates]


def _make_sum(weight: float) -> Fusion:
    """Return a sum with the same weight of the cosine for every question."""

    def fuse(candidates: Sequence[CandidateScore], unrelated: float) -> list[float]:
        dense = _fuse_dense(candidates, unrelated)
        return [weight * one + (1 - weight) * two.keyword for one, two in zip(dense, candidates, strict=True)]

    return fuse


def _fuse_by_gap(candidates: Sequence[CandidateScore], unrelated: float) -> list[float]:
    """Return a sum whose weight follows the question: words count more where their best match stands out.

    The cosine's weight is 0.8, less half of what BM25's best share is above its tenth best.
    """
    shares = sorted((one.keyword for one in candidates), reverse=True)
    gap = shares[0] - shares[min(_GAP_PLACE, len(shares)) - 1] if shares else 0.0
    return _make_sum(0.8 - gap / 2)(candidates, unrelated)


def _fuse_distributions(candidates: Sequence[CandidateScore], unrelated: float) -> list[float]:
    """Return the mean of both scores, each placed between three deviations below its list's mean and three above."""
    return [
        (dense + keyword) / 2
        for dense, keyword in zip(
            _place([one.dense for one in candidates]), _place([one.keyword for one in candidates]), strict=True
        )
    ]


def _place(scores: Sequence[float]) -> list[float]:
    spread = pstdev(scores) if scores else 0.0
    if not spread:
        return [0.5] * len(scores)
    middle = fmean(scores)
    return [min(max((score - middle) / (6 * spread) + 0.5, 0.0), 1.0) for score in scores]


FUSIONS: dict[str, Fusion] = {
    "dense": _fuse_dense,
    "BM25": _fuse_keywords,
    "RRF": _fuse_ranks,
    "DBSF": _fuse_distributions,
    "weighted sum": _fuse_sum,
    # These were chosen on the tune halves with MiniLM and WordLlama: of weights from 0.3 to 0.8, of weights that follow
    # the question, and of powers of BM25's share.
    "weighted sum 0.5": _make_sum(0.5),
    "weighted sum 0.6": _make_sum(0.6),
    "weighted sum 0.7": _make_sum(0.7),
    "weighted sum 0.8": _make_sum(0.8),
    "weighted sum by gap": _fuse_by_gap,
}
