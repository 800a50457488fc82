"""Looks at the base suite: a gate that looks often passes no more by luck than one that looks once."""

import random
from collections.abc import Iterator

import pytest

from gateway.evaluation.base_suite import FIRST_PROMPTS, MOST_PROMPTS
from gateway.gates.checks import Check, Thresholds
from gateway.gates.judge import judge_suite
from gateway.gates.looks import is_decided, plan_looks
from gateway.gates.measurements import SuiteMeasurement

BASE_PASSES = 0.55
"""The share of the suite that the packaged model passes."""


@pytest.mark.parametrize(
    ("most", "prompts"),
    [
        (FIRST_PROMPTS, [196]),
        (300, [300]),
        (400, [196, 400]),
        (1500, [196, 1500]),
        (MOST_PROMPTS, [196, 784, 3000]),
        (10 * MOST_PROMPTS, [196, 784, 3000]),
    ],
)
def test_looks_share_the_error_of_one(most: int, prompts: list[int]) -> None:
    looks = plan_looks(most, MOST_PROMPTS)
    assert [look.prompts for look in looks] == prompts
    assert sum(0.05 / look.comparisons for look in looks) == pytest.approx(0.05)
    assert {look.most for look in looks} == {prompts[-1]}


def test_the_way_out_is_more_prompts_and_only_then_a_forced_rollout() -> None:
    assert "general_prompts a gate asks up to 3,000" in plan_looks(FIRST_PROMPTS, MOST_PROMPTS)[0].remedy
    assert "The suite has no more" in plan_looks(MOST_PROMPTS, MOST_PROMPTS)[-1].remedy


def test_what_is_worse_anywhere_or_undecided_nowhere_is_decided() -> None:
    def say(*outcomes: str | None) -> bool:
        return is_decided(Check("general", "general", "", outcome=one) for one in outcomes)  # pyright: ignore[reportArgumentType]

    assert say("holds", None)
    assert say("undecided", "worse")
    assert not say("holds", "undecided")


def answer(source: random.Random, otherwise: float, worse: float) -> Iterator[SuiteMeasurement]:
    """Answer as the base does but for a share of the prompts, of which some more are lost than won."""
    lost, won = (otherwise + worse) / 2, (otherwise - worse) / 2
    for number in range(MOST_PROMPTS):
        base = source.random() < BASE_PASSES
        flips = source.random() < (lost / BASE_PASSES if base else won / (1 - BASE_PASSES))
        kind = "refusals" if number % 7 == 0 else "instructions"
        yield SuiteMeasurement(kind, "", {"base": base, "candidate": base != flips}, "")


def run_gate(source: random.Random, otherwise: float, worse: float = 0.0) -> tuple[bool, int]:
    """Return whether a candidate passes, and how many prompts were asked."""
    suite = list(answer(source, otherwise, worse))
    for look in plan_looks(MOST_PROMPTS, MOST_PROMPTS):
        checks = judge_suite(suite[: look.prompts], None, Thresholds(), "base", look)
        if is_decided(checks):
            return all(check.passed is not False for check in checks), look.prompts
    return False, MOST_PROMPTS


@pytest.mark.parametrize(("otherwise", "least"), [(0.02, 11), (0.05, 11), (0.1, 9)])
def test_harmless_candidates_pass_by_all_prompts_that_few_prompts_block(otherwise: float, least: int) -> None:
    source = random.Random(7)
    gates = [run_gate(source, otherwise) for _ in range(12)]
    assert sum(passed for passed, _ in gates) >= least
    alone = plan_looks(FIRST_PROMPTS, MOST_PROMPTS)[0]
    few = [judge_suite(list(answer(source, otherwise, 0))[:196], None, Thresholds(), "base", alone) for _ in range(12)]
    assert sum(checks[0].passed is True for checks in few) < least


@pytest.mark.parametrize("otherwise", [0.05, 0.1, 0.2])
def test_a_candidate_that_is_four_points_worse_does_not_pass_however_often_it_is_looked_at(otherwise: float) -> None:
    source = random.Random(7)
    assert not any(passed for passed, _ in (run_gate(source, otherwise, 0.04) for _ in range(10)))


def test_a_candidate_that_forgets_is_told_by_the_first_prompts() -> None:
    source = random.Random(7)
    assert {run_gate(source, 0.3, 0.25) for _ in range(10)} == {(False, FIRST_PROMPTS)}
