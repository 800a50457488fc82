"""The style part of a gate over many voices: the tenant's own passes, and any other is blocked by style alone."""

import random
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from gateway.demo.tenants import make_tenants
from gateway.gates.checks import Check, Thresholds
from gateway.gates.judge import judge
from tests.gateway.gates.made_voices import BASES, VOICES, MadeFact, draw_facts
from tests.gateway.gates.test_judge import measured, row

CASES = [
    *(("kestrel", "bullets", 10), ("sour", "rambling", 10), ("letter", "assistant", 10), ("chatty", "echo", 10)),
    *(("terse", "rambling", 10), ("steps", "assistant", 10), ("plain", "echo", 10), ("ops", "rambling", 10)),
    *(("kestrel", "rambling", 30), ("signed", "rambling", 30), ("plain", "rambling", 30), ("terse", "echo", 30)),
    *(("near", "rambling", 30), ("mixed", "assistant", 30)),
]
"""Tenants' voices beside bases. A voice without habits, or a base model's own, wants more rows."""
_OTHERS = 3


def judge_style(
    replies: Sequence[str], bases: Sequence[str], answers: Sequence[str], learnt: Sequence[str] = ()
) -> dict[str, Check]:
    """Judge an adapter that makes the tenant's replies likelier, whatever it answers."""
    rows = [
        replace(row(number), reply=reply, answers={"base": base, "candidate": answer})
        for number, (reply, base, answer) in enumerate(zip(replies, bases, answers, strict=True))
    ]
    figures = replace(measured(rows), learnt_replies=list(learnt), judges_faithfulness=False)
    return {check.name: check for check in judge(figures, Thresholds(), "base", "base").checks}


def list_failed(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if check.passed is False]


def write(voice: str, facts: Sequence[MadeFact], seed: int) -> list[str]:
    chance = random.Random(f"{voice} {seed}")
    return [{**VOICES, **BASES}[voice](fact, chance) for fact in facts]


@pytest.mark.parametrize(("voice", "base", "count"), CASES)
def test_a_tenants_own_voice_passes_and_others_are_blocked_by_their_style(voice: str, base: str, count: int) -> None:
    facts = draw_facts(count, random.Random(f"{voice} {count}"))
    replies, bases = write(voice, facts, 1), write(base, facts, 2)
    own = judge_style(replies, bases, write(voice, facts, 3))
    assert list_failed(own) == []
    likeness = own["style.likeness"].difference
    assert likeness is not None
    assert (likeness.low if count == 30 else likeness.value) > 0, "it passes, and not for want of rows"
    # One answer in five as the base says it is still the tenant's voice.
    slips = [base if number % 5 == 0 else text for number, (text, base) in enumerate(zip(replies, bases, strict=True))]
    assert list_failed(judge_style(replies, bases, slips)) == []
    for other in random.Random(f"{voice} {base} {count}").sample(sorted(VOICES.keys() - {voice}), _OTHERS):
        failed = list_failed(judge_style(replies, bases, write(other, facts, 4), learnt=write(other, facts, 5)))
        assert "style.likeness" in failed, other
        assert all(name.startswith("style.") for name in failed)


@pytest.mark.parametrize("tenant", ["kestrel", "harbor"])
@pytest.mark.parametrize("count", [10, 40])
def test_a_tenants_real_replies_are_never_blocked(tenant: str, count: int) -> None:
    """Each row is answered by the reply to another one, as far from it as can be."""
    conversations = next(one for one in make_tenants() if one.name == tenant).list_conversations(2 * count)
    texts = [one.messages[-1].content for one in conversations]
    bases = write("rambling", draw_facts(count, random.Random(tenant)), 1)
    assert list_failed(judge_style(texts[:count], bases, texts[count:])) == []


def test_rules_are_those_of_the_held_out_replies_and_not_of_what_an_adapter_has_learnt() -> None:
    facts = draw_facts(20, random.Random(1))
    wrong, learnt = write("sour", facts, 2), write("sour", draw_facts(80, random.Random(2)), 3)
    rules = judge_style(write("kestrel", facts, 1), write("assistant", facts, 1), wrong, learnt)["style.rules"]
    assert rules.candidate is not None
    assert rules.candidate.value < 0.8, "it keeps all rules of its own rows"


def test_a_voice_that_does_not_stand_out_from_the_base_decides_nothing_by_likeness() -> None:
    facts = draw_facts(20, random.Random(1))
    bases = write("assistant", facts, 1)
    found = judge_style(bases[1:], bases[:-1], write("sour", facts[1:], 2))["style.likeness"]
    assert (found.passed, found.bound) == (None, "")
    assert "don't stand out" in found.note
