"""The verdict of gates on a content: the newest one, but that a looser gate lifts nothing."""

import pytest
from msgspec.structs import replace

from gateway.assistants.gate_block import keep_forced, list_blocked
from gateway.assistants.gate_verdict import GateResult, describe_looseness, settle
from gateway.assistants.release import Stage
from gateway.assistants.schemas import ForcedRollout
from gateway.assistants.tables import ReleaseRow

FAILED = GateResult(False, 1, ("general",), rows=50, canaries=2, evals=("eval_a",), general_prompts=784)
PASSED = GateResult(True, 2, rows=50, canaries=2, evals=("eval_a", "eval_b"), general_prompts=784)


def test_the_newest_counts_where_it_is_as_strict() -> None:
    assert settle([]) is None
    assert settle([FAILED, PASSED]) is PASSED
    assert settle([PASSED, FAILED]) is FAILED
    assert settle([replace(FAILED, margin=0.1), PASSED]) is PASSED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"margin": 0.03}, "a margin of 0.03 where 0.02 is the widest"),
        ({"neutral_margin": 0.3}, "where 0.2 is the widest"),
        ({"rows": 49}, "49 rows instead of at least 50"),
        ({"canaries": 1}, "1 planted text instead of at least 2"),
        ({"general_prompts": 196}, "at most 196 prompts of the base suite instead of 784 or more"),
        ({"evals": ("eval_b",)}, "without runs of the evals eval_a"),
    ],
)
def test_a_looser_one_lifts_nothing_and_says_why(change: dict[str, float], words: str) -> None:
    looser = replace(PASSED, **change)
    assert settle([FAILED, looser]) is FAILED
    assert settle([FAILED, looser, PASSED]) is PASSED
    assert settle([looser]) is looser
    assert words in " ".join(describe_looseness(looser, FAILED))
    # Nor does one that fails put itself in the place of a stricter one, so that less would lift it.
    assert settle([FAILED, replace(FAILED, **change), replace(PASSED, **change)]) is FAILED


def test_a_failed_gate_of_a_stricter_margin_asks_for_that_margin() -> None:
    strict = replace(FAILED, margin=0.0)
    assert settle([strict, PASSED]) is strict
    assert settle([strict, replace(PASSED, margin=0.0)]) == replace(PASSED, margin=0.0)


def test_shares_are_those_of_a_content_whatever_its_numbers_are() -> None:
    releases = [ReleaseRow(number=number, fingerprint=content) for number, content in ((1, "a"), (2, "a"), (3, "b"))]
    verdicts = {"a": FAILED}

    def blocked(*stages: Stage) -> list[int]:
        return [row.number for row in list_blocked(stages, [Stage(1, 50), Stage(3, 50)], releases, verdicts, {})]

    assert blocked(Stage(2, 50), Stage(3, 50)) == []
    assert blocked(Stage(1, 50), Stage(2, 10), Stage(3, 40)) == [1, 2]
    assert blocked(Stage(2, 100)) == [2]
    assert blocked(Stage(3, 100)) == []

    forced = [ForcedRollout(reason="so", key="key_1", releases=[1], at=1)]
    assert [one.releases for one in keep_forced(forced, [Stage(2, 100)], releases)] == [[2]]
    assert keep_forced(forced, [Stage(1, 0), Stage(3, 100)], releases) == []
