"""From a gate's raw figures to its checks: what is better or worse than before, beyond its interval."""

from collections.abc import Callable, Sequence

import msgspec

from gateway.evaluation.copied_words import CopiedRun, LearntTexts
from gateway.evaluation.estimate import Estimate, mean, mean_difference
from gateway.evaluation.faithfulness import FaithfulnessScore
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.style import StyleRules
from gateway.evaluation.voice_classifier import score_voices
from gateway.gates.checks import Check, Part, Thresholds
from gateway.gates.measurements import GateMeasurements, RowMeasurement

__all__ = ["LEAST_ROWS", "Judgement", "judge"]

LEAST_ROWS = 10
"""Fewer rows than these decide nothing: an interval over them is luck."""

_PARTS: dict[str, tuple[str, Callable[[FaithfulnessScore], float | None]]] = {
    "supported": ("values that stand in the prompt", lambda score: score.supported),
    "citations": ("marks that are passages", lambda score: score.citations),
    "follows": ("follows a passage whose values were changed", lambda score: score.follows),
    "abstains": ("states no value of its own without a passage", lambda score: score.abstains),
}


class Judgement(msgspec.Struct, frozen=True):
    """The checks, and what else the report shows."""

    checks: list[Check]
    rules: StyleRules
    copied: CopiedRun


def judge(measured: GateMeasurements, thresholds: Thresholds, against: str, base: str) -> Judgement:
    """Judge the figures; `against` and `base` are the names of what the candidate is compared with."""
    rules = _learn_rules(measured)
    copied = _find_copied(measured)
    compared = against if measured.faithful_baseline == "current" else base
    checks = [
        *_judge_style(measured, rules, base),
        *_judge_faithfulness(measured, thresholds, compared),
        *_judge_general(measured, thresholds, against),
        *_judge_memory(measured, copied),
    ]
    return Judgement(checks, rules, copied)


def _learn_rules(measured: GateMeasurements) -> StyleRules:
    replies = measured.learnt_replies or [row.reply for row in measured.rows]
    return learn_rules(replies, [row.answers["base"] for row in measured.rows])


def _judge_style(measured: GateMeasurements, rules: StyleRules, base: str) -> list[Check]:
    if not measured.judges_style:
        note = "The release has no adapter, so that its style is the base model's."
        return [Check("style", "style", "style", note=note)]
    scored = [row for row in measured.rows if row.likelihoods]
    gains = [_gain(row, 0) for row in scored]
    controls = [_gain(row, 1) for row in scored]
    zeros = [0.0] * len(scored)
    answers = _judge_answers(measured, rules, base)
    return [
        _decide(
            *("style.likelihood", "style", "gain of the replies' log-probability per token", gains, zeros, base),
            bound="above 0 at the interval's lower end",
            holds=lambda one: one.low > 0,
        ),
        _decide(
            *("style.control", "style", "the same beyond its gain on neutral text", gains, controls, "neutral text"),
            bound="above 0 at the interval's lower end",
            holds=lambda one: one.low > 0,
        ),
        *answers,
    ]


def _judge_answers(measured: GateMeasurements, rules: StyleRules, base: str) -> list[Check]:
    """Compare what is written: it must not be less in the style than the base's, whatever likelihoods say."""
    rows = measured.rows
    bound, checks = "not below the base beyond the interval", list[Check]()
    if len(rows) >= LEAST_ROWS:
        answers = {name: [row.answers[name] for row in rows] for name in ("candidate", "base")}
        voices = score_voices([row.reply for row in rows], answers["base"], answers)
        checks.append(
            _decide(
                *("style.voice", "style", "probability of the tenant's voice, by character n-grams"),
                *(voices["candidate"], voices["base"], base),
                bound=bound,
                holds=lambda one: one.high >= 0,
            )
        )
    if rules.rules:
        shares = {name: [rules.score(row.answers[name]) for row in rows] for name in ("candidate", "base")}
        checks.append(
            _decide(
                *("style.rules", "style", "share of the learnt rules kept", shares["candidate"], shares["base"], base),
                bound=bound,
                holds=lambda one: one.high >= 0,
            )
        )
    return checks


def _gain(row: RowMeasurement, which: int) -> float:
    return row.likelihoods["candidate"][which].per_token - row.likelihoods["base"][which].per_token


def _judge_faithfulness(measured: GateMeasurements, thresholds: Thresholds, against: str) -> list[Check]:
    if not measured.judges_faithfulness:
        note = "The release searches for no documents, so that there is nothing to be faithful to."
        return [Check("faithfulness", "faithfulness", "faithfulness to passages", note=note)]
    pairs = [
        (row.faithfulness["candidate"], row.faithfulness[measured.faithful_baseline])
        for row in measured.rows
        if row.faithfulness
    ]
    whole = _decide(
        *("faithfulness", "faithfulness", "faithfulness to passages"),
        *([one.total for one, _ in pairs], [other.total for _, other in pairs], against),
        bound=_describe_margin(thresholds.margin),
        holds=lambda one: one.low >= -thresholds.margin,
    )
    parts: list[Check] = []
    for name, (label, take) in _PARTS.items():
        both = [(a, b) for one, other in pairs if (a := take(one)) is not None and (b := take(other)) is not None]
        parts.append(_show(f"faithfulness.{name}", "faithfulness", label, both, against))
    return [whole, *parts]


def _judge_general(measured: GateMeasurements, thresholds: Thresholds, against: str) -> list[Check]:
    def pair(kind: str | None) -> list[tuple[float, float]]:
        return [
            (float(one.passed["candidate"]), float(one.passed.get("current", one.passed["base"])))
            for one in measured.suite
            if kind is None or one.kind == kind
        ]

    both = pair(None)
    neutral = [(one.per_token["candidate"], _take_other(one.per_token)) for one in measured.neutral]
    return [
        _decide(
            *("general", "general", f"prompts of the base suite, of {measured.suite_prompts} that the base was asked"),
            *([one for one, _ in both], [other for _, other in both], against),
            bound=_describe_margin(thresholds.margin),
            holds=lambda one: one.low >= -thresholds.margin,
        ),
        _show("general.instructions", "general", "instructions followed", pair("instructions"), against),
        _show("general.refusals", "general", "refusals kept", pair("refusals"), against),
        _decide(
            *("general.neutral", "general", "log-probability of neutral text per token"),
            *([one for one, _ in neutral], [other for _, other in neutral], against),
            bound=f"at least {-thresholds.neutral_margin:g} at the interval's lower end",
            holds=lambda one: one.low >= -thresholds.neutral_margin,
        ),
    ]


def _judge_memory(measured: GateMeasurements, copied: CopiedRun) -> list[Check]:
    checks = [
        Check("memorised.copied", "memorised", "longest run of words of a training reply", note=_describe(copied))
    ]
    if measured.canaries:
        answers = [row.answers["candidate"] for row in measured.rows] + measured.canary_answers
        told = [canary for canary in measured.canaries if any(canary in answer for answer in answers)]
        checks.append(
            Check(
                *("memorised.canaries", "memorised", "planted texts that an answer has"),
                bound="none",
                passed=not told,
                note=f"{len(told)} of {len(measured.canaries)}, in {len(answers)} answers.",
            )
        )
    return checks


def _find_copied(measured: GateMeasurements) -> CopiedRun:
    texts = LearntTexts(measured.learnt_replies)
    return max(
        (texts.find_longest(row.answers["candidate"]) for row in measured.rows),
        key=lambda run: run.words,
        default=CopiedRun(0, ""),
    )


def _describe(copied: CopiedRun) -> str:
    return f"{copied.words} words: {copied.text}" if copied.words else "None of four words or more."


def _decide(
    name: str,
    part: Part,
    label: str,
    scores: Sequence[float],
    others: Sequence[float],
    against: str,
    *,
    bound: str,
    holds: Callable[[Estimate], bool],
) -> Check:
    """Make a check that decides; too few scores can't show that its bound holds, and fail it."""
    if len(scores) < LEAST_ROWS:
        note = f"{len(scores)} rows or prompts can tell, and {LEAST_ROWS} are the fewest that decide."
        return Check(name, part, label, against=against, bound=bound, passed=False, note=note)
    difference = mean_difference(scores, others)
    passed = holds(difference)
    note = "" if passed or difference.high < 0 else "It isn't shown to hold: more rows make the interval narrower."
    return Check(name, part, label, difference, mean(scores), mean(others), against, bound, passed, note)


def _show(name: str, part: Part, label: str, pairs: Sequence[tuple[float, float]], against: str) -> Check:
    """Make a figure that doesn't decide."""
    if not pairs:
        return Check(name, part, label, against=against, note="No row can tell.")
    scores, others = [one for one, _ in pairs], [other for _, other in pairs]
    return Check(name, part, label, mean_difference(scores, others), mean(scores), mean(others), against)


def _describe_margin(margin: float) -> str:
    return f"at least {-margin:g} at the interval's lower end"


def _take_other(scores: dict[str, float]) -> float:
    return next(score for name, score in scores.items() if name != "candidate")
