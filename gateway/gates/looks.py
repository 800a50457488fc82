"""Looks at the base suite: few prompts first, and more of them only while they don't decide."""

from collections.abc import Iterable

import msgspec

from gateway.evaluation.base_suite import FIRST_PROMPTS
from gateway.gates.checks import Check

__all__ = ["Look", "is_decided", "plan_looks"]

_SECOND_PROMPTS = 4 * FIRST_PROMPTS
_FIVE = 5
"""Early looks take 99 % intervals, which is the usual 5 % of error by so many; the last look has what is left of it."""


class Look(msgspec.Struct, frozen=True):
    """One look at the answers so far.

    Attributes:
        prompts: How many prompts of the suite have been asked by then; `most` at the last look.
        most: How many the gate asks at most.
        size: How many the suite has.
        comparisons: By how many the 5 % of its intervals are divided, as in `estimate_mean`.
    """

    prompts: int
    most: int
    size: int
    comparisons: float = 1

    @property
    def remedy(self) -> str:
        """The way out where its prompts can't tell."""
        if self.most < self.size:
            return f"More prompts may tell; with general_prompts a gate asks up to {self.size:,}."
        return (
            "The suite has no more: look at those that were lost, and force the rollout with that reason where they "
            "are no loss."
        )


def plan_looks(most: int, size: int) -> list[Look]:
    """Plan the looks of a gate that asks at most so many prompts of a suite.

    Whoever looks several times and stops at the first good figure finds one by luck more often than once. So the looks
    share the 5 % of error between them (Bonferroni): 1 % for each but the last, 5, 4 or 3 % for that.
    """
    most = min(most, size)
    early = [prompts for prompts in (FIRST_PROMPTS, _SECOND_PROMPTS) if 2 * prompts <= most]
    return [
        *(Look(prompts, most, size, _FIVE) for prompts in early),
        Look(most, most, size, _FIVE / (_FIVE - len(early))),
    ]


def is_decided(checks: Iterable[Check]) -> bool:
    """Tell whether checks say that the candidate passes them, or that it doesn't; what is undecided may be either."""
    outcomes = {check.outcome for check in checks}
    return "worse" in outcomes or "undecided" not in outcomes
