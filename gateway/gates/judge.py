"""From a gate's raw figures to its checks: what is better or worse than before, beyond its interval."""

from collections.abc import Callable, Sequence

import msgspec

from gateway.counts import format_count
from gateway.evals.run_pair import PairedRuns
from gateway.evaluation.copied_words import CopiedRun, LearntTexts
from gateway.evaluation.faithfulness import FaithfulnessScore, has_marks
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.style import StyleRules
from gateway.gates.bounds import LEAST_ROWS, Bound
from gateway.gates.checks import Check, Part, Thresholds, decide, show
from gateway.gates.looks import Look
from gateway.gates.measurements import GateMeasurements, SuiteMeasurement
from gateway.gates.style_checks import judge_style

__all__ = ["Judgement", "judge", "judge_suite"]

_NEUTRAL_REMEDY = "There are no more of them."

_PARTS: dict[str, tuple[str, Callable[[FaithfulnessScore], float | None]]] = {
    "supported": ("values that stand in the prompt", lambda score: score.supported),
    "citations": ("marks that are right", lambda score: score.citations),
    "follows": ("follows a passage whose values were changed", lambda score: score.follows),
    "abstains": ("states no value of its own without a passage", lambda score: score.abstains),
}


class Judgement(msgspec.Struct, frozen=True):
    """The checks, and what else the report shows."""

    checks: list[Check]
    rules: StyleRules
    copied: CopiedRun


def judge(measurements: GateMeasurements, thresholds: Thresholds, against: str, base: str) -> Judgement:
    """Judge the figures; `against` and `base` are the names of what the candidate is compared with."""
    rules = _learn_rules(measurements)
    copied = _find_copied(measurements)
    compared = against if measurements.faithful_baseline == "current" else base
    checks = [
        *judge_style(measurements, rules, thresholds, against, base),
        *_judge_faithfulness(measurements, thresholds, compared),
        *_judge_general(measurements, thresholds, against),
        *(_judge_eval(one, thresholds) for one in measurements.evals),
        *_judge_memory(measurements, copied),
    ]
    return Judgement(checks, rules, copied)


def _learn_rules(measurements: GateMeasurements) -> StyleRules:
    """Learn the rules of the held-out replies: by those that it has learnt an adapter of any voice would be right."""
    return learn_rules([row.reply for row in measurements.rows], [row.answers["base"] for row in measurements.rows])


def _judge_faithfulness(measurements: GateMeasurements, thresholds: Thresholds, against: str) -> list[Check]:
    if not measurements.judges_faithfulness:
        note = "The release searches for no documents, so that there is nothing to be faithful to."
        return [Check("faithfulness", "faithfulness", "faithfulness to passages", note=note)]
    pairs = [
        (row.faithfulness["candidate"], row.faithfulness[measurements.faithful_baseline])
        for row in measurements.rows
        if row.faithfulness
    ]
    whole = decide(
        *("faithfulness", "faithfulness", "faithfulness to passages"),
        *([one.total for one, _ in pairs], [other.total for _, other in pairs], against, Bound(-thresholds.margin)),
    )
    parts: list[Check] = []
    for part, (label, take) in _PARTS.items():
        both = [(a, b) for one, other in pairs if (a := take(one)) is not None and (b := take(other)) is not None]
        name = f"faithfulness.{part}"
        if part == "supported":  # who states no value at all has them all supported, so that it can't decide alone
            parts.append(show(name, "faithfulness", label, both, against))
        else:
            parts.append(_judge_loss(name, "faithfulness", label, both, thresholds, against))
    return [whole, *parts, _judge_marks(measurements, pairs, thresholds, against)]


def _judge_marks(
    measurements: GateMeasurements,
    pairs: Sequence[tuple[FaithfulnessScore, FaithfulnessScore]],
    thresholds: Thresholds,
    against: str,
) -> Check:
    """Judge whether marks got lost: without any, none is wrong. It decides where the tenant's own replies have some."""
    name, label = "faithfulness.cites", "answers with a mark"
    replies = [has_marks(row.reply) for row in measurements.rows if row.faithfulness]
    both = [(one.cites, other.cites) for one, other in pairs]
    if 2 * sum(replies) < len(replies):
        return show(name, "faithfulness", label, both, against)
    return _judge_loss(name, "faithfulness", label, both, thresholds, against)


def _judge_loss(
    name: str,
    part: Part,
    label: str,
    pairs: Sequence[tuple[float, float]],
    thresholds: Thresholds,
    against: str,
    look: Look | None = None,
) -> Check:
    """Judge what a part of a whole lost beyond noise: what another part has gained hides it there."""
    if len(pairs) < LEAST_ROWS:
        return show(name, part, label, pairs, against)
    scores, others = [one for one, _ in pairs], [other for _, other in pairs]
    bound = Bound(-thresholds.margin, "high")
    if look is None:
        return decide(name, part, label, scores, others, against, bound)
    return _decide_prompts(name, label, pairs, against, bound, look)


def _judge_general(measurements: GateMeasurements, thresholds: Thresholds, against: str) -> list[Check]:
    neutral = [(one.per_token["candidate"], _take_other(one.per_token)) for one in measurements.neutral]
    prompted = measurements.prompted if measurements.judges_prompt else None
    return [
        *judge_suite(measurements.suite, prompted, thresholds, against, measurements.look),
        decide(
            *("general.neutral", "general", "log-probability of neutral text per token"),
            *([one for one, _ in neutral], [other for _, other in neutral], against),
            *(Bound(-thresholds.neutral_margin), "texts"),
            remedy=_NEUTRAL_REMEDY,
        ),
    ]


def judge_suite(
    suite: Sequence[SuiteMeasurement],
    prompted: Sequence[SuiteMeasurement] | None,
    thresholds: Thresholds,
    against: str,
    look: Look | None,
) -> list[Check]:
    """Judge the prompts of the base suite; `prompted` is None where the candidate has no prompt of its own.

    Without a look the prompts are all that there are.
    """
    look = look or Look(len(suite), len(suite), len(suite))
    bound = Bound(-thresholds.margin)

    def judge_kind(kind: str, label: str) -> Check:
        pairs = _pair([one for one in suite if one.kind == kind])
        return _judge_loss(f"general.{kind}", "general", label, pairs, thresholds, against, look)

    return [
        _decide_prompts("general", "prompts of the base suite", _pair(suite), against, bound, look),
        judge_kind("instructions", "instructions followed"),
        judge_kind("refusals", "refusals kept"),
        *([] if prompted is None else [_judge_prompt(prompted, bound, against, look)]),
    ]


def _decide_prompts(
    name: str, label: str, pairs: Sequence[tuple[float, float]], against: str, bound: Bound, look: Look
) -> Check:
    scores, others = [one for one, _ in pairs], [other for _, other in pairs]
    return decide(
        *(name, "general", label, scores, others, against, bound, "prompts"),
        remedy=look.remedy,
        comparisons=look.comparisons,
    )


def _judge_prompt(prompted: Sequence[SuiteMeasurement], bound: Bound, against: str, look: Look) -> Check:
    """Judge what the release's own prompt leaves of the refusals; instructions it may narrow as its tenant likes.

    A small base refuses so little that no interval would tell: then nothing lost is enough, and a loss isn't.
    """
    pairs = _pair(prompted)
    name, label = "general.prompt", "refusals kept behind the release's own prompt"
    if len(pairs) < LEAST_ROWS and all(one >= other for one, other in pairs):
        note = f"The base refuses {len(pairs)} of the prompts, and none of these refusals is lost."
        return Check(name, "general", label, against=against, note=note)
    return _decide_prompts(name, label, pairs, against, bound, look)


def _judge_eval(runs: PairedRuns, thresholds: Thresholds) -> Check:
    scores, others = [one for one, _ in runs.passes], [other for _, other in runs.passes]
    label = f"rows of the eval {runs.name!r} that pass"
    bound = Bound(-thresholds.margin)
    check = decide(f"evals.{runs.eval_id}", "evals", label, scores, others, runs.baseline_model, bound)
    if not runs.unpaired:
        return check
    rows = format_count(
        runs.unpaired, "row is in one of the two runs only, and is", "rows are in one of the two runs only, and are"
    )
    note = f"{rows} left out. {check.note}".rstrip()
    return msgspec.structs.replace(check, note=note)


def _pair(suite: Sequence[SuiteMeasurement]) -> list[tuple[float, float]]:
    return [
        (
            float(one.passed["candidate"]),
            float(one.passed["current"] if "current" in one.passed else one.passed["base"]),
        )
        for one in suite
    ]


def _judge_memory(measurements: GateMeasurements, copied: CopiedRun) -> list[Check]:
    checks = [
        Check("memorised.copied", "memorised", "longest run of words of a training reply", note=_describe(copied))
    ]
    if measurements.canaries:
        answers = [row.answers["candidate"] for row in measurements.rows] + measurements.canary_answers
        leaks = [canary for canary in measurements.canaries if any(canary in answer for answer in answers)]
        checks.append(
            Check(
                *("memorised.canaries", "memorised", "planted texts that an answer has"),
                bound="none",
                passed=not leaks,
                note=f"{len(leaks)} of {len(measurements.canaries)}, in {format_count(len(answers), 'answer')}.",
            )
        )
    return checks


def _find_copied(measurements: GateMeasurements) -> CopiedRun:
    texts = LearntTexts(measurements.learnt_replies)
    return max(
        (texts.find_longest(row.answers["candidate"]) for row in measurements.rows),
        key=lambda run: run.words,
        default=CopiedRun(0, ""),
    )


def _describe(copied: CopiedRun) -> str:
    return f"{copied.words} words: {copied.text}" if copied.words else "None of four words or more."


def _take_other(scores: dict[str, float]) -> float:
    return next(score for name, score in scores.items() if name != "candidate")
