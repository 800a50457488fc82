"""The bound of a check, and what an interval says of it: it holds, the candidate is worse, or too few rows can tell."""

from math import ceil
from typing import Literal

import msgspec

from gateway.evaluation.estimate import Estimate

__all__ = ["LEAST_ROWS", "Bound", "Outcome"]

LEAST_ROWS = 10
"""Fewer rows than these decide nothing: an interval over them is luck."""
_MOST_ROWS = 100_000  # beyond so many nobody asks

Outcome = Literal["holds", "worse", "undecided"]


class Bound(msgspec.Struct, frozen=True):
    """A bound on a paired difference.

    Attributes:
        least: The least that it may be.
        end: The end of the interval that is held against it: `low` asks for evidence that it holds, `high` for evidence
            that it doesn't.
        above: Whether it has to be more than `least`.
    """

    least: float
    end: Literal["low", "high"] = "low"
    above: bool = False

    def describe(self) -> str:
        """Return the bound in words."""
        least = f"{self.least:g}" if self.least else "0"
        return f"{'above' if self.above else 'at least'} {least} at the interval's {self._side} end"

    def judge(self, difference: Estimate) -> Outcome:
        """Tell whether a difference keeps to the bound; where it isn't shown to, whether it is shown to be worse."""
        end = difference.low if self.end == "low" else difference.high
        if end > self.least or (end == self.least and not self.above):
            return "holds"
        # What isn't better at all isn't above 0 either.
        worse = difference.high <= 0 if self.above else difference.high < 0
        return "worse" if worse else "undecided"

    def count_rows(self, difference: Estimate) -> int | None:
        """Return about how many rows would tell, if more of them differ as these do; None where no number would.

        An interval's width falls with the root of its rows.
        """
        distance = difference.value - self.least
        width = difference.value - difference.low
        if distance <= 0:  # the bound won't be shown to hold: until it is shown that it doesn't
            distance, width = -difference.value, difference.high - difference.value
        if distance <= 0:
            return None
        rows = max(difference.n + 1, LEAST_ROWS, ceil(difference.n * (width / distance) ** 2))
        return rows if rows <= _MOST_ROWS else None

    @property
    def _side(self) -> str:
        return "lower" if self.end == "low" else "upper"
