"""The checks of style: a gain that others' replies don't have, likeness to the tenant's own, and no loss of style."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.evaluation.estimate import estimate_mean_difference
from gateway.evaluation.style import StyleRules
from gateway.evaluation.voice_classifier import score_likeness, score_voices
from gateway.gates.bounds import LEAST_ROWS, Bound
from gateway.gates.checks import Check, Thresholds, decide, show
from gateway.gates.measurements import GateMeasurements, RowMeasurement

__all__ = ["judge_likeness", "judge_style"]

_GAIN = Bound(0.0, above=True)
_VOICE = "probability of the tenant's voice, by character n-grams"
_RULES = "share of the learnt rules kept"


def judge_style(
    measurements: GateMeasurements, rules: StyleRules, thresholds: Thresholds, against: str, base: str
) -> list[Check]:
    """Hold the candidate's style against the base's, and against the current release's where that has an adapter."""
    if not measurements.judges_style and not measurements.compares_style:
        note = "The release has no adapter, so that its style is the base model's."
        return [Check("style", "style", "style", note=note)]
    voices, shares = _score_answers(measurements, rules)
    checks: list[Check] = []
    if measurements.judges_style:
        checks += _judge_gain(measurements, base)
        checks += _compare_answers(voices, shares, "base", "", base, Bound(0.0, "high"))
        checks += judge_likeness(measurements.rows)
    if measurements.compares_style:
        bound = Bound(-thresholds.margin, "high")
        checks += _compare_likelihood(measurements, against, bound)
        checks += _compare_answers(voices, shares, "current", "_kept", against, bound)
    return checks


def _judge_gain(measurements: GateMeasurements, base: str) -> list[Check]:
    rows = [row for row in measurements.rows if row.controls]
    gains = [row.likelihoods["candidate"].per_token - row.likelihoods["base"].per_token for row in rows]
    controls = [row.controls["candidate"].per_token - row.controls["base"].per_token for row in rows]
    label, other = "gain of the replies' log-probability per token", "made-up tenants' replies"
    return [
        decide("style.likelihood", "style", label, gains, [0.0] * len(rows), base, _GAIN),
        decide("style.control", "style", "the same beyond its gain on others' replies", gains, controls, other, _GAIN),
    ]


def judge_likeness(rows: Sequence[RowMeasurement]) -> list[Check]:
    """Judge whether the answers are nearer to the tenant's replies than to the base's answers; few rows tell nothing.

    To be better than the base is no standard: where that rambles, whatever is short is, in any voice.
    """
    if len(rows) < LEAST_ROWS:
        return []
    own = [row.reply for row in rows]
    answers = {name: [row.answers[name] for row in rows] for name in ("candidate", "base")}
    likeness = score_likeness(own, {**answers, "own": own})
    halfway = [(one + other) / 2 for one, other in zip(likeness["own"], likeness["base"], strict=True)]
    name, label = "style.likeness", "likeness to the tenant's other replies, by character n-grams"
    against = "halfway from the base's answers to the tenant's replies"
    if estimate_mean_difference(likeness["own"], likeness["base"]).low <= 0:
        figure = show(name, "style", label, list(zip(likeness["candidate"], halfway, strict=True)), against)
        return [replace(figure, note="The tenant's own replies don't stand out from the base's answers by it.")]
    return [decide(name, "style", label, likeness["candidate"], halfway, against, Bound(0.0, "high"))]


def _compare_likelihood(measurements: GateMeasurements, against: str, bound: Bound) -> list[Check]:
    """Compare how likely the replies are: an adapter with half of the style that serves is still above the base."""
    likelihoods = [row.likelihoods for row in measurements.rows if "current" in row.likelihoods]
    own, others = ([one[name].per_token for one in likelihoods] for name in ("candidate", "current"))
    label = "log-probability of the replies per token"
    return [decide("style.likelihood_kept", "style", label, own, others, against, bound)]


def _score_answers(
    measurements: GateMeasurements, rules: StyleRules
) -> tuple[Mapping[str, Sequence[float]], Mapping[str, Sequence[float]]]:
    """Score what is written, whatever likelihoods say: by contestant, the voice and the rules."""
    rows = measurements.rows
    names = ["candidate", "base", *(["current"] if measurements.compares_style else [])]
    answers = {name: [row.answers[name] for row in rows] for name in names}
    enough = len(rows) >= LEAST_ROWS
    voices = score_voices([row.reply for row in rows], answers["base"], answers) if enough else {}
    shares = {name: [rules.score(text) for text in texts] for name, texts in answers.items()} if rules.rules else {}
    return voices, shares


def _compare_answers(
    voices: Mapping[str, Sequence[float]],
    shares: Mapping[str, Sequence[float]],
    other: str,
    suffix: str,
    against: str,
    bound: Bound,
) -> list[Check]:
    figures = (("voice", _VOICE, voices), ("rules", _RULES, shares))
    return [
        decide(f"style.{name}{suffix}", "style", label, scores["candidate"], scores[other], against, bound)
        for name, label, scores in figures
        if scores
    ]
