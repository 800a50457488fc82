"""The owner's side of a job: ask for it, cancel it."""

import time
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.errors import TooManyRequests
from gateway.ids import new_id
from gateway.jobs.repository import JobRepository
from gateway.jobs.tables import DELAYED, JobRow

__all__ = ["cancel", "enqueue", "enqueue_once", "find_delay"]


_PREFIX = "job_"
_DIGITS = 13
_HEAD_START = 3_600_000_000
"""Microseconds. A job that has waited for longer isn't overtaken any more, so that none waits for good."""


def _find_place(id: str, *, urgent: bool) -> str:
    """Return a job's place among those of its queue key: that of its id, or one of an hour before."""
    moment, rest = id[len(_PREFIX) :][:_DIGITS], id[len(_PREFIX) + _DIGITS :]
    return f"{int(moment, 16) - (_HEAD_START if urgent else 0):0{_DIGITS}x}{rest}"


async def enqueue(
    session: AsyncSession,
    tenant: str,
    *,
    kind: str,
    queue_key: str,
    subject: str,
    payload: dict[str, Any],
    delay_seconds: float = 0.0,
    most: int | None = None,
    urgent: bool = False,
) -> JobRow:
    """Add a job in the caller's transaction: it exists if and only if what it belongs to was kept.

    Of the jobs with one `queue_key`, of whatever kind and tenant, one runs at a time, in the order of their creation;
    an `urgent` one goes before others that haven't waited for an hour, and says so in its payload.

    Raises:
        TooManyRequests: The tenant has `most` jobs of this kind that wait already.
    """
    if most is not None and await JobRepository(session, tenant).count_queued(kind) >= most:
        raise TooManyRequests(
            f"{most} jobs of this kind are waiting already, the most that a tenant may have. "
            "Try again when some of them have ended, or cancel those that aren't needed.",
            code="too_many_queued_jobs",
        )
    now = time.time()
    id = new_id(_PREFIX)
    row = JobRow(
        id=id,
        place=_find_place(id, urgent=urgent),
        created_at=int(now),
        kind=kind,
        queue_key=queue_key,
        subject=subject,
        status="queued",
        payload={**payload, "urgent": True} if urgent else payload,
        state={},
        not_before=now + delay_seconds if delay_seconds else None,
    )
    return JobRepository(session, tenant).add(row)


async def enqueue_once(
    session: AsyncSession,
    tenant: str,
    *,
    kind: str,
    queue_key: str,
    subject: str,
    payload: dict[str, Any],
    delay_seconds: float = 0.0,
) -> JobRow:
    """Return the job of this kind and subject that waits, or add one: for work that one job does for all who ask.

    No worker takes the job that was there before the caller's transaction ends, so that it sees what that wrote.
    """
    waiting = await JobRepository(session, tenant).hold_queued(kind, subject)
    if waiting is not None:
        return waiting
    return await enqueue(
        session,
        tenant,
        kind=kind,
        queue_key=queue_key,
        subject=subject,
        payload=payload,
        delay_seconds=delay_seconds,
    )


async def find_delay(session: AsyncSession, tenant: str, queue_key: str) -> str | None:
    """Return in words for their owner why the jobs of a queue key wait, where a part that the first needs is away."""
    head = await JobRepository(session, tenant).find_head(queue_key)
    if head is None or head.error is None or head.error["code"] != DELAYED:
        return None
    return head.error.get("words") or None


async def cancel(session: AsyncSession, tenant: str, job_id: str, *, running: bool = True) -> str:
    """Cancel a job (unless `running` is false, also one that has begun) and return its status after that.

    `cancelled`: it hadn't begun, and never will (the caller writes that to the subject, in the same transaction).
    `running`: its worker was asked to stop, and it ends as `cancelled` within seconds, unless it gets done before.
    Otherwise it had ended already.

    Raises:
        NotFound: The tenant has no such job.
    """
    jobs = JobRepository(session, tenant)
    if await jobs.cancel_queued(job_id, time.time()):
        return "cancelled"
    if running and await jobs.cancel_running(job_id):
        return "running"
    return (await jobs.get(job_id)).status
