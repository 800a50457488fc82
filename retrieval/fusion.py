"""Two scores of each candidate → one score in 0..1.

A weighted sum of absolute scores, not of ranks: a threshold has to mean the same for every question, and for the best
of only bad passages.
"""

from collections.abc import Iterable

from retrieval.backends import Candidate
from retrieval.messages import Weights

__all__ = ["FUSION", "fuse", "fuse_scores"]

DENSE_WEIGHT = 0.8
"""Share of the cosine; the rest is BM25's.

Measured on 297 FAQ questions of perl-doc, nDCG@10 / recall@5: cosine alone 0.824 / 0.899, BM25 alone 0.657 / 0.751; a
weight of 0.5 gives 0.801 / 0.875, 0.7: 0.827 / 0.913, 0.8: 0.834 / 0.919, 0.9: 0.837 / 0.926. Not 0.9, since those
questions seldom hang on a product's name, which words tell apart better than vectors do.
"""


def fuse_scores(dense: float, keyword: float, unrelated: float = 0.0, weights: Weights | None = None) -> float:
    """Fuse a cosine and a share of BM25 (0..1) into 0..1.

    `unrelated` is the cosine that the embedder gives to texts that have nothing to do with each other: 0.05 for one,
    0.75 for another. It counts 0, so that scores of different embedders mean the same. `weights` stand in for
    `DENSE_WEIGHT`.
    """
    share = DENSE_WEIGHT if weights is None else weights.embedding / (weights.embedding + weights.text)
    closeness = (dense - unrelated) / (1 - unrelated)
    return share * min(max(closeness, 0.0), 1.0) + (1 - share) * keyword


FUSION = f"sum-2-{DENSE_WEIGHT:g}"
"""The version of the fusion: part of a release's digest. Count the 2 up when `fuse_scores` changes otherwise."""


def fuse(
    candidates: Iterable[Candidate],
    *,
    limit: int,
    threshold: float | None,
    unrelated: float = 0.0,
    weights: Weights | None = None,
) -> list[tuple[float, Candidate]]:
    """Return the best `limit` candidates at or above the threshold: best first, equal scores in the order of ids."""
    scored = [
        (fuse_scores(candidate.dense, candidate.keyword, unrelated, weights), candidate) for candidate in candidates
    ]
    passing = [pair for pair in scored if threshold is None or pair[0] >= threshold]
    passing.sort(key=lambda pair: (-pair[0], pair[1].id))
    return passing[:limit]
