"""A figure with its n and its 95 % interval."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

import numpy as np
from msgspec import Struct

__all__ = ["Estimate", "mean", "mean_difference", "share"]

_Z = 1.959964
_RESAMPLES = 2000
_RESAMPLES_AT_ONCE = 100  # bounds memory: thousands of scores are 8 MB


class Estimate(Struct, frozen=True):
    """A mean or a share.

    Attributes:
        low: Lower end of the 95 % interval.
        high: Upper end.
        interval: The method: "wilson" or "bootstrap".
    """

    value: float
    n: int
    low: float
    high: float
    interval: str


def share(outcomes: Sequence[bool | int]) -> Estimate:
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


def mean(scores: Sequence[float]) -> Estimate:
    """Return the mean of scores with a percentile bootstrap interval (2,000 resamples, fixed seed).

    Scores that are all alike give an interval without width: read it together with n.

    Raises:
        ValueError: There are no scores.
    """
    n = len(scores)
    if not n:
        raise ValueError("There are no scores to take a mean of. Ask at least one question.")
    random, values = np.random.default_rng(0), np.asarray(scores, dtype=np.float64)
    draws = (values[random.integers(0, n, (_RESAMPLES_AT_ONCE, n))] for _ in range(_RESAMPLES // _RESAMPLES_AT_ONCE))
    means = np.sort(np.concatenate([draw.mean(axis=1) for draw in draws]))
    low, high = means[round(0.025 * _RESAMPLES)], means[round(0.975 * _RESAMPLES) - 1]
    return Estimate(fmean(scores), n, float(low), float(high), "bootstrap")


def mean_difference(scores: Sequence[float], baseline: Sequence[float]) -> Estimate:
    """Return the mean of paired differences with its bootstrap interval: both scored the same questions, in one order.

    Raises:
        ValueError: There are no scores, or they aren't as many as the baseline's.
    """
    return mean([score - other for score, other in zip(scores, baseline, strict=True)])
