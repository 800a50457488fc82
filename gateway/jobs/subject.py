"""The rows that jobs are about, which show how far they are: the beginning and the end that all kinds have."""

import time
from typing import Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.jobs.claim import Claim
from gateway.jobs.handler import JobCancelled, Outcome
from gateway.jobs.queue import cancel, enqueue
from gateway.jobs.tables import FINAL_STATUSES

__all__ = ["begin_subject", "cancel_subject", "end_subject", "queue_subject", "succeed_subject"]


class _Subject(Protocol):
    id: Any
    tenant_id: Any
    job_id: Any
    status: Any
    finished_at: Any
    error: Any


Subject = TypeVar("Subject", bound=_Subject)


async def queue_subject(session: AsyncSession, row: _Subject, kind: str, *, most: int) -> None:
    """Queue the job of a new row: one of a tenant's of this kind runs at a time, and at most `most` wait.

    Raises:
        TooManyRequests: So many wait already.
    """
    await session.flush()
    job = await enqueue(
        session,
        row.tenant_id,
        kind=kind,
        queue_key=f"{kind}:{row.tenant_id}",
        subject=row.id,
        payload={},
        most=most,
    )
    row.job_id = job.id


async def cancel_subject(session: AsyncSession, row: _Subject) -> None:
    """Cancel a row that hasn't ended, with its job; one that runs stops within seconds."""
    if row.job_id is not None:
        await cancel(session, row.tenant_id, row.job_id)
    row.status, row.finished_at = "cancelled", int(time.time())


def begin_subject(claim: Claim, row: Subject | None) -> Subject | None:
    """Mark a locked row as running and return it; None when it has ended, or was deleted.

    Raises:
        JobCancelled: Its owner has cancelled it.
    """
    if row is None:
        return None
    if row.status == "cancelled" or claim.cancelled.is_set():
        raise JobCancelled
    if row.status in FINAL_STATUSES:
        return None
    row.status = "running"
    return row


def succeed_subject(row: Subject | None) -> Subject | None:
    """Mark a locked row as succeeded and return it; None when it has ended otherwise meanwhile, or was deleted."""
    if row is None or row.status in FINAL_STATUSES:
        return None
    row.status, row.finished_at = "succeeded", int(time.time())
    return row


def end_subject(row: _Subject | None, outcome: Outcome) -> bool:
    """Write the end of a run to a locked row; tell whether it is new: the row is there and hadn't ended."""
    if row is None or row.status in FINAL_STATUSES:
        return False
    row.status, row.finished_at = outcome.status, int(time.time())
    if outcome.status == "failed":
        row.error = {"code": outcome.code or "server_error", "message": outcome.message or "It failed."}
    return True
