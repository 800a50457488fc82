"""A comparison: what a sync has to put and to delete, from what is listed and what was put last."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.sources.path_filter import compose_signs
from gateway.sources.reader import Listing

__all__ = ["LAST_RETRY_SECONDS", "Plan", "SyncedItem", "compare"]

_UNASKED = 1
"""A deletion that is never asked for unless nothing would be left: the only document is renamed, or replaced."""

LAST_RETRY_SECONDS = 86_400.0
"""The longest that an item which failed waits: what is to wait longer was noted by a clock that was set back since."""


@dataclass(frozen=True, slots=True)
class SyncedItem:
    """An item as the last sync left it.

    `version` is null where it was never put. It waits until `retry_at` where it failed last; `failed_version` is the
    version that couldn't be put, and null where it wasn't listed.
    """

    version: str | None
    retry_at: float | None = None
    failed_version: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The keys to put and to delete; those in `unread` failed already.

    `deletions`: so many of those to delete were ever put, and aren't put again by a name that only differs in capitals
    or in how its signs are written. `asks`: they are more than half of the items, or all of them, and more than were
    confirmed; so nothing is to be done.
    """

    put: Sequence[str]
    delete: Sequence[str]
    unread: Sequence[str]
    deletions: int
    asks: bool


def compare(
    listing: Listing, last_items: Mapping[str, SyncedItem], present: Collection[str], *, now: float, confirmed: int = 0
) -> Plan:
    """Return what makes the store's documents those of the listing.

    Args:
        listing: The items that are there.
        last_items: Those that were there, as they were put.
        present: The keys whose documents are in the store: others are put again.
        now: Unix seconds; an item that failed waits for its time, unless its version is another one since.
        confirmed: So many deletions were agreed to.
    """
    put = [
        key
        for key, version in sorted(listing.items.items())
        if _is_due(version, last_items.get(key), key in present, now)
    ]
    documents = {key for key, item in last_items.items() if item.version is not None}
    absent = last_items.keys() - listing.items.keys() - listing.unread.keys()
    # What was never put is only a note of a failure, such as of a page whose format isn't known yet.
    removals = (
        absent if listing.whole else {key for key in absent if key in listing.absent_keys or key not in documents}
    )
    renamed_keys = {_fold(key) for key in listing.items.keys() - last_items.keys()}
    deletions = sum(_fold(key) not in renamed_keys for key in removals & documents)
    unasked = max(_UNASKED, len(documents) / 2) if listing.items or listing.unread else 0
    return Plan(put, sorted(removals), sorted(listing.unread), deletions, asks=deletions > max(unasked, confirmed))


def _fold(key: str) -> str:
    return compose_signs(key).casefold()


def _is_due(version: str, before: SyncedItem | None, present: bool, now: float) -> bool:
    if before is None:
        return True
    if before.retry_at is not None:
        return not now < before.retry_at <= now + LAST_RETRY_SECONDS or version != before.failed_version
    return before.version != version or not present
