"""A replica's memory of its engine: what a health check's listing changes in it, and what it doesn't."""

import pytest

from gateway.engines import Connections, Engine, ModelListing, Replica


def make_listing(*names: str) -> ModelListing:
    return ModelListing("base", 4096, {name: f"/adapters/{name}" for name in names})


@pytest.fixture
def replica(connections: Connections) -> Replica:
    fresh = Replica(Engine("http://127.0.0.1:1", connections))
    fresh.mark_up(make_listing(), fresh.changes)
    return fresh


def test_a_listing_from_before_a_load_does_not_end_residency(replica: Replica) -> None:
    changes = replica.changes
    replica.note_loaded("style", "/adapters/style")
    replica.admit("style")
    replica.mark_up(make_listing(), changes)
    assert replica.resident == {"style"}
    assert replica.listing == make_listing("style")


def test_a_listing_without_a_resident_adapter_is_another_life(replica: Replica) -> None:
    replica.note_loaded("style", "/adapters/style")
    replica.admit("style")
    life = replica.life
    replica.mark_up(make_listing(), replica.changes)
    assert replica.resident == set()
    assert replica.life == life + 1


def test_names_that_others_load_and_unload_are_the_same_life(replica: Replica) -> None:
    life = replica.life
    replica.mark_up(make_listing("theirs"), replica.changes)
    replica.mark_up(make_listing(), replica.changes)
    assert replica.life == life


def test_an_expelled_adapter_stays_loaded(replica: Replica) -> None:
    replica.note_loaded("style", "/adapters/style")
    replica.admit("style")
    replica.expel("style")
    assert replica.resident == set()
    assert replica.listing == make_listing("style")
    replica.note_unloaded("style")
    assert replica.listing == make_listing()


def test_coming_back_is_another_life(replica: Replica) -> None:
    life = replica.life
    replica.mark_down("the engine is away")
    assert (replica.ready, replica.reason) == (False, "the engine is away")
    replica.mark_up(make_listing(), replica.changes)
    assert (replica.ready, replica.reason, replica.life) == (True, "", life + 1)


def test_what_was_resident_before_it_was_down_is_not_so_after(replica: Replica) -> None:
    """Another gateway may have loaded the name again by then, and nobody here has proven that."""
    replica.note_loaded("style", "/adapters/style")
    replica.admit("style")
    replica.mark_down("the engine is away")
    replica.mark_up(make_listing("style"), replica.changes)
    assert replica.resident == set()


def test_loads_before_the_first_listing_are_counted_only(connections: Connections) -> None:
    replica = Replica(Engine("http://127.0.0.1:1", connections))
    replica.note_loaded("style", "/adapters/style")
    replica.note_unloaded("style")
    assert (replica.changes, replica.listing, replica.checked) == (2, None, False)
