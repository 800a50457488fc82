"""The states of a fine-tuning job and every way from one to another. Nothing else writes `FineTuningJobRow.status`.

    (new) → queued → running → succeeded
            queued, running → paused → queued
            queued, running, paused → failed, cancelled

A job that is paused or cancelled while a worker is at work on it is that at once; its worker stops soon after.
"""

import time
from collections.abc import Mapping
from enum import StrEnum

from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.jobs import FINAL_STATUSES

__all__ = ["TRANSITIONS", "FineTuningStatus", "StatusForbidden", "has_ended", "is_running", "move"]


class FineTuningStatus(StrEnum):
    """The states, as they stand in the database and in the API.

    Attributes:
        QUEUED: It waits for a worker.
        RUNNING: A worker has it, or had it and was killed.
        PAUSED: Its owner stopped it for now: it takes nobody's place, and its state is kept.
        SUCCEEDED: Its adapter is ready.
        FAILED: It made nothing; the row has the reason.
        CANCELLED: Its owner stopped it for good.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_WRONG_ENDS = frozenset({FineTuningStatus.FAILED, FineTuningStatus.CANCELLED})

TRANSITIONS: Mapping[FineTuningStatus, frozenset[FineTuningStatus]] = {
    FineTuningStatus.QUEUED: frozenset({FineTuningStatus.RUNNING, FineTuningStatus.PAUSED}) | _WRONG_ENDS,
    FineTuningStatus.RUNNING: frozenset({FineTuningStatus.SUCCEEDED, FineTuningStatus.PAUSED}) | _WRONG_ENDS,
    FineTuningStatus.PAUSED: frozenset({FineTuningStatus.QUEUED}) | _WRONG_ENDS,
    FineTuningStatus.SUCCEEDED: frozenset(),
    FineTuningStatus.FAILED: frozenset(),
    FineTuningStatus.CANCELLED: frozenset(),
}
"""The states that may follow each."""


class StatusForbidden(Exception):
    """A job can't go from its present state to the one that was asked for: somebody else has moved it."""

    def __init__(self, row: FineTuningJobRow, status: FineTuningStatus) -> None:
        super().__init__(f"the fine-tuning job {row.id} is {row.status} and can't become {status}")


def has_ended(row: FineTuningJobRow) -> bool:
    """Tell whether the job stays as it is for good."""
    return row.status in FINAL_STATUSES


def is_running(row: FineTuningJobRow) -> bool:
    """Tell whether a worker has the job: one that is paused, or was and waits again, isn't its any more."""
    return row.status == FineTuningStatus.RUNNING


def move(row: FineTuningJobRow, status: FineTuningStatus) -> None:
    """Give the job its next state, and the time at which it ended if that is one of the last.

    Raises:
        StatusForbidden: There is no way there.
    """
    if status not in TRANSITIONS[FineTuningStatus(row.status)]:
        raise StatusForbidden(row, status)
    row.status = status.value
    row.estimated_finish = None
    if has_ended(row):
        row.finished_at = int(time.time())
