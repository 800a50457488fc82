"""The rows that jobs are about, which show how far they are: the beginning and the end that all kinds have."""

import time
from typing import Any, Protocol, TypeVar

from gateway.jobs.claim import Claim
from gateway.jobs.handler import JobCancelled, Outcome
from gateway.jobs.tables import ENDED

__all__ = ["begin_subject", "end_subject"]


class _Subject(Protocol):
    status: Any
    finished_at: Any
    error: Any


Subject = TypeVar("Subject", bound=_Subject)


def begin_subject(claim: Claim, row: Subject | None) -> Subject | None:
    """Mark a locked row as running and return it; None when it has ended, or was deleted.

    Raises:
        JobCancelled: Its owner has cancelled it.
    """
    if row is None:
        return None
    if row.status == "cancelled" or claim.cancelled.is_set():
        raise JobCancelled
    if row.status in ENDED:
        return None
    row.status = "running"
    return row


def end_subject(row: _Subject | None, outcome: Outcome) -> bool:
    """Write the end of a run to a locked row; tell whether it is new: the row is there and hadn't ended."""
    if row is None or row.status in ENDED:
        return False
    row.status, row.finished_at = outcome.status, int(time.time())
    if outcome.status == "failed":
        row.error = {"code": outcome.code or "server_error", "message": outcome.message or "It failed."}
    return True
