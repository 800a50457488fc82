"""The right words for five made tenants, over seeds and behaviours of the base."""

import re

import msgspec
import pytest
from msgspec.structs import replace

from gateway.advice.measurements import AdviceMeasurements
from gateway.advice.recommendation import Recommendation, decide
from gateway.advice.scores import score_arms
from tests.gateway.advice.made_tenants import Kind, make_tenant
from tests.gateway.advice.sweep import measure

ADAPTERS: dict[Kind, set[str]] = {
    "style": {"adapter"},
    "facts": {"facts"},
    "both": {"adapter+facts"},
    "bounded": {"few-shot"},
    "stale": {"few-shot+facts", "guide+facts"},  # all but the adapter, which recites
}
SEEDS = (11, 12)


def judge(kind: Kind, seed: int, *, adapter: bool, edited: bool = False) -> Recommendation:
    return decide(score_arms(*measure(make_tenant(kind, seed, rows=160), adapter=adapter, edited=edited)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_simplest_arm_that_none_beats_is_chosen(kind: Kind, seed: int) -> None:
    recommendation = judge(kind, seed, adapter=True, edited=kind == "stale")
    assert recommendation.arm.name in ADAPTERS[kind]
    assert recommendation.gains_facts == (kind in ("facts", "both", "stale"))
    assert recommendation.needs_style == (kind != "facts")
    assert recommendation.recites == (kind == "stale")


@pytest.mark.parametrize(("kind", "trains"), [("style", True), ("both", True), ("facts", False), ("bounded", False)])
def test_without_an_adapter_a_training_is_proposed_where_a_style_is_missing(kind: Kind, trains: bool) -> None:
    recommendation = judge(kind, SEEDS[0], adapter=False)
    assert recommendation.arm.style != "adapter"
    assert recommendation.leaves_style == trains


def test_facts_that_were_trained_count_against_an_adapter_before_documents_change() -> None:
    recommendation = judge("stale", SEEDS[1], adapter=True)
    assert not recommendation.recites
    assert recommendation.arm.style != "adapter"
    losses = {
        one.measure for one in recommendation.comparisons if one.arm == "adapter+facts" and one.outcome == "worse"
    }
    assert losses == {"abstains"}


def test_fewer_rows_than_can_tell_choose_nothing() -> None:
    measured, arms = measure(make_tenant("both", SEEDS[0], rows=18), adapter=True)
    recommendation = decide(score_arms(measured, arms))
    assert (recommendation.arm.name, recommendation.comparisons) == ("base", ())


def rename(measured: AdviceMeasurements) -> AdviceMeasurements:
    """Give every item another name, of two words and in capitals."""
    text = re.sub(
        r"\b([a-z]+)-([a-z]{2})\b", lambda found: f"{found[1][::-1].title()} {found[2].upper()}", encode(measured)
    )
    return msgspec.json.decode(text, type=AdviceMeasurements)


def encode(measured: AdviceMeasurements) -> str:
    return msgspec.json.encode(measured).decode()


@pytest.mark.parametrize("kind", ADAPTERS)
def test_order_names_and_the_same_rows_once_more_change_no_advice(kind: Kind) -> None:
    measured, arms = measure(make_tenant(kind, 1, rows=100), adapter=True, edited=kind == "stale")

    def advise(figures: AdviceMeasurements) -> tuple[object, ...]:
        found = decide(score_arms(figures, arms))
        return found.arm, found.needs_style, found.gains_facts, found.recites, found.leaves_style

    advice = advise(measured)
    assert advise(replace(measured, rows=measured.rows[::-1])) == advice
    again = [replace(one, number=one.number + 1_000) for one in measured.rows]
    assert advise(replace(measured, rows=[*measured.rows, *again])) == advice
    renamed = rename(measured)
    assert encode(renamed) != encode(measured)
    assert advise(renamed) == advice
