"""Answers scored against what is known to be right, and the figures of many of them."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from gateway.evaluation.answers import Answer, Variant
from gateway.evaluation.estimate import Estimate, estimate_mean, estimate_share
from gateway.evaluation.facts import cites_only, score_facts
from gateway.evaluation.style import StyleRules

__all__ = ["FactQuestion", "ScoredAnswer", "VariantResult", "score_answer", "summarise"]


class FactQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question whose right answer is known.

    Attributes:
        accepted: Spellings of the right value; one of them has to be in the answer. Where the documents have no answer,
            words that say so.
        wrong: Values of near-miss passages; none of them may be in the answer.
        document: The key of the one document that states the fact; "" where none does.
    """

    id: str
    question: str
    accepted: list[str]
    wrong: list[str]
    document: str


class ScoredAnswer(msgspec.Struct, frozen=True):
    """One answer and its scores.

    Attributes:
        group: Whose question it is, such as a tenant.
        variant: The name of the variant it was asked in.
        style: Share of style rules met, 0..1.
        fact: 1 if the right value is stated and no wrong one, else 0.
        cited: Whether it cites the right document and no other; None where nothing was retrieved.
        timed: Whether it was asked while nothing else ran, so that its times mean something.
    """

    group: str
    question: str
    variant: str
    answer: Answer
    style: float
    broken_rules: list[str]
    fact: int
    cited: bool | None
    timed: bool


class VariantResult(msgspec.Struct, frozen=True):
    """One variant's figures.

    Attributes:
        cited: None where nothing was retrieved.
        prompt_tokens: Mean.
        first_token: Median of the timed answers, in seconds; None where none was timed.
        latency: The same, until an answer's end.
        timed: How many answers were timed.
    """

    label: str
    style: Estimate
    facts: Estimate
    cited: Estimate | None
    prompt_tokens: float
    first_token: float | None
    latency: float | None
    timed: int


def score_answer(
    group: str, question: FactQuestion, variant: Variant, answer: Answer, style: StyleRules, *, timed: bool
) -> ScoredAnswer:
    """Score one answer."""
    return ScoredAnswer(
        group=group,
        question=question.question,
        variant=variant.name,
        answer=answer,
        style=style.score(answer.text),
        broken_rules=style.list_broken(answer.text),
        fact=score_facts(answer.text, question.accepted, question.wrong),
        cited=cites_only(answer.cited, question.document) if variant.retrieves else None,
        timed=timed,
    )


def summarise(answers: Iterable[ScoredAnswer], variants: Sequence[Variant]) -> dict[str, VariantResult]:
    """Return the figures of each variant by its name, in the order of `variants`.

    Raises:
        ValueError: A variant has no answers.
    """
    answers = list(answers)
    return {
        variant.name: _summarise([answer for answer in answers if answer.variant == variant.name], variant)
        for variant in variants
    }


def _summarise(answers: Sequence[ScoredAnswer], variant: Variant) -> VariantResult:
    timed = [one.answer for one in answers if one.timed]
    return VariantResult(
        label=variant.label,
        style=estimate_mean([one.style for one in answers]),
        facts=estimate_share([one.fact for one in answers]),
        cited=estimate_share([bool(one.cited) for one in answers]) if variant.retrieves else None,
        prompt_tokens=round(sum(one.answer.prompt_tokens for one in answers) / len(answers), 1),
        first_token=median(answer.first_token for answer in timed) if timed else None,
        latency=median(answer.total for answer in timed) if timed else None,
        timed=len(timed),
    )
