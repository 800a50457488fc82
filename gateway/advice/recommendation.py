"""The recommendation: the simplest arm that no dearer one beats beyond its interval."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from gateway.advice.arms import LADDER, Arm, Style
from gateway.advice.scores import AdviceScores, Measure
from gateway.evaluation.estimate import Estimate

__all__ = ["LEAST_GAIN", "WORTH_TRAINING", "ArmDifference", "Recommendation", "decide"]

LEAST_GAIN = 0.02
"""A smaller gain is none for anybody, however narrow its interval."""

WORTH_TRAINING = 0.05
"""At least so much of the style has to be missing, at the interval's lower end, for a training to be worth a try."""

_GAINS: tuple[Measure, ...] = ("style", "task")
_LOSSES: tuple[Measure, ...] = ("style", "task", "facts", "abstains")


class ArmDifference(msgspec.Struct, frozen=True):
    """A paired difference that the recommendation looked at, and its outcome."""

    arm: str
    against: str
    measure: Measure
    difference: Estimate
    outcome: Literal["better", "worse", "no difference"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The arm that a tenant is advised to use, and what speaks for it.

    Attributes:
        arm: What to use.
        style_gap: How much more of the style the tenant's own replies have than the base, with documents if they are
            used; None without a style to measure.
        missing: How much of the style the recommendation's arm still lacks, of a bounded task how many replies.
        needs_style: Whether the gap is beyond its interval.
        gains_facts: Whether documents make answers state more facts, beyond the interval.
        comparisons: Those that decided, in their order.
        recites: Whether the adapter states values that documents have changed.
    """

    arm: Arm
    style_gap: Estimate | None
    missing: Estimate | None
    needs_style: bool
    gains_facts: bool
    comparisons: tuple[ArmDifference, ...]
    recites: bool

    @property
    def leaves_style(self) -> bool:
        """Whether so much is missing that a training is worth a try."""
        return self.needs_style and self.missing is not None and self.missing.low > WORTH_TRAINING


def decide(scores: AdviceScores, *, unknown: bool = False) -> Recommendation:
    """Choose the arm.

    Documents come first, since no style states a fact; then the ways to a style from the cheapest on, each of which has
    to beat the one before; at last the two together, which have to beat the style alone in facts. An adapter whose rows
    are `unknown` isn't chosen: it may have learnt what it was asked.
    """
    return _Judge(scores, unknown).decide()


class _Judge:
    def __init__(self, scores: AdviceScores, unknown: bool) -> None:
        self._unknown = unknown
        self._scores = scores
        self._comparisons: dict[tuple[str, str, str], ArmDifference] = {}
        self._recites = any(scores.arms[name].recited for name in ("adapter", "adapter+facts") if name in scores.arms)

    def decide(self) -> Recommendation:
        gains_facts = "facts" in self._scores.arms and self._is_better("facts", "base", ("facts",))
        arm = self._climb(facts=gains_facts)
        if arm.facts and arm.style != "none":
            alone = Arm(arm.style, False)
            if not self._is_better(arm.name, alone.name, ("facts", "supported")):
                arm = self._climb(facts=False)
        style_gap, task_gap = self._measure_gaps(Arm("none", arm.facts))
        left_style, left_task = self._measure_gaps(arm)
        return Recommendation(
            arm=arm,
            style_gap=style_gap,
            missing=left_task if task_gap is not None else left_style,
            needs_style=self._needs_style(arm.facts),
            gains_facts=gains_facts,
            comparisons=tuple(self._comparisons.values()),
            recites=self._recites,
        )

    def _measure_gaps(self, arm: Arm) -> tuple[Estimate | None, Estimate | None]:
        gap = self._scores.measure_gap(arm.name, facts=arm.facts)
        return gap, self._scores.measure_task_gap(arm.name) if self._scores.bounded else None

    def _needs_style(self, facts: bool) -> bool:
        gaps = self._measure_gaps(Arm("none", facts))
        return any(gap is not None and _is_gain(gap) for gap in gaps)

    def _climb(self, *, facts: bool) -> Arm:
        """Return the last way to a style that beats the one before it and loses nothing."""
        current = Arm("none", facts)
        if not self._needs_style(facts):
            return current
        for style in LADDER[1:]:
            arm = Arm(style, facts)
            if arm.name in self._scores.arms and not self._is_excluded(style) and self._replaces(arm, current):
                current = arm
        return current

    def _is_excluded(self, style: Style) -> bool:
        return style == "adapter" and (self._recites or self._unknown)

    def _replaces(self, arm: Arm, current: Arm) -> bool:
        better = self._is_better(arm.name, current.name, _GAINS)
        worse = [self._compare(arm.name, current.name, measure) for measure in _LOSSES]
        return better and not any(one is not None and one.outcome == "worse" for one in worse)

    def _is_better(self, arm: str, other: str, measures: tuple[Measure, ...]) -> bool:
        results = [self._compare(arm, other, measure) for measure in measures]
        return any(one is not None and one.outcome == "better" for one in results)

    def _compare(self, arm: str, other: str, measure: Measure) -> ArmDifference | None:
        key = (arm, other, measure)
        if key not in self._comparisons:
            difference = self._scores.compare(arm, other, measure)
            if difference is None:
                return None
            self._comparisons[key] = ArmDifference(arm, other, measure, difference, _judge(difference))
        return self._comparisons[key]


def _judge(difference: Estimate) -> Literal["better", "worse", "no difference"]:
    if _is_gain(difference):
        return "better"
    if difference.high < 0 and difference.value <= -LEAST_GAIN:
        return "worse"
    return "no difference"


def _is_gain(difference: Estimate) -> bool:
    return difference.low > 0 and difference.value >= LEAST_GAIN
