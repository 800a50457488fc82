"""The right words for five made tenants, over seeds and behaviours of the base."""

import pytest

from gateway.advice.scores import score_arms
from gateway.advice.verdict import Verdict, decide
from tests.gateway.advice.made_tenants import Kind, make_tenant
from tests.gateway.advice.sweep import measure

ADAPTERS: dict[Kind, set[str]] = {
    "style": {"adapter"},
    "facts": {"facts"},
    "both": {"adapter+facts"},
    "bounded": {"few-shot"},
    "stale": {"few-shot+facts", "guide+facts"},
}
SEEDS = (11, 12, 13)


def judge(kind: Kind, seed: int, *, adapter: bool, edited: bool = False) -> Verdict:
    return decide(score_arms(*measure(make_tenant(kind, seed, rows=80), adapter=adapter, edited=edited)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_simplest_arm_that_none_beats_is_chosen(kind: Kind, seed: int) -> None:
    verdict = judge(kind, seed, adapter=True, edited=kind == "stale")
    assert verdict.arm.name in ADAPTERS[kind]
    assert verdict.gains_facts == (kind in ("facts", "both", "stale"))
    assert verdict.needs_style == (kind != "facts")
    assert verdict.recites == (kind == "stale")


@pytest.mark.parametrize(("kind", "trains"), [("style", True), ("both", True), ("facts", False), ("bounded", False)])
def test_without_an_adapter_a_training_is_proposed_where_a_style_is_missing(kind: Kind, trains: bool) -> None:
    verdict = judge(kind, SEEDS[0], adapter=False)
    assert verdict.arm.style != "adapter"
    assert verdict.leaves_style == trains


def test_facts_that_are_true_still_are_no_reason_against_an_adapter_but_for_documents() -> None:
    verdict = judge("stale", SEEDS[1], adapter=True)
    assert not verdict.recites
    assert verdict.arm.name == "adapter+facts"
