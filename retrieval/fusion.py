"""Two scores of each candidate → one score in 0..1.

A weighted sum of absolute scores, not of ranks: a threshold has to mean the same for every question, and for the best
of only bad passages.
"""

from collections.abc import Iterable

from retrieval.stores.protocol import Candidate

__all__ = ["fuse", "fused_score"]

DENSE_WEIGHT = 0.7
"""Share of the cosine; the rest is BM25's. Chosen by measurement: see docs/benchmarks.md, retrieval."""

KEYWORD_HALF = 8.0
"""The BM25 score that counts half: about what two rare words of a question give that are in the passage."""


def fused_score(dense: float, keyword: float) -> float:
    """Fuse a cosine and a BM25 score (0 or more, without an upper bound)."""
    return DENSE_WEIGHT * min(max(dense, 0.0), 1.0) + (1 - DENSE_WEIGHT) * keyword / (keyword + KEYWORD_HALF)


def fuse(candidates: Iterable[Candidate], *, limit: int, threshold: float | None) -> list[tuple[float, Candidate]]:
    """The best `limit` candidates at or above the threshold, best first, equal scores in the order of their ids."""
    scored = [(fused_score(candidate.dense, candidate.keyword), candidate) for candidate in candidates]
    kept = [pair for pair in scored if threshold is None or pair[0] >= threshold]
    kept.sort(key=lambda pair: (-pair[0], pair[1].id))
    return kept[:limit]
