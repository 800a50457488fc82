"""The row that a job is about, at its beginning and its end, and what a handler raises as an outcome."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.jobs import Claim, JobCancelled, JobDelayed, JobFailed, Outcome, begin_subject, end_subject
from gateway.jobs.handler import run_handler


def subject(status: str = "queued") -> Any:
    return SimpleNamespace(id="x", tenant_id="t", job_id="job_1", status=status, finished_at=None, error=None)


def claim(*, cancelled: bool = False, attempts: int = 1) -> Any:
    event = asyncio.Event()
    if cancelled:
        event.set()
    return SimpleNamespace(id="job_1", kind="x", cancelled=event, attempts=attempts, last_delay=0.0)


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_row_that_has_not_ended_runs(status: str) -> None:
    row = subject(status)
    assert begin_subject(claim(), row) is row
    assert row.status == "running"
    waiting = subject(status)
    with pytest.raises(JobCancelled):
        begin_subject(claim(cancelled=True), waiting)
    assert waiting.status == status


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_row_that_has_ended_does_not_begin_again(status: str) -> None:
    row = subject(status)
    assert begin_subject(claim(), row) is None
    assert row.status == status


def test_a_cancelled_row_cancels_its_job_and_a_deleted_one_has_nothing_to_do() -> None:
    with pytest.raises(JobCancelled):
        begin_subject(claim(), subject("cancelled"))
    assert begin_subject(claim(cancelled=True), None) is None


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome("cancelled", "cancelled", "The job was cancelled."), None),
        (Outcome("failed", "no_rows", "There are none."), {"code": "no_rows", "message": "There are none."}),
        (Outcome("failed"), {"code": "server_error", "message": "It failed."}),
    ],
)
def test_an_end_is_written_once_with_the_reason_of_a_failure(outcome: Outcome, error: dict[str, str] | None) -> None:
    row = subject("running")
    assert end_subject(row, outcome)
    assert (row.status, row.error) == (outcome.status, error)
    assert abs(row.finished_at - time.time()) < 10
    assert not end_subject(row, Outcome("failed", "late", "late"))
    assert (row.status, row.error) == (outcome.status, error)
    assert not end_subject(None, outcome)


class Raising:
    """A handler whose run ends with an error, if there is one."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def run(self, claim: Claim) -> None:
        if self._error is not None:
            raise self._error

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write nothing."""


@pytest.mark.parametrize(
    ("error", "attempts", "outcome"),
    [
        (None, 1, Outcome("succeeded")),
        (JobFailed("no_rows", "There are none."), 1, Outcome("failed", "no_rows", "There are none.")),
        (JobCancelled(), 1, Outcome("cancelled", "cancelled", "The job was cancelled.")),
        (JobDelayed("Away.", seconds=7), 9, Outcome("queued", "delayed", "Away.", pause=7, counted=False)),
        (KeyError("a"), 1, Outcome("queued", "server_error", "KeyError: 'a'", pause=1.0)),
        (KeyError("a"), 2, Outcome("queued", "server_error", "KeyError: 'a'", pause=5.0)),
        (
            KeyError("a"),
            3,
            Outcome("failed", "server_error", "It failed in each of 3 attempts, the last with KeyError: 'a'"),
        ),
    ],
)
async def test_each_end_of_a_run_is_an_outcome(error: Exception | None, attempts: int, outcome: Outcome) -> None:
    assert await run_handler(Raising(error), claim(attempts=attempts), (1.0, 5.0)) == outcome


async def test_an_outcome_names_no_folder_and_no_address() -> None:
    error = JobFailed("x", "can't open /srv/braid/secret.db of db.internal:5432")
    message = (await run_handler(Raising(error), claim(), ())).message
    assert message is not None
    assert "srv" not in message
    assert "5432" not in message
