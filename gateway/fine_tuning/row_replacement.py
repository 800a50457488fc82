"""Rows that are put in the place of a job's when it begins: named in one commit with what its owner is told of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.errors import PayloadTooLarge
from gateway.files.garbage_collection import collect_later
from gateway.fine_tuning.event_log import add_event
from gateway.fine_tuning.lifecycle import has_ended
from gateway.fine_tuning.repository import FineTuningJobRepository
from gateway.jobs import Claim, JobCancelled, JobFailed
from gateway.tenants.storage import TenantStorage

__all__ = ["Notice", "replace_rows"]

Notice = tuple[str, str, dict[str, Any]]
"""An event's message, level and data."""


async def replace_rows(
    claim: Claim,
    storage: TenantStorage,
    digests: Mapping[str, str | None],
    size: int,
    figures: Mapping[str, Any],
    notices: Sequence[Notice],
) -> None:
    """Name other rendered rows in a job.

    Args:
        claim: Of the job.
        storage: Has to have room for them.
        digests: By the column, `rows_digest` or `validation_rows_digest`; what stood there is collected later.
        size: Bytes of all rendered rows of the job from now on.
        figures: What becomes of the job's `braid`.
        notices: Its owner is told.

    Raises:
        JobCancelled: Its owner has cancelled it.
        JobFailed: There is no room for the rows.
    """
    async with claim.begin() as session:
        job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
        if has_ended(job) or claim.cancelled.is_set():
            raise JobCancelled
        before = [digest for column in digests if (digest := getattr(job, column)) is not None]
        await collect_later(session, claim.tenant, before)
        for column, digest in digests.items():
            setattr(job, column, digest)
        grown, job.rows_bytes = job.rows_bytes, size
        job.braid = {**job.braid, **figures}
        for message, level, data in notices:
            add_event(session, claim.tenant, job.id, message, level=level, data=data)
        try:
            await storage.admit(session, claim.tenant, max(0, size - grown))
        except PayloadTooLarge as error:
            raise JobFailed("storage_full", error.message) from None
