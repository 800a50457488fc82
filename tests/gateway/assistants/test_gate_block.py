"""Releases that failed their gates: whose share of the traffic may not grow, and what somebody has to say to do it."""

import time

import pytest

from gateway.adapters.schemas import WrittenRowCount
from gateway.assistants.gate_block import Override, check_results, describe_gate, list_blocked
from gateway.assistants.gate_verdict import GateResult
from gateway.assistants.release import Stage
from gateway.assistants.tables import ReleaseRow
from gateway.errors import Conflict

FAILED = GateResult(passed=False, decided_at=1, failed=("refusals", "style"))
PASSED = GateResult(passed=True, decided_at=1)
LOOSE = GateResult(passed=True, decided_at=1, margin=0.5)
WRITTEN = {"rel_3": WrittenRowCount(rows=40, of=50)}


def release(number: int) -> ReleaseRow:
    return ReleaseRow(id=f"release_{number}", number=number, fingerprint=f"rel_{number}", spec={})


GOOD, BAD, UNKNOWN, OTHER = map(release, (1, 2, 3, 4))
VERDICTS = {"rel_1": PASSED, "rel_2": FAILED, "rel_4": FAILED}


def stages(*weights: tuple[int, int]) -> list[Stage]:
    return [Stage(number, weight) for number, weight in weights]


@pytest.mark.parametrize(
    ("future", "present", "blocked"),
    [
        ([(2, 100)], [], True),
        ([(2, 1), (1, 9_999)], [(1, 100)], True),
        ([(2, 0), (1, 100)], [(1, 100)], False),  # it gets nobody
        ([(2, 50), (1, 50)], [(2, 100)], False),
        ([(2, 50), (1, 50)], [(2, 50), (1, 50)], False),
        ([(2, 1), (1, 1)], [(2, 500), (1, 500)], False),  # other weights, the same share
        ([(2, 51), (1, 49)], [(2, 50), (1, 50)], True),
        ([(2, 50)], [(2, 50), (1, 50)], True),  # the same weight, another share
        ([(2, 10), (2, 20), (1, 70)], [(2, 30), (1, 70)], False),  # in two pieces
        ([(2, 10), (2, 21), (1, 69)], [(2, 30), (1, 70)], True),
        ([(1, 100), (3, 100)], [], False),
    ],
)
def test_a_failed_release_may_keep_its_share_or_lose_some_and_get_no_more(
    future: list[tuple[int, int]], present: list[tuple[int, int]], blocked: bool
) -> None:
    found = list_blocked(stages(*future), stages(*present), [GOOD, BAD, UNKNOWN], VERDICTS, {})
    assert found == ([BAD] if blocked else [])


def test_whoever_promotes_it_is_told_what_it_failed_and_how_to_go_on() -> None:
    with pytest.raises(Conflict) as caught:
        check_results("support", [BAD], VERDICTS, {}, None)
    assert (caught.value.code, caught.value.param) == ("gate_failed", "stages")
    assert "support@2 failed its gate: refusals, style." in caught.value.message
    assert "GET /api/assistants/support/releases/2/gate" in caught.value.message


def test_a_reason_lets_all_of_them_through_and_is_kept_with_who_gave_it() -> None:
    forced = check_results("support", [BAD, OTHER], VERDICTS, {}, Override("It is urgent.", "key_1"))
    assert forced is not None
    assert (forced.reason, forced.key, forced.releases) == ("It is urgent.", "key_1", [2, 4])
    assert abs(forced.at - time.time()) < 60
    assert check_results("support", [], VERDICTS, {}, Override("It is urgent.", "key_1")) is None
    assert check_results("support", [], VERDICTS, {}, None) is None


@pytest.mark.parametrize(
    ("verdict", "future", "present", "blocked"),
    [
        (None, [(3, 100)], [], True),
        (None, [(3, 1), (1, 99)], [(1, 100)], True),
        (None, [(3, 0), (1, 100)], [(1, 100)], False),
        (None, [(3, 50), (1, 50)], [(3, 50), (1, 50)], False),
        (None, [(3, 51), (1, 49)], [(3, 50), (1, 50)], True),
        (FAILED, [(3, 100)], [], True),
        (LOOSE, [(3, 100)], [], True),
        (PASSED, [(3, 100)], [], False),
    ],
)
def test_a_release_that_learnt_written_rows_gets_more_traffic_only_with_a_passed_gate(
    verdict: GateResult | None, future: list[tuple[int, int]], present: list[tuple[int, int]], blocked: bool
) -> None:
    verdicts = VERDICTS if verdict is None else {**VERDICTS, "rel_3": verdict}
    found = list_blocked(stages(*future), stages(*present), [GOOD, UNKNOWN], verdicts, WRITTEN)
    assert found == ([UNKNOWN] if blocked else [])


@pytest.mark.parametrize(
    ("verdict", "words"),
    [(None, "no gate of it has passed"), (LOOSE, "its gate passed with a margin of 0.5 where 0.02 is the widest")],
)
def test_whoever_promotes_it_without_a_gate_is_told_to_ask_for_one(verdict: GateResult | None, words: str) -> None:
    verdicts = VERDICTS if verdict is None else {**VERDICTS, "rel_3": verdict}
    with pytest.raises(Conflict) as caught:
        check_results("support", [UNKNOWN], verdicts, WRITTEN, None)
    assert (caught.value.code, caught.value.param) == ("gate_required", "stages")
    assert f"rows that a model wrote (40 of 50), and {words}. " in caught.value.message
    assert "POST /api/assistants/support/releases/3/gate" in caught.value.message
    forced = check_results("support", [UNKNOWN], verdicts, WRITTEN, Override("It is urgent.", "key_1"))
    assert forced is not None
    assert forced.releases == [3]


def test_a_failed_gate_is_told_before_one_that_is_missing() -> None:
    with pytest.raises(Conflict) as caught:
        check_results("support", [UNKNOWN, BAD], VERDICTS, WRITTEN, None)
    assert caught.value.code == "gate_failed"


def test_a_release_tells_how_its_last_gate_ended() -> None:
    assert [describe_gate(verdict) for verdict in (PASSED, FAILED, None)] == ["passed", "failed", "none"]
