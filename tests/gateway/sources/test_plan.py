"""Histories of a source with failures and kills, drawn at random: in the end the store is what the source is."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.plan import SyncedItem, compare
from gateway.sources.reader import Listing

KEYS = [f"{letter}.md" for letter in "abcdefghijkl"]
NAMES = st.sampled_from(KEYS)


@dataclass
class World:
    """A source, what the syncs noted of it, and the store that they feed."""

    source: dict[str, str] = field(default_factory=dict[str, str])
    known: dict[str, SyncedItem] = field(default_factory=dict[str, SyncedItem])
    store: dict[str, str] = field(default_factory=dict[str, str])
    now: float = 0.0

    def sync(self, *, broken: frozenset[str], lost: frozenset[str], steps: int, confirmed: int) -> bool:
        """Run a sync that is killed after some steps; `broken` can't be read, of `lost` folders nothing is known.

        Tell whether it came to its end.
        """
        seen = {key: version for key, version in self.source.items() if key not in lost | broken}
        unread = {key: "odd" for key in broken if key in self.source and key not in lost}
        listing = Listing(seen, unread, whole=not lost)
        before = dict(self.store)
        plan = compare(listing, self.known, self.store.keys(), now=self.now, confirmed=confirmed)
        assert not set(plan.delete) & (self.source.keys() - lost)
        assert not lost or not plan.deletions
        if plan.asks:
            assert plan.deletions > max(confirmed, *((1, len(self.known) / 2) if seen or unread else ()))
            assert self.store == before
            return False
        for key in (*plan.unread, *plan.put, *plan.delete):
            if steps == 0:
                return False
            steps -= 1
            if key in plan.unread:
                self.known[key] = SyncedItem(self.known[key].version if key in self.known else None, self.now + 60)
            elif key in plan.put:
                self.store[key], self.known[key] = seen[key], SyncedItem(seen[key])
            else:
                self.store.pop(key, None)
                del self.known[key]
        return True


EDITS = st.lists(st.tuples(NAMES, st.one_of(st.none(), st.sampled_from(["1", "2", "3"]))), max_size=8)
SYNCS = st.fixed_dictionaries(
    {
        "broken": st.frozensets(NAMES, max_size=3),
        "lost": st.one_of(st.just(frozenset[str]()), st.frozensets(NAMES, max_size=12)),
        "steps": st.integers(0, 30),
        "confirmed": st.sampled_from([0, 0, 0, 12]),
    }
)


@given(st.lists(st.tuples(EDITS, SYNCS, st.lists(NAMES, max_size=2), st.sampled_from([0.0, 30.0, 90.0])), max_size=12))
def test_the_store_ends_as_the_source_is(
    history: list[tuple[list[tuple[str, str | None]], dict[str, Any], list[str], float]],
) -> None:
    world = World()
    for edits, sync, deleted, later in history:
        for key, version in edits:
            if version is None:
                world.source.pop(key, None)
            else:
                world.source[key] = version
        for key in deleted:  # by hand, in the store
            world.store.pop(key, None)
        world.now += later
        world.sync(**sync)
    world.now += 1000
    assert world.sync(broken=frozenset(), lost=frozenset(), steps=1000, confirmed=len(KEYS))
    assert world.store == world.source
    quiet = compare(Listing(world.source), world.known, world.store.keys(), now=world.now)
    assert (quiet.put, quiet.delete, quiet.asks) == ([], [], False)


def test_what_was_never_put_is_no_deletion() -> None:
    """The pages of a site that couldn't be read at the first sync, and had no ending then."""
    notes = {f"{number}": SyncedItem(None, 60.0) for number in range(10)}
    pages = {f"{number}.html": "1" for number in range(10)}
    for whole in (True, False):
        plan = compare(Listing(pages, whole=whole), notes, (), now=0.0)
        assert (len(plan.put), len(plan.delete), plan.deletions, plan.asks) == (10, 10, 0, False)
    known = {**notes, **{f"{number}.html": SyncedItem("1") for number in range(10)}}
    plan = compare(Listing({"0.html": "1"}), known, known.keys(), now=0.0)
    assert (plan.deletions, plan.asks) == (9, True)


def test_the_last_items_are_asked_for_however_few_they_are() -> None:
    known = {"a": SyncedItem("1"), "b": SyncedItem("1")}
    assert compare(Listing({}), known, known.keys(), now=0.0).asks
    assert not compare(Listing({}), known, known.keys(), now=0.0, confirmed=2).asks
    assert not compare(Listing({}, {"b": "odd"}), known, known.keys(), now=0.0).asks
    assert not compare(Listing({}), {"a": SyncedItem(None)}, (), now=0.0).asks


@pytest.mark.parametrize(
    ("known", "left", "asks"), [(6, 1, True), (4, 1, True), (3, 1, True), (4, 2, False), (5, 3, False)]
)
def test_more_than_half_is_asked_for_however_few_they_are(known: int, left: int, asks: bool) -> None:
    items = {str(number): SyncedItem("1") for number in range(known)}
    plan = compare(Listing({str(number): "1" for number in range(left)}), items, items.keys(), now=0.0)
    assert (plan.deletions, plan.asks) == (known - left, asks)


def test_the_only_document_may_be_replaced_by_another_unasked() -> None:
    known = {"a": SyncedItem("1")}
    assert not compare(Listing({"b": "1"}), known, known.keys(), now=0.0).asks
    both = {**known, "c": SyncedItem("1")}
    assert compare(Listing({"b": "1"}), both, both.keys(), now=0.0).asks


def test_what_was_seen_to_be_gone_goes_whatever_else_is_unknown() -> None:
    known = {key: SyncedItem("1") for key in "abc"}
    assert compare(Listing({"c": "1"}, whole=False, absent_keys={"a"}), known, known.keys(), now=0.0).delete == ["a"]


def test_what_failed_by_a_clock_that_was_ahead_waits_no_longer_than_for_its_last_retry() -> None:
    listing = Listing({"a": "2", "b": "2"})
    known = {
        "a": SyncedItem("1", retry_at=86_401.0, failed_version="2"),
        "b": SyncedItem("1", retry_at=86_399.0, failed_version="2"),
    }
    assert compare(listing, known, {"a", "b"}, now=0.0).put == ["a"]


def test_another_version_of_what_failed_does_not_wait() -> None:
    known = {"a": SyncedItem("1", retry_at=60.0, failed_version="2"), "b": SyncedItem("1", retry_at=60.0)}
    for version, due in (("2", []), ("3", ["a"])):
        plan = compare(Listing({"a": version, "b": "1"}), known, "ab", now=0.0)
        assert [key for key in plan.put if key == "a"] == due
        assert "b" in plan.put, "its time isn't waited for, since it can be read"


def test_names_that_only_got_capitals_or_other_signs_are_no_deletions() -> None:
    known = {key: SyncedItem("1") for key in ("docs/a.md", "docs/b.md", "Pre\u0301face.md", *"cdefgh")}
    items: dict[str, str] = dict.fromkeys(["Docs/A.md", "Docs/b.md", "Pr\u00e9face.md", *map(str, "CDEFGH")], "1")
    plan = compare(Listing(items), known, known.keys(), now=0.0)
    assert (set(plan.put), set(plan.delete), plan.asks) == (items.keys(), known.keys(), False)
    assert compare(Listing({"x": "1"}), known, known.keys(), now=0.0).asks
