"""The queue of a store's jobs: one after another, since each writes the store's next index epoch."""

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.jobs import enqueue_once

__all__ = ["DROP", "INGEST", "ask_for_work", "queue_key_of"]

INGEST = "ingest"
"""A document's version; each has a job of its own."""

DROP = "drop"
"""A deleted store, with all that was in it."""


def queue_key_of(store_id: str) -> str:
    """Return the queue key of a store's jobs."""
    return f"store:{store_id}"


async def ask_for_work(
    session: AsyncSession, tenant: str, kind: str, store_id: str, *, delay_seconds: float = 0.0
) -> str:
    """Have a job of a kind look at a store, unless one waits already; return its id.

    The one that waits keeps its time, whatever the delay is.
    """
    job = await enqueue_once(
        session,
        tenant,
        kind=kind,
        queue_key=queue_key_of(store_id),
        subject=store_id,
        payload={"store": store_id},
        delay_seconds=delay_seconds,
    )
    return job.id
