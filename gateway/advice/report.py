"""The report of an advice: the look at the rows, every arm with its figures, and the words."""

from collections.abc import Mapping, Sequence
from statistics import fmean, quantiles
from typing import Any, Literal

import msgspec

from gateway.advice.arms import Arm
from gateway.advice.measurements import RowAnswers
from gateway.advice.recommendation import ArmDifference, Recommendation
from gateway.advice.row_facts import ChangedFact, FactsLook
from gateway.advice.scores import AdviceScores
from gateway.evaluation.estimate import Estimate

__all__ = ["AdviceReport", "AdviceRow", "ArmFigures", "count_break_even", "make_figures", "make_rows"]

_PASSES = 3
"""A trained token goes forward and back, which costs about as much as three tokens of a prompt (Kaplan et al. 2020)."""

_ROWS = 20
_CHARACTERS = 2000


class ArmFigures(msgspec.Struct, frozen=True):
    """The figures of one arm.

    Attributes:
        style: The mean of `voice` and `rules`.
        task: The share of replies that are the very one; None unless the task is bounded.
        facts: The share of the facts of replies that answers get right; None where no row has one.
        supported: The share of stated values that stand in the prompt.
        abstains: The share of rows with a fact in which no value is stated without a passage.
        prompt_tokens: The mean per request; a system text or examples that stay the same may come from the engine's
            prefix cache.
        seconds: The middle of the answers' times, and `seconds_95`, what 95 % are faster than; four questions were
            asked at once.
        break_even: Requests after which the tokens that this arm's prompt has beyond the adapter's have cost as much as
            training it; None where it has none, or is an adapter's.
        recited: Answers that state a value which documents have changed since.
    """

    name: str
    label: str
    style: Estimate | None
    voice: Estimate | None
    rules: Estimate | None
    task: Estimate | None
    facts: Estimate | None
    supported: Estimate | None
    abstains: Estimate | None
    prompt_tokens: float
    completion_tokens: float
    seconds: float
    seconds_95: float
    break_even: int | None
    recited: int


class AdviceRow(msgspec.Struct, frozen=True):
    """One row for the eye."""

    row: int
    question: str
    reply: str
    answers: dict[str, str]


class AdviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report of the advisor.

    Attributes:
        source: The name of the file.
        prompt: The tenant's prompt (`name@version`) that the arms with a prompt were asked with.
        store: The id of the store that was searched; "" without one.
        conversations: All that could be used; `learnt` are those that the adapter knows, `held_out` those that weren't
            learnt from, and `rows` those that were asked.
        unknown: The adapters whose rows aren't known, of the one that was measured and those before it: the rows that
            were asked may be among them.
        skipped: Numbers of rows that don't fit into the context.
        index_epochs: Of the stores that were searched.
        changed: Values of replies, or of what the adapter has learnt, that documents have changed since.
        bounded: Whether replies are a few that occur again and again.
        guide: The style guide, and `examples` the three examples, as they stood in prompts.
        missing: The arms that couldn't be asked, with the reason.
        comparisons: The differences that decided, with intervals as wide as so many ways to a style want them.
        training: What a training on the half that isn't asked would take, see `fine_tuning.estimate.price_figures`.
        arm: What to use, by its name, and `label`.
        use: The words: what to use, what to `avoid`, and what to do `next`, with the reasons.
    """

    kind: Literal["advice"] = "advice"
    created_at: int
    source: str
    base: str
    adapter: str | None
    prompt: str | None = None
    store: str
    conversations: int
    learnt: int
    unknown: list[str] = []
    held_out: int
    rows: int
    skipped: list[int]
    index_epochs: dict[str, list[int]]
    look: FactsLook
    changed: list[ChangedFact]
    bounded: bool
    rules: dict[str, str]
    guide: str
    examples: list[tuple[str, str]]
    arms: list[ArmFigures]
    missing: dict[str, str]
    comparisons: list[ArmDifference]
    training: dict[str, Any]
    arm: str
    label: str
    needs_style: bool
    gains_facts: bool
    use: list[str]
    avoid: list[str]
    next: list[str]
    answers: list[AdviceRow]


def make_figures(scores: AdviceScores, arms: Sequence[Arm], training: Mapping[str, Any]) -> list[ArmFigures]:
    """Return the figures of every arm."""
    tokens = {arm: fmean(one.prompt_tokens for one in scores.arms[arm.name].answers) for arm in arms}
    figures: list[ArmFigures] = []
    for arm in arms:
        answers = scores.arms[arm.name].answers
        seconds = [one.seconds for one in answers]
        figures.append(
            ArmFigures(
                name=arm.name,
                label=arm.label,
                style=scores.estimate(arm.name, "style"),
                voice=scores.estimate(arm.name, "voice"),
                rules=scores.estimate(arm.name, "rules") if scores.rules.rules else None,
                task=scores.estimate(arm.name, "task"),
                facts=scores.estimate(arm.name, "facts"),
                supported=scores.estimate(arm.name, "supported"),
                abstains=scores.estimate(arm.name, "abstains"),
                prompt_tokens=round(tokens[arm], 1),
                completion_tokens=round(fmean(one.completion_tokens for one in answers), 1),
                seconds=round(quantiles(seconds, n=2, method="inclusive")[0], 4),
                seconds_95=round(quantiles(seconds, n=20, method="inclusive")[-1], 4),
                break_even=_find_break_even(arm, tokens, training),
                recited=len(scores.arms[arm.name].recited),
            )
        )
    return figures


def _find_break_even(arm: Arm, tokens: Mapping[Arm, float], training: Mapping[str, Any]) -> int | None:
    """Hold an arm's prompt against the adapter's, or against what an adapter's would be: the system text alone."""
    if arm.style in ("none", "adapter"):
        return None
    ways = [Arm("adapter", arm.facts), Arm("prompt", arm.facts), Arm("none", arm.facts)]
    shortest = next(tokens[one] for one in ways if one in tokens)
    return count_break_even(training["seconds"] * training["tokens_per_second"], tokens[arm] - shortest)


def count_break_even(trained_tokens: float, more_tokens: float) -> int | None:
    """Return the requests after which so many more tokens in each prompt have cost as much as a training.

    `trained_tokens` are those that the training had time for, that of loading and proving included.
    """
    return None if more_tokens < 1 else round(_PASSES * trained_tokens / more_tokens)


def make_rows(rows: Sequence[RowAnswers], recommendation: Recommendation) -> list[AdviceRow]:
    """Return the first rows, with the answers of the base and of the recommendation's arm."""
    names = dict.fromkeys((Arm("none", recommendation.arm.facts).name, recommendation.arm.name, *rows[0].answers))
    return [
        AdviceRow(
            row.number,
            row.question[:_CHARACTERS],
            row.reply[:_CHARACTERS],
            {name: row.answers[name].text[:_CHARACTERS] for name in names},
        )
        for row in rows[:_ROWS]
    ]
