"""The probability that passages answer a question, from how they match it. Torch-free: the gateway imports this.

Logistic models with weights of 0 and more, so that no better match ever makes an answer less likely: a general one, and
the one that each calibrated store has of its own (`docs/benchmarks/retrieval.md`).
"""

import math
from collections.abc import Iterable, Sequence

from msgspec.structs import astuple

from retrieval.messages import MatchFeatures

__all__ = [
    "JUDGED_PASSAGES",
    "LEAST_PROBABILITY",
    "MATCH_VERSION",
    "STARTING_WEIGHTS",
    "estimate_answer",
    "estimate_generally",
    "join_features",
]

LEAST_PROBABILITY = 0.3
"""Without passages that answer with it the model gets none, unless a release or a request says otherwise."""

JUDGED_PASSAGES = 5
"""Passages that are judged together, where no release says how many the model gets: as many as by default."""

MATCH_VERSION = "match-3"
"""The version of the features and of the weights here: part of a release's digest, and of what a store's own weights
were fitted to. Count it up when either changes."""

_BY_NAMES = 3.5
"""The weight that a question's names take from its evidence in both models, where they are all of its words and none is
found. Of those that were tried on the tune halves of six sets, it is the largest with which one of a hundred questions
that have an answer is refused at the default limit, with two embedders."""

STARTING_WEIGHTS = (1.96, 0.0, 1.62, 0.0, 0.22, _BY_NAMES, 0.0, 0.83, 0.22, -1.65 - _BY_NAMES)
"""The weights that a store's own start from: of each feature of its passages together, then the intercept. Fitted on
sets of several kinds with two embedders at once. Headings have none here: what they tell in a store of identifiers
misleads in one of prose, so that it takes a store's own questions to weigh them."""

_BY_MEANING, _BY_WORDS, _NEITHER = 4.76, 1.52, -2.51


def estimate_generally(matches: Iterable[MatchFeatures]) -> float:
    """Return the probability, 0..1, that the likeliest of a question's passages answers it; 0 without any.

    One model of three figures for every store and embedder: no others are surer at the default limit without a store's
    own questions. It was fitted to questions of which a part has its answer taken out of the corpus, on the tune half.
    """
    evidence = (
        _NEITHER + _BY_MEANING * one.closeness + _BY_WORDS * one.keyword - _BY_NAMES * (1 - one.names)
        for one in matches
    )
    return _squash(max(evidence, default=-math.inf))


def estimate_answer(features: MatchFeatures, weights: Sequence[float]) -> float:
    """Return the probability, 0..1, that passages with these features hold the answer, by a store's own weights."""
    *slopes, intercept = weights
    return _squash(intercept + sum(slope * value for slope, value in zip(slopes, astuple(features), strict=True)))


def join_features(features: Iterable[MatchFeatures]) -> MatchFeatures:
    """Return the best value of each feature: what several passages say of a question together; 0 of none."""
    rows = [astuple(one) for one in features]
    return MatchFeatures(*(max(column) for column in zip(*rows, strict=True))) if rows else MatchFeatures()


def _squash(evidence: float) -> float:
    return 1 / (1 + math.exp(-evidence)) if evidence > -700 else 0.0
