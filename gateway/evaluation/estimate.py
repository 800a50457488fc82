"""A figure with its n and its 95 % interval."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

import numpy as np
from msgspec import Struct

__all__ = ["Estimate", "estimate_mean", "estimate_mean_difference", "estimate_share"]

_Z = 1.959964
_RESAMPLES = 2000
_RESAMPLES_AT_ONCE = 100  # bounds memory: thousands of scores are 8 MB


class Estimate(Struct, frozen=True):
    """A mean or a share.

    Attributes:
        low: Lower end of the interval, of 95 % where nothing else is said.
        high: Upper end.
        interval: The method: "wilson" or "bootstrap".
    """

    value: float
    n: int
    low: float
    high: float
    interval: str

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def estimate_share(outcomes: Sequence[bool | int]) -> Estimate:
    """Return the share of successes with Wilson's interval, which stays honest at 0 and 1.

    Raises:
        ValueError: There are no outcomes.
    """
    n = len(outcomes)
    if not n:
        raise ValueError("There are no outcomes to take a share of. Ask at least one question.")
    p = sum(map(bool, outcomes)) / n
    spread = 1 + _Z * _Z / n
    centre = (p + _Z * _Z / (2 * n)) / spread
    half = _Z * sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)) / spread
    return Estimate(p, n, max(0.0, centre - half), min(1.0, centre + half), "wilson")


def estimate_mean(scores: Sequence[float], *, comparisons: float = 1) -> Estimate:
    """Return the mean of scores with a percentile bootstrap interval (2,000 resamples, fixed seed).

    Scores that are all alike give an interval without width: read it together with n.

    Args:
        scores: One per question.
        comparisons: Where so many are looked at, each interval is that much wider (Bonferroni): of 1 − 0.05 / so many.

    Raises:
        ValueError: There are no scores.
    """
    n = len(scores)
    if not n:
        raise ValueError("There are no scores to take a mean of. Ask at least one question.")
    random, values = np.random.default_rng(0), np.asarray(scores, dtype=np.float64)
    draws = (values[random.integers(0, n, (_RESAMPLES_AT_ONCE, n))] for _ in range(_RESAMPLES // _RESAMPLES_AT_ONCE))
    means = np.sort(np.concatenate([draw.mean(axis=1) for draw in draws]))
    tail = round(0.025 / comparisons * _RESAMPLES)
    low, high = means[tail], means[_RESAMPLES - tail - 1]
    return Estimate(fmean(scores), n, float(low), float(high), "bootstrap")


def estimate_mean_difference(scores: Sequence[float], baseline: Sequence[float], *, comparisons: float = 1) -> Estimate:
    """Return the mean of paired differences with its bootstrap interval: both scored the same questions, in one order.

    `comparisons` is that of `estimate_mean`.

    Raises:
        ValueError: There are no scores, or they aren't as many as the baseline's.
    """
    return estimate_mean(
        [score - other for score, other in zip(scores, baseline, strict=True)], comparisons=comparisons
    )
