"""The checks of a gate: every figure with its interval and its bound, and whether it holds."""

from typing import Literal

import msgspec

from gateway.evaluation.estimate import Estimate

__all__ = ["Check", "GateOptions", "Part", "Thresholds"]

Part = Literal["style", "faithfulness", "general", "memorised"]


class Thresholds(msgspec.Struct, frozen=True):
    """The bounds of a gate.

    Attributes:
        margin: How much lower than the baseline the lower end of faithfulness and general may be, as a share.
        neutral_margin: How much less likely neutral text may become, in nats per token at the lower end.
    """

    margin: float = 0.02
    neutral_margin: float = 0.2


class GateOptions(msgspec.Struct, frozen=True):
    """The most rows that are asked, the bounds, and the planted texts that no answer may have."""

    rows: int
    thresholds: Thresholds
    canaries: list[str]


class Check(msgspec.Struct, frozen=True):
    """One figure.

    Attributes:
        name: `part`, or `part.figure`.
        difference: Of the candidate to what it is compared with, paired; None where there is nothing to compare.
        candidate: The candidate's own figure.
        baseline: That of what it is compared with.
        against: What that is.
        bound: The bound, in words; "" for a figure that is shown and doesn't decide.
        passed: None where the figure doesn't decide, or can't be had.
        note: What to know of it, such as why it can't be had.
    """

    name: str
    part: Part
    label: str
    difference: Estimate | None = None
    candidate: Estimate | None = None
    baseline: Estimate | None = None
    against: str = ""
    bound: str = ""
    passed: bool | None = None
    note: str = ""
