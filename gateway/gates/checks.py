"""The checks of a gate: every figure with its interval and its bound, and whether it holds."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.assistants.gate_verdict import MARGIN, NEUTRAL_MARGIN
from gateway.evaluation.base_suite import FIRST_PROMPTS
from gateway.evaluation.estimate import Estimate, estimate_mean, estimate_mean_difference
from gateway.gates.bounds import LEAST_ROWS, Bound, Outcome

__all__ = ["Check", "EvalRunIds", "GateOptions", "Part", "Thresholds", "decide", "show"]

_ROWS_REMEDY = "More rows may tell; a gate asks up to 400."
Part = Literal["style", "faithfulness", "general", "evals", "memorised"]


class Thresholds(msgspec.Struct, frozen=True):
    """The bounds of a gate.

    Attributes:
        margin: How much lower than the baseline faithfulness and general may be at the interval's lower end, and how
            much lower than the current release the style at its upper end: as a share, or in nats per token.
        neutral_margin: How much less likely neutral text may become, in nats per token at the lower end.
    """

    margin: float = MARGIN
    neutral_margin: float = NEUTRAL_MARGIN


class EvalRunIds(msgspec.Struct, frozen=True):
    """A run of an eval, and the one that it is held against."""

    run_id: str
    baseline_id: str


class GateOptions(msgspec.Struct, frozen=True):
    """The bounds of a gate, and how much it asks.

    Attributes:
        rows: The most rows that are asked.
        canaries: The planted texts that no answer may have.
        general_prompts: The most prompts of the base suite that are asked.
    """

    rows: int
    thresholds: Thresholds
    canaries: list[str]
    eval_runs: list[EvalRunIds] = []
    general_prompts: int = FIRST_PROMPTS


class Check(msgspec.Struct, frozen=True):
    """One figure of a gate, and what was decided on it.

    Attributes:
        name: `part`, or `part.figure`.
        difference: Of the candidate to what it is compared with, paired; None where there is nothing to compare.
        candidate: The candidate's own figure.
        baseline: That of what it is compared with.
        against: What that is.
        bound: The bound, in words; "" for a figure that is shown and doesn't decide.
        passed: None where the figure doesn't decide, or can't be had.
        outcome: What `passed` is for: the bound holds, the candidate is worse beyond noise, or it is undecided.
        rows_needed: Where it is undecided, about how many rows or prompts would tell; None where nobody can say.
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
    outcome: Outcome | None = None
    rows_needed: int | None = None


def decide(
    name: str,
    part: Part,
    label: str,
    scores: Sequence[float],
    others: Sequence[float],
    against: str,
    bound: Bound,
    unit: str = "rows",
    *,
    remedy: str = _ROWS_REMEDY,
    comparisons: float = 1,
) -> Check:
    """Make a check that decides. What isn't shown to hold doesn't pass, whether it is worse or too few can tell.

    `remedy` is the way out where it is undecided; `comparisons` is that of `estimate_mean`.
    """
    words = bound.describe()
    if len(scores) < LEAST_ROWS:
        note = f"{len(scores)} {unit} can tell, and {LEAST_ROWS} are the fewest that decide. {remedy}"
        outcome: Outcome = "undecided"
        return Check(name, part, label, None, None, None, against, words, False, note, outcome, LEAST_ROWS)
    difference = estimate_mean_difference(scores, others, comparisons=comparisons)
    outcome = bound.judge(difference)
    rows = bound.count_rows(difference) if outcome == "undecided" else None
    level = f"{100 - 5 / comparisons:.0f} %"
    note = "" if comparisons == 1 else f"Its interval is of {level}: the answers are looked at more than once."
    if outcome == "undecided":
        needed = f"about {rows} would" if rows is not None else "how many would isn't known"
        note = f"{note} It isn't shown to hold, nor to be worse: too few {unit} to tell, {needed}. {remedy}".lstrip()
    passed = outcome == "holds"
    return Check(
        name,
        part,
        label,
        difference,
        estimate_mean(scores),
        estimate_mean(others),
        against,
        words,
        passed,
        note,
        outcome,
        rows,
    )


def show(name: str, part: Part, label: str, pairs: Sequence[tuple[float, float]], against: str) -> Check:
    """Make a figure that doesn't decide, of the candidate's scores with the others'."""
    if not pairs:
        return Check(name, part, label, against=against, note="No row can tell.")
    scores, others = [one for one, _ in pairs], [other for _, other in pairs]
    return Check(
        name,
        part,
        label,
        estimate_mean_difference(scores, others),
        estimate_mean(scores),
        estimate_mean(others),
        against,
    )
