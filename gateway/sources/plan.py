"""A comparison: what a sync has to put and to delete, from what is listed and what was put last."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.sources.reader import Listing

__all__ = ["FEW", "Plan", "SyncedItem", "compare"]

FEW = 5
"""Deletions that are never asked for: half of a handful is no accident."""


@dataclass(frozen=True, slots=True)
class SyncedItem:
    """An item as the last sync left it; `version` is null where it was never put."""

    version: str | None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The keys to put and to delete; those in `unread` failed already.

    `asks`: more than half of the items would be deleted, and more than were confirmed; so nothing is to be done.
    """

    put: Sequence[str]
    delete: Sequence[str]
    unread: Sequence[str]
    asks: bool


def compare(
    listing: Listing, known: Mapping[str, SyncedItem], present: Collection[str], *, now: float, confirmed: int = 0
) -> Plan:
    """Return what makes the store's documents those of the listing.

    Args:
        listing: The items that are there.
        known: Those that were there, as they were put.
        present: The keys whose documents are in the store: others are put again.
        now: Unix seconds; an item that failed waits for its time.
        confirmed: So many deletions were agreed to.
    """
    put = [
        key for key, version in sorted(listing.items.items()) if _is_due(version, known.get(key), key in present, now)
    ]
    gone = sorted(known.keys() - listing.items.keys() - listing.unread.keys()) if listing.whole else []
    asks = len(gone) > max(FEW, len(known) / 2, confirmed)
    return Plan(put, gone, sorted(listing.unread), asks)


def _is_due(version: str, before: SyncedItem | None, present: bool, now: float) -> bool:
    if before is None:
        return True
    if before.retry_at is not None:
        return before.retry_at <= now
    return before.version != version or not present
