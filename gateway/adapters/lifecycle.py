"""The states of an adapter and every way from one to another. Nothing else writes `AdapterRow.status`.

    (new import) → checking ─┬→ probing ─┬→ ready ⇄ other_base
    (new weights) ───────────┘           │  ready, other_base → deleted
                   checking, probing ────┴→ refused

A gate before `ready` is a check of `gateway.adapters.publish`; a state of its own for it would be added here.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from gateway.adapters.tables import AdapterRow
from gateway.errors import blur

__all__ = [
    "GONE",
    "ON_ENGINES",
    "TRANSITIONS",
    "UNDECIDED",
    "AdapterStatus",
    "TransitionForbidden",
    "accept",
    "begin_check",
    "begin_probe",
    "refuse",
    "set_aside",
    "withdraw",
]


class AdapterStatus(StrEnum):
    """The states, as they stand in the database and in the API.

    Attributes:
        CHECKING: An import before its verdict: it has no digest yet, and its id stands in for its names.
        PROBING: Judged, stored and named; engines load it, and it is proven there.
        READY: It answers clients.
        OTHER_BASE: It answered them on another base model than engines serve now, and will again when that one is back.
        REFUSED: It never will; the row has the reason.
        DELETED: Its owner took it away; the row stays, so that its name is never given to other bytes.
    """

    CHECKING = "checking"
    PROBING = "probing"
    READY = "ready"
    OTHER_BASE = "other_base"
    REFUSED = "refused"
    DELETED = "deleted"


TRANSITIONS: Mapping[AdapterStatus | None, frozenset[AdapterStatus]] = {
    None: frozenset({AdapterStatus.CHECKING, AdapterStatus.PROBING}),
    AdapterStatus.CHECKING: frozenset({AdapterStatus.PROBING, AdapterStatus.REFUSED}),
    AdapterStatus.PROBING: frozenset({AdapterStatus.READY, AdapterStatus.REFUSED}),
    AdapterStatus.READY: frozenset({AdapterStatus.OTHER_BASE, AdapterStatus.DELETED}),
    AdapterStatus.OTHER_BASE: frozenset({AdapterStatus.READY, AdapterStatus.DELETED}),
    AdapterStatus.REFUSED: frozenset(),
    AdapterStatus.DELETED: frozenset(),
}
"""The states that may follow each; None is a row that is being made."""

ON_ENGINES = frozenset({AdapterStatus.PROBING, AdapterStatus.READY})
"""The states in which engines hold an adapter."""

GONE = frozenset({AdapterStatus.REFUSED, AdapterStatus.DELETED})
"""The states in which nobody needs its weights any more: in any other it may be loaded, now or later."""

UNDECIDED = frozenset({AdapterStatus.CHECKING, AdapterStatus.PROBING})
"""The states in which a job is at work on it."""


class TransitionForbidden(Exception):
    """An adapter can't go from its present state to the one that was asked for: somebody else has moved it."""

    def __init__(self, row: AdapterRow, status: AdapterStatus) -> None:
        super().__init__(f"the adapter {row.id} is {row.status or 'new'} and can't become {status}")


def begin_check(row: AdapterRow) -> None:
    """Make a new row that of an import whose files nobody has looked at."""
    _move(row, AdapterStatus.CHECKING)
    row.model = row.served_name = row.id
    row.digest, row.rank, row.manifest = "", 0, {}


def begin_probe(row: AdapterRow, *, model: str, served_name: str) -> None:
    """Give stored weights the names that clients and engines use; every reconciler loads them after the commit."""
    _move(row, AdapterStatus.PROBING)
    row.model, row.served_name = model, served_name


def accept(row: AdapterRow) -> None:
    """Let clients have a proven adapter, now or again."""
    if row.status == AdapterStatus.OTHER_BASE:
        row.reason = None
    _move(row, AdapterStatus.READY)


def set_aside(row: AdapterRow, reason: str) -> None:
    """Keep an adapter from answering while engines serve another base model; every reconciler unloads it."""
    _move(row, AdapterStatus.OTHER_BASE)
    row.reason = reason


def refuse(row: AdapterRow, reason: str) -> None:
    """Keep an adapter from answering, now and later; every reconciler unloads it after the commit."""
    _move(row, AdapterStatus.REFUSED)
    row.reason = blur(reason)  # it may be an engine's words


def withdraw(row: AdapterRow) -> None:
    """Take an adapter away from clients; every reconciler unloads it after the commit."""
    _move(row, AdapterStatus.DELETED)


def _move(row: AdapterRow, status: AdapterStatus) -> None:
    # A row that isn't in the database yet has no status, which its type doesn't tell.
    present: Any = row.status
    if status not in TRANSITIONS[present and AdapterStatus(present)]:
        raise TransitionForbidden(row, status)
    row.status = status.value
