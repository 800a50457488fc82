"""Abstention: a question with no passage at or above a score is left without an answer, rightly where none is there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from msgspec import Struct

from gateway.evaluation.estimate import Estimate, estimate_share

__all__ = [
    "LEAST_PRECISION",
    "Abstention",
    "AbstentionPoint",
    "TopScore",
    "choose_threshold",
    "measure_abstention",
    "trace_abstention",
]

LEAST_PRECISION = 0.9
"""Of a threshold that is chosen: an assistant that refuses what it could answer is worse than one that tries."""

_POINTS = 101


@dataclass(frozen=True, slots=True)
class TopScore:
    """The best score that a question's passages have; None where it has no passages."""

    score: float | None
    answerable: bool

    def abstains(self, threshold: float) -> bool:
        return self.score is None or self.score < threshold


class Abstention(Struct, frozen=True):
    """Figures at one threshold.

    Attributes:
        precision: Of the questions that were abstained from, the share without an answer; None where there were none.
        recall: Of the questions without an answer, the share that was abstained from; None where there are none.
    """

    threshold: float
    abstained: int
    unanswerable: int
    precision: Estimate | None
    recall: Estimate | None


class AbstentionPoint(Struct, frozen=True):
    """One point of a curve over thresholds; `precision` is None where nothing is abstained from."""

    threshold: float
    precision: float | None
    recall: float


def measure_abstention(questions: Iterable[TopScore], threshold: float) -> Abstention:
    """Return precision and recall at a threshold, with Wilson's intervals."""
    questions = list(questions)
    abstained = [question for question in questions if question.abstains(threshold)]
    unanswerable = [question for question in questions if not question.answerable]
    return Abstention(
        threshold=threshold,
        abstained=len(abstained),
        unanswerable=len(unanswerable),
        precision=estimate_share([not question.answerable for question in abstained]) if abstained else None,
        recall=estimate_share([question.abstains(threshold) for question in unanswerable]) if unanswerable else None,
    )


def choose_threshold(questions: Sequence[TopScore], least_precision: float = LEAST_PRECISION) -> float | None:
    """Return the threshold with the highest recall of those that are precise enough; None where none is.

    Of equal ones it is the lowest, which abstains from the fewest questions that have an answer.
    """
    best: tuple[int, float] | None = None
    unanswerable = sum(not question.answerable for question in questions)
    if not unanswerable:
        return None
    for threshold in _candidates(questions):
        abstained = [question for question in questions if question.abstains(threshold)]
        right = sum(not question.answerable for question in abstained)
        if right and right >= least_precision * len(abstained) and (best is None or right > best[0]):
            best = right, threshold
    return None if best is None else best[1]


def _candidates(questions: Sequence[TopScore]) -> list[float]:
    """Return one threshold for each way in which the questions can be parted, the lowest first."""
    scores = sorted({question.score for question in questions if question.score is not None})
    middles = [(low + high) / 2 for low, high in pairwise(scores)]
    return [0.0, *middles, *([scores[-1] + 1e-6] if scores else [])]


def trace_abstention(questions: Sequence[TopScore]) -> list[AbstentionPoint]:
    """Return precision and recall over thresholds from 0 to 1, for a plot; none without unanswerable questions."""
    unanswerable = sum(not question.answerable for question in questions)
    if not unanswerable:
        return []
    points: list[AbstentionPoint] = []
    for step in range(_POINTS):
        threshold = step / (_POINTS - 1)
        abstained = [question for question in questions if question.abstains(threshold)]
        right = sum(not question.answerable for question in abstained)
        precision = right / len(abstained) if abstained else None
        points.append(AbstentionPoint(threshold, precision, right / unanswerable))
    return points
