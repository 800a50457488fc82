"""Every step that an adapter's status may take, and none else."""

import random
from collections.abc import Callable

import pytest

from gateway.adapters import lifecycle
from gateway.adapters.lifecycle import ON_ENGINES, TRANSITIONS, UNDECIDED, AdapterStatus, TransitionForbidden
from gateway.adapters.tables import AdapterRow

MOVES: dict[AdapterStatus, Callable[[AdapterRow], None]] = {
    AdapterStatus.CHECKING: lifecycle.begin_check,
    AdapterStatus.PROBING: lambda row: lifecycle.begin_probe(row, model="ft:base:k:v:0", served_name="k.v.0"),
    AdapterStatus.READY: lifecycle.accept,
    AdapterStatus.OTHER_BASE: lambda row: lifecycle.set_aside(row, "Engines serve another base model."),
    AdapterStatus.REFUSED: lambda row: lifecycle.refuse(row, "It gives other numbers."),
    AdapterStatus.DELETED: lifecycle.withdraw,
}
"""The one function that leads to each state."""
ROADS: dict[AdapterStatus, list[AdapterStatus]] = {
    AdapterStatus.CHECKING: [AdapterStatus.CHECKING],
    AdapterStatus.PROBING: [AdapterStatus.PROBING],
    AdapterStatus.READY: [AdapterStatus.PROBING, AdapterStatus.READY],
    AdapterStatus.OTHER_BASE: [AdapterStatus.PROBING, AdapterStatus.READY, AdapterStatus.OTHER_BASE],
    AdapterStatus.REFUSED: [AdapterStatus.CHECKING, AdapterStatus.REFUSED],
    AdapterStatus.DELETED: [AdapterStatus.PROBING, AdapterStatus.READY, AdapterStatus.DELETED],
}
PAIRS = [(status, target) for status in (None, *AdapterStatus) for target in AdapterStatus]


def adapter(status: AdapterStatus | None = None) -> AdapterRow:
    row = AdapterRow(id="adapter_1", name="voice")
    for step in ROADS[status] if status else ():
        MOVES[step](row)
    return row


@pytest.mark.parametrize(("status", "target"), [pair for pair in PAIRS if pair[1] in TRANSITIONS[pair[0]]])
def test_a_step_of_the_list_is_taken(status: AdapterStatus | None, target: AdapterStatus) -> None:
    row = adapter(status)
    MOVES[target](row)
    assert row.status == target


@pytest.mark.parametrize(("status", "target"), [pair for pair in PAIRS if pair[1] not in TRANSITIONS[pair[0]]])
def test_a_step_that_is_not_on_the_list_is_refused(status: AdapterStatus | None, target: AdapterStatus) -> None:
    row = adapter(status)
    with pytest.raises(TransitionForbidden, match="adapter_1"):
        MOVES[target](row)
    assert row.status == status


@pytest.mark.parametrize("seed", range(50))
def test_no_walk_leaves_the_list(seed: int) -> None:
    dice = random.Random(seed)
    row, status = adapter(), None
    for _ in range(20):
        target = dice.choice(list(AdapterStatus))
        before = (row.model, row.served_name, row.reason)
        try:
            MOVES[target](row)
        except TransitionForbidden:
            assert target not in TRANSITIONS[status]
            assert (row.model, row.served_name, row.reason) == before, "a step that is refused changes nothing"
        else:
            assert target in TRANSITIONS[status]
            status = target
        assert row.status == status


def test_a_checked_import_has_its_id_for_a_name_and_no_digest() -> None:
    row = adapter(AdapterStatus.CHECKING)
    assert (row.model, row.served_name, row.digest, row.rank) == ("adapter_1", "adapter_1", "", 0)


def test_a_refused_one_has_the_reason() -> None:
    assert adapter(AdapterStatus.REFUSED).reason == "It gives other numbers."


def test_every_state_can_be_reached_and_two_are_final() -> None:
    reached = set().union(*TRANSITIONS.values())
    assert reached == set(AdapterStatus)
    final = {status for status, targets in TRANSITIONS.items() if not targets}
    assert final == {AdapterStatus.REFUSED, AdapterStatus.DELETED}
    assert set(UNDECIDED) | set(ON_ENGINES) == set(AdapterStatus) - final - {AdapterStatus.OTHER_BASE}


def test_an_adapter_that_is_back_on_its_base_has_no_reason_any_more() -> None:
    row = adapter(AdapterStatus.OTHER_BASE)
    assert row.reason
    lifecycle.accept(row)
    assert row.reason is None


def test_the_database_keeps_plain_words() -> None:
    assert type(adapter(AdapterStatus.READY).status) is str
