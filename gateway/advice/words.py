"""The words of an advice: what to use, what not, and what to do next, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.advice.arms import LADDER, Arm
from gateway.advice.recommendation import WORTH_TRAINING, ArmDifference, Recommendation
from gateway.advice.report import ArmFigures
from gateway.advice.row_facts import ChangedFact, FactsLook
from gateway.counts import format_count
from gateway.evaluation.estimate import Estimate
from gateway.gates.bounds import LEAST_ROWS

__all__ = ["Words", "write_words"]

_MOST_NAMED = 5
_FEW_FACTS = 0.05


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of the advice."""

    use: list[str]
    avoid: list[str]
    next: list[str]


@dataclass(frozen=True, slots=True)
class _Case:
    recommendation: Recommendation
    figures: Mapping[str, ArmFigures]
    look: FactsLook
    changed: Sequence[ChangedFact]
    training: Mapping[str, Any]
    adapter: str | None
    prompt: str | None
    unknown: Sequence[str]
    has_documents: bool
    bounded: bool

    def make_label(self, arm: Arm) -> str:
        return self.figures[arm.name].label


def write_words(
    recommendation: Recommendation,
    figures: Sequence[ArmFigures],
    look: FactsLook,
    changed_facts: Sequence[ChangedFact],
    training: Mapping[str, Any],
    *,
    adapter: str | None,
    prompt: str | None,
    unknown: Sequence[str],
    has_documents: bool,
    bounded: bool,
) -> Words:
    """Write the sentences; `training` is the estimate of a training, `adapter` and `prompt` were measured.

    `unknown` are those of the adapter's chain whose rows aren't known.
    """
    by_name = {one.name: one for one in figures}
    case = _Case(
        recommendation, by_name, look, changed_facts, training, adapter, prompt, unknown, has_documents, bounded
    )
    return Words(
        use=[_name_choice(case), *_explain_style(case), *_explain_facts(case)],
        avoid=[*_warn_of_facts(case), *_warn_of_changed(case), *_leave_out_arms(case)],
        next=[*_propose_training(case), *_propose_documents(case), *_propose_rows(case), *_compare_costs(case)],
    )


def _name_choice(case: _Case) -> str:
    arm = case.recommendation.arm
    if arm.style == "none" and not arm.facts:
        return "Use the base model as it is: nothing that was tried is better beyond what so many rows can show."
    if arm.style == "none":
        return "Use your documents: let answers come from passages. Nothing has to be done for the style."
    prompt = f"your prompt {case.prompt}" if case.prompt else "your system text"
    choice = {
        "prompt": prompt,
        "guide": f"the style guide in {prompt}",
        "few-shot": f"three examples in the prompt{f', with {prompt}' if case.prompt else ''}",
        "adapter": f"the style adapter {case.adapter}",
    }[arm.style]
    return f"Use {choice}, together with your documents." if arm.facts else f"Use {choice}."


def _explain_style(case: _Case) -> list[str]:
    recommendation = case.recommendation
    base, proposal = case.figures[Arm("none", recommendation.arm.facts).name], case.figures[recommendation.arm.name]
    if not recommendation.needs_style:
        gap = recommendation.style_gap
        return [] if gap is None else [f"Style: your replies aren't told from the base model's ({_show(gap)} more)."]
    if case.bounded and base.task is not None and proposal.task is not None:
        return [
            f"Task: replies are a few that occur again and again. {_percent(proposal.task.value)} of the answers are "
            f"the very reply, and {_percent(base.task.value)} of the base model's."
        ]
    if base.style is None or proposal.style is None or recommendation.arm.style == "none":
        return []
    return [f"Style: {proposal.style.value:.2f} of 1, where {base.label} has {base.style.value:.2f}."]


def _explain_facts(case: _Case) -> list[str]:
    recommendation, look = case.recommendation, case.look
    base, proposal = case.figures["base"], case.figures[recommendation.arm.name]
    if not look.with_facts:
        return ["Facts: no reply has a value that its conversation hasn't."]
    if not recommendation.gains_facts:
        return []
    if recommendation.arm.facts and proposal.facts is not None and base.facts is not None:
        return [
            f"Facts: with your documents {_percent(proposal.facts.value)} of the values in replies are stated rightly, "
            f"and {_percent(base.facts.value)} without."
        ]
    return ["Facts: documents would help the base model, and add nothing to what the prompt states already."]


def _warn_of_facts(case: _Case) -> list[str]:
    look = case.look
    sentences: list[str] = []
    if look.indexed or look.changed:
        pace = f"change {look.pace} and sit" if look.pace else "sit"
        sentences.append(f"Facts {pace} in {_percent(look.share)} of replies: don't train them, index them.")
        if not look.pace:
            days = f"{look.days_followed:.0f} days" if look.days_followed >= 1 else "less than a day"
            sentences.append(f"How often they change isn't known: in {days} no document has had a second version.")
    elif look.share > _FEW_FACTS and not case.has_documents:
        sentences.append(
            f"Facts sit in {_percent(look.share)} of replies: don't train them. Without documents nobody can tell "
            "which of them are true still."
        )
    if look.nowhere and case.has_documents:
        sentences.append(
            f"{format_count(look.nowhere, 'value')} of replies can be had from no document: an adapter that learns "
            "such makes some up. Add the documents, or leave those rows out ('braid styles check --store' names them)."
        )
    return sentences


def _warn_of_changed(case: _Case) -> list[str]:
    sentences: list[str] = []
    stale = [one for one in case.changed if one.learnt or one.recited]
    if stale:
        recited = sum(one.recited for one in stale)
        recitals = f" It states them in {format_count(recited, 'answer')}." if recited else ""
        sentences.append(
            f"Don't use the adapter {case.adapter} as it is: it has learnt {format_count(len(stale), 'value')} that "
            "documents have "
            f"changed since: {_name_facts(stale)}.{recitals}"
        )
    others = [one for one in case.changed if one not in stale]
    if others:
        sentences.append(
            f"Don't train on these rows as they are: documents have changed {format_count(len(others), 'value')} of "
            "replies since: "
            f"{_name_facts(others)}."
        )
    return sentences


def _name_facts(facts: Sequence[ChangedFact]) -> str:
    names = [
        f"{one.text!r} ({one.key}, {f'version {one.stated}, now {one.version}' if one.version else 'deleted'})"
        for one in facts[:_MOST_NAMED]
    ]
    return ", ".join(names) + (f" and {len(facts) - _MOST_NAMED} more" if len(facts) > _MOST_NAMED else "")


def _leave_out_arms(case: _Case) -> list[str]:
    """Say of each way to a style that wasn't chosen why, if it was held against another one."""
    recommendation = case.recommendation
    sentences: list[str] = []
    if recommendation.recites and not any(one.learnt or one.recited for one in case.changed):
        sentences.append("Don't use the style adapter as it is: its answers state values that documents have changed.")
    if case.unknown:
        sentences.append(
            f"The style adapter can't be recommended from these rows: what {' and '.join(case.unknown)} learnt isn't "
            "known (imported, or the training file is gone), so that it may have learnt the rows that it was asked. "
            "Put its training file back, or look at how it answers new questions."
        )
    if not recommendation.needs_style:
        if case.adapter is not None:
            sentences.append("The style adapter isn't needed: there is no style that the base model lacks.")
        return sentences
    for style in LADDER[LADDER.index(recommendation.arm.style) + 1 :]:
        arm = Arm(style, recommendation.arm.facts)
        comparisons = [
            one for one in recommendation.comparisons if (one.arm, one.against) == (arm.name, recommendation.arm.name)
        ]
        if comparisons:
            sentences.append(_explain_loss(case.make_label(arm), case.make_label(recommendation.arm), comparisons))
    return sentences


def _explain_loss(label: str, other: str, comparisons: Sequence[ArmDifference]) -> str:
    worse = [one for one in comparisons if one.outcome == "worse"]
    if worse:
        losses = ", ".join(f"{one.measure} {_show(one.difference)}" for one in worse)
        return f"Not {label}: it loses against {other} ({losses})."
    figures = ", ".join(
        f"{one.measure} {_show(one.difference)}" for one in comparisons if one.measure in ("style", "task")
    )
    return f"Not {label}: it isn't better than {other} beyond noise ({figures})."


def _propose_training(case: _Case) -> list[str]:
    recommendation, summary = case.recommendation, case.training["summary"]
    label = case.make_label(recommendation.arm)
    if any(one.learnt or one.recited for one in case.changed) or recommendation.recites:
        return [
            "Train the adapter again on rows whose facts come from their passages ('braid styles rewrite' gives them), "
            f"without those that are stale. A training takes: {summary}."
        ]
    if case.adapter is not None or not recommendation.needs_style or recommendation.missing is None:
        return []
    lack = (
        f"{_percent(recommendation.missing.value)} of the replies"
        if case.bounded
        else f"{recommendation.missing.value:.2f} of the style"
    )
    if recommendation.leaves_style:
        return [
            f"With {label} {lack} is missing still (at least {recommendation.missing.low:.2f}): training an adapter "
            f"is the next step. It takes: {summary}. Then ask for advice again with --adapter."
        ]
    return [f"No training is needed: with {label} hardly anything is missing ({lack}). It takes: {summary}."]


def _propose_documents(case: _Case) -> list[str]:
    recommendation, look = case.recommendation, case.look
    if not case.has_documents and look.share > _FEW_FACTS:
        return [f"Give the documents (--docs FOLDER): {_percent(look.share)} of replies hold facts."]
    if case.has_documents and look.indexed and not recommendation.gains_facts and "facts" in case.figures:
        with_facts = case.figures["facts"].facts
        if with_facts is None or with_facts.n < LEAST_ROWS:
            count = 0 if with_facts is None else with_facts.n
            return [
                f"Of the replies that were asked {count} hold a fact, and {LEAST_ROWS} are the fewest that tell "
                "whether documents help: ask more rows."
            ]
        return [
            "The documents have values of these replies, and answers with passages don't state them more often beyond "
            "noise: look at what is found ('braid eval retrieval'), or ask more rows."
        ]
    return []


def _propose_rows(case: _Case) -> list[str]:
    """Name dearer ways that look better, and aren't shown to be."""
    recommendation = case.recommendation
    doubtful = [
        one
        for one in recommendation.comparisons
        if one.against == recommendation.arm.name
        and one.measure in ("style", "task")
        and one.outcome == "no difference"
    ]
    names = [one.arm for one in doubtful if one.difference.value > WORTH_TRAINING]
    if not names:
        return []
    rows = doubtful[0].difference.n
    return [f"More conversations may show that {' or '.join(names)} is better: {rows} are too few to tell."]


def _compare_costs(case: _Case) -> list[str]:
    """Say after how many requests an adapter would have paid for itself against the arm that is used."""
    arm = case.recommendation.arm
    proposal = case.figures[arm.name]
    if arm.style != "adapter":
        if proposal.break_even is None:
            return []
        return [
            f"By cost alone an adapter's shorter prompt makes up for its training after about {proposal.break_even:,} "
            "requests, as far as the engine computes every token of the longer one."
        ]
    longer = [one for style in LADDER[1:-1] if (one := case.figures.get(Arm(style, arm.facts).name)) is not None]
    return [
        f"Its training has made up for the longer prompt of {one.label} after about {one.break_even:,} requests."
        for one in longer
        if one.break_even is not None
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _show(estimate: Estimate) -> str:
    return f"{estimate.value:+.2f}, {estimate.low:+.2f} to {estimate.high:+.2f}"
