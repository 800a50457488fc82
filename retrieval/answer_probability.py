"""The probability that passages answer a question, from how they match it. Torch-free: the gateway imports this.

A logistic model with weights of 0 and more, so that no better match ever makes an answer less likely. Its general
weights were fitted on sets of several kinds with two embedders at once (`docs/benchmarks.md`); a store that was
calibrated has its own.
"""

import math
from collections.abc import Iterable, Sequence

from msgspec.structs import astuple

from retrieval.messages import MatchFeatures

__all__ = ["FEATURES", "GENERAL_WEIGHTS", "MATCH_VERSION", "estimate_answer", "join_features"]

FEATURES = MatchFeatures.__struct_fields__

MATCH_VERSION = "match-1"
"""The version of the features and of their general weights: part of a release's digest, and of what a store's own
weights were fitted to. Count it up when either changes."""

GENERAL_WEIGHTS = (1.96, 0.0, 1.62, 0.0, 0.22, 0.0, 0.0, 0.83, 0.22, -1.65)
"""Of each feature, then the intercept. Headings and names have none here: what they tell in a store of identifiers
misleads in one of prose, so that it takes a store's own questions to weigh them."""


def estimate_answer(features: MatchFeatures, weights: Sequence[float] = GENERAL_WEIGHTS) -> float:
    """Return the probability, 0..1, that passages with these features hold the answer."""
    *slopes, intercept = weights
    evidence = intercept + sum(slope * value for slope, value in zip(slopes, astuple(features), strict=True))
    return 1 / (1 + math.exp(-evidence))


def join_features(features: Iterable[MatchFeatures]) -> MatchFeatures:
    """Return the best value of each feature: what several passages say of a question together; 0 of none."""
    rows = [astuple(one) for one in features]
    return MatchFeatures(*(max(column) for column in zip(*rows, strict=True))) if rows else MatchFeatures()
