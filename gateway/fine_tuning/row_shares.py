"""The rows of a job by what they say of retrieval and of their writers: counted, and told in its events."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.schemas import WrittenRowCount
from gateway.adapters.service import AdapterRow, list_written_rows
from gateway.counts import format_count
from gateway.fine_tuning.event_log import add_event
from gateway.fine_tuning.rows import RenderedFile
from gateway.fine_tuning.tables import FineTuningJobRow

__all__ = ["add_share_events", "count_written_rows"]


async def count_written_rows(
    session: AsyncSession, rows: RenderedFile, start: AdapterRow | None
) -> dict[str, Any] | None:
    """Count the rows that a model wrote, with those that the adapter has learnt which a job trains on; None without."""
    count = WrittenRowCount(rows=rows.shares.written_rows, of=rows.count)
    if start is not None:
        earlier = (await list_written_rows(session, start.tenant_id, [start.digest])).get(start.digest)
        if earlier is not None:
            count = WrittenRowCount(rows=count.rows + earlier.rows, of=count.of + earlier.of)
    return count.model_dump() if count.rows else None


def add_share_events(session: AsyncSession, job: FineTuningJobRow, rows: RenderedFile) -> None:
    """Tell what a new job's owner may not have meant: rows without passages, replies that aren't learnt, a gate."""
    if counts := job.braid["written_rows"]:
        inherited = counts["of"] - rows.count
        origin = f" (with {inherited} of the adapter that it trains on)" if inherited else ""
        message = (
            f"{counts['rows']} of {format_count(counts['of'], 'row')}{origin} were written by a model: a release "
            "with this adapter needs a passed gate before it gets traffic"
        )
        add_event(session, job.tenant_id, job.id, message, level="warn", data=counts)
    shares = rows.shares
    if shares.ungrounded and shares.ungrounded < rows.count and not job.braid["evidence"]:
        message = (
            f"{shares.grounded} of {rows.count} rows have passages, {shares.empty} have an empty list of them (a "
            f"search that found nothing), and {shares.ungrounded} say nothing of passages: these are learnt as "
            "served without retrieval. If they are for an assistant with retrieval, give each its passages."
        )
        data = {"grounded": shares.grounded, "empty": shares.empty, "ungrounded": shares.ungrounded}
        add_event(session, job.tenant_id, job.id, message, level="warn", data=data)
    if shares.context_replies:
        message = (
            f"{format_count(shares.context_replies, 'earlier reply is', 'earlier replies are')} read and not "
            "learnt, since the row has neither their passages nor the prompt that was served for them. Give each a "
            "row of its own to have it learnt."
        )
        data = {"context_replies": shares.context_replies}
        add_event(session, job.tenant_id, job.id, message, data=data)
