"""Weights of the answer's probability, fitted to a store's own questions.

A logistic model whose weights are drawn to those that it starts from, as by a Gaussian around them: with few questions
little changes, with many the store speaks. None gets below 0, so that a better match never makes an answer less likely.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from retrieval.answer_probability import STARTING_WEIGHTS, estimate_answer, estimate_generally, join_features
from retrieval.messages import MatchFeatures

__all__ = ["UNANSWERABLE_SHARE", "MatchedQuestion", "fit_weights", "measure_loss"]

UNANSWERABLE_SHARE = 0.3
"""Of the questions that people ask, those without an answer in the documents, as far as nobody knows it better."""

_PULL = 1.0
"""Precision of the Gaussian around the weights to start from; a question weighs about 1."""

_STEPS = 2_000
_SMALL = 1e-7

Floats = NDArray[np.float64]


class MatchedQuestion(Struct, frozen=True):
    """A question's best match in a store, and whether the passages could have its answer.

    Attributes:
        features: Of the passages together.
        general: The probability that the general model gives them.
    """

    features: MatchFeatures
    answerable: bool
    general: float

    @classmethod
    def of(cls, matches: Sequence[MatchFeatures], *, answerable: bool) -> "MatchedQuestion":
        """Make one of the matches of the passages that were found for it."""
        return cls(join_features(matches), answerable, estimate_generally(matches))

    def estimate(self, weights: Sequence[float] | None) -> float:
        """Return the probability of an answer by a store's own weights; without any, by the general model."""
        return self.general if weights is None else estimate_answer(self.features, weights)


def fit_weights(questions: Sequence[MatchedQuestion]) -> tuple[float, ...]:
    """Return weights that fit the questions, near `STARTING_WEIGHTS`; without questions of both kinds, those.

    Questions of either kind weigh as many as `UNANSWERABLE_SHARE` says, whatever their numbers.
    """
    rows, answerable, shares = _to_arrays(questions)
    begin = np.asarray(STARTING_WEIGHTS, dtype=np.float64)
    if answerable.all() or not answerable.any():
        return tuple(begin.tolist())
    weights = ahead = begin
    # The steepest that the loss can bend: with it each step goes down, and momentum keeps their number small.
    stride = 1 / (float(np.linalg.norm(rows, 2)) ** 2 * float(shares.max()) / 4 + _PULL)
    for step in range(_STEPS):
        gradient = rows.T @ (shares * (_squash(rows @ ahead) - answerable)) + _PULL * (ahead - begin)
        after = ahead - stride * gradient
        after[:-1] = np.maximum(after[:-1], 0.0)  # all but the intercept
        moved = after - weights
        ahead, weights = after + step / (step + 3) * moved, after
        if float(np.abs(moved).max()) < _SMALL:
            break
    return tuple(round(weight, 6) for weight in weights.tolist())


def measure_loss(questions: Sequence[MatchedQuestion], weights: Sequence[float] | None) -> float:
    """Return the mean of -log(probability of what is true): the lower, the better the probabilities."""
    _, answerable, shares = _to_arrays(questions)
    likely = np.clip([one.estimate(weights) for one in questions], _SMALL, 1 - _SMALL)
    return float((shares * -np.log(np.where(answerable, likely, 1 - likely))).sum() / shares.sum())


def _to_arrays(questions: Sequence[MatchedQuestion]) -> tuple[Floats, NDArray[np.bool_], Floats]:
    rows = np.asarray([(*astuple(one.features), 1.0) for one in questions], dtype=np.float64)
    answerable = np.asarray([one.answerable for one in questions], dtype=np.bool_)
    counts = max(int(answerable.sum()), 1), max(int((~answerable).sum()), 1)
    of_answerable, of_others = (
        len(questions) * share / count
        for share, count in zip((1 - UNANSWERABLE_SHARE, UNANSWERABLE_SHARE), counts, strict=True)
    )
    return rows, answerable, np.where(answerable, of_answerable, of_others)


def _squash(evidence: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(evidence, -50.0, 50.0)))
