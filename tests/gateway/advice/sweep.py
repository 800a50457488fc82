"""Measurements of made tenants without an engine: for many seeds at once."""

import re

from gateway.advice.arms import LADDER, Arm
from gateway.advice.measurements import AdviceMeasurements, ArmAnswer, RowAnswers
from gateway.conversations.findings import RowFact
from gateway.evaluation.values import find_values
from tests.gateway.advice.made_tenants import MadeTenant, Question

__all__ = ["measure"]

_NUMBER = re.compile(r"\d+")


def measure(tenant: MadeTenant, *, adapter: bool, edited: bool = False) -> tuple[AdviceMeasurements, list[Arm]]:
    """Answer the second half of the rows in every arm."""
    documents = tenant.documents(edited=edited)
    facts = (False, True) if tenant.kind != "bounded" else (False,)
    arms = [Arm(style, on) for on in facts for style in LADDER if adapter or style != "adapter"]
    half = len(tenant.rows) // 2
    rows = [
        RowAnswers(
            number=number,
            question=question.text,
            reply=reply,
            facts=_list_facts(number, reply, question, documents, edited=edited),
            passages=1,
            index_epochs={},
            answers={arm.name: _answer(tenant, arm, question, documents) for arm in arms},
        )
        for number, (question, reply) in enumerate(tenant.rows[half:], half + 1)
    ]
    replies = [reply for _, reply in tenant.rows[:half]]
    return AdviceMeasurements(rows, [], replies, documented=len(facts) > 1), arms


def _answer(tenant: MadeTenant, arm: Arm, question: Question, documents: dict[str, str]) -> ArmAnswer:
    passage = documents.get(f"{question.item}.md", "") if arm.facts else None
    text = tenant.answer(arm.style, question, passage)
    supported = _score_support(text, f"{question.text} {passage}")
    without = tenant.answer(arm.style, question, "" if arm.facts else None)
    abstains = _score_support(without, question.text)
    has_fact = question.subject in ("warranty", "price")
    return ArmAnswer(text, 100, 20, 0.1, supported, abstains if has_fact else None)


def _score_support(text: str, source: str) -> float:
    """Tell whether the one value of an answer stands in its prompt, as `score_support` does, in no time."""
    return float(set(_NUMBER.findall(text.replace("[1]", ""))) <= set(_NUMBER.findall(source)))


def _list_facts(
    number: int, reply: str, question: Question, documents: dict[str, str], *, edited: bool
) -> tuple[RowFact, ...]:
    if question.subject not in ("warranty", "price"):
        return ()
    place = "changed" if edited else "index"
    key = f"{question.item}.md"
    return tuple(
        RowFact(number, one.kind, one.text, one.readings, place, "vs", key, key, 2, 1, key, documents[key])
        for one in find_values(reply)
    )
