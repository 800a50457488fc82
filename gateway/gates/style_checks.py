"""The checks of style: a gain that other tenants' replies don't have, and no less than the current release has."""

from collections.abc import Mapping, Sequence

from gateway.evaluation.style import StyleRules
from gateway.evaluation.voice_classifier import score_voices
from gateway.gates.bounds import LEAST_ROWS, Bound
from gateway.gates.checks import Check, Thresholds, decide
from gateway.gates.measurements import GateMeasurements

__all__ = ["judge_style"]

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
    if measurements.compares_style:
        bound = Bound(-thresholds.margin, "high")
        checks += _compare_likelihood(measurements, against, bound)
        checks += _compare_answers(voices, shares, "current", "_kept", against, bound)
    return checks


def _judge_gain(measurements: GateMeasurements, base: str) -> list[Check]:
    scored = [row for row in measurements.rows if row.controls]
    gains = [row.likelihoods["candidate"].per_token - row.likelihoods["base"].per_token for row in scored]
    controls = [row.controls["candidate"].per_token - row.controls["base"].per_token for row in scored]
    label, other = "gain of the replies' log-probability per token", "made-up tenants' replies"
    return [
        decide("style.likelihood", "style", label, gains, [0.0] * len(scored), base, _GAIN),
        decide("style.control", "style", "the same beyond its gain on others' replies", gains, controls, other, _GAIN),
    ]


def _compare_likelihood(measurements: GateMeasurements, against: str, bound: Bound) -> list[Check]:
    """Compare how likely the replies are: an adapter with half of the style that serves is still above the base."""
    scored = [row.likelihoods for row in measurements.rows if "current" in row.likelihoods]
    own, others = ([one[name].per_token for one in scored] for name in ("candidate", "current"))
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
