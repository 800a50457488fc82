"""A fine-tuning job's events as they happen: server-sent events, until the job has ended."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.db import Database
from gateway.errors import BadRequest, TooManyRequests
from gateway.fine_tuning.lifecycle import has_ended
from gateway.fine_tuning.repository import EventRepository, FineTuningJobRepository
from gateway.fine_tuning.schemas import to_event
from gateway.fine_tuning.tables import EventRow
from gateway.shutdown import Drain, explain_stopping

__all__ = ["EventStream", "EventStreams"]

_POLL_SECONDS = 0.5
_SILENCE_SECONDS = 15.0  # a proxy gives up an answer of which it hears nothing
_MOST_SECONDS = 3600.0  # then the client asks again, with its key
_LATE_MICROSECONDS = 5_000_000  # what was made before is committed by then
_AT_ONCE = 500
_PREFIX = "ftevent-"
_ID = re.compile(rf"{_PREFIX}[0-9a-f]{{13,}}")
_END = b"data: [DONE]\n\n"
_COMMENT = b": the job goes on\n\n"


@dataclass(frozen=True, slots=True)
class EventStream:
    """One job's events, encoded; it counts as open within `occupy`."""

    events: AsyncIterator[bytes]
    tenant: str
    counts: Counter[str]

    @contextmanager
    def occupy(self) -> Generator[None]:
        """Count among the tenant's streams."""
        self.counts[self.tenant] += 1
        try:
            yield
        finally:
            self.counts[self.tenant] -= 1
            if not self.counts[self.tenant]:
                del self.counts[self.tenant]


class EventStreams:
    """The streams of a gateway process.

    Args:
        database: Has the events; each stream asks it twice per second.
        drain: Streams end when the process stops.
        most: The most streams per tenant.
    """

    def __init__(self, database: Database, drain: Drain, *, most: int = 20) -> None:
        self._database = database
        self._drain = drain
        self._most = most
        self._open: Counter[str] = Counter()

    def open(self, tenant: str, job: str, after: str | None) -> EventStream:
        """Return the stream of a job's events, from the one after `after` on, or from the first.

        Raises:
            BadRequest: `after` is no event's id: nothing would ever come behind it.
            TooManyRequests: The tenant has as many streams as it may.
            Unavailable: The process is stopping.
        """
        if self._drain.stopping:
            raise explain_stopping()
        if self._open[tenant] >= self._most:
            raise TooManyRequests(
                f"{self._most} streams of events are open already, the most that a tenant may have. Close one, or read "
                "the events without stream=true.",
                code="too_many_streams",
            )
        if after and not _ID.fullmatch(after):
            raise BadRequest(f"The cursor {after!r} is no event of yours.", param="after")
        return EventStream(self._read(tenant, job, after), tenant, self._open)

    async def _read(self, tenant: str, job: str, after: str | None) -> AsyncIterator[bytes]:
        cursor, event_ids = after or "", set[str]()
        last_write = start = time.monotonic()
        while not self._drain.stopping and time.monotonic() - start < _MOST_SECONDS:
            over, rows = await self._look(tenant, job, cursor)
            new = [row for row in rows if row.id not in event_ids]
            if new:
                yield b"".join(map(_encode, new))
                last_write = time.monotonic()
            elif over:
                yield _END
                return
            elif time.monotonic() - last_write >= _SILENCE_SECONDS:
                yield _COMMENT
                last_write = time.monotonic()
            event_ids.update(row.id for row in new)
            if rows:
                # Others write to the log too, and an event may be made before another and be committed after it.
                cursor = max(cursor, rows[-1].id if len(rows) == _AT_ONCE else _before(rows[-1].id, cursor))
                event_ids = {id for id in event_ids if id > cursor}
            if len(rows) < _AT_ONCE and not over:
                await asyncio.sleep(_POLL_SECONDS)

    async def _look(self, tenant: str, job: str, cursor: str) -> tuple[bool, Sequence[EventRow]]:
        """Tell whether the job had ended before the events were read, and read some."""
        async with self._database.read() as session:
            row = await FineTuningJobRepository(session, tenant).find(job)
            over = row is None or has_ended(row)
            return over, await EventRepository(session, tenant).list_after(job, cursor, _AT_ONCE)


def _encode(row: EventRow) -> bytes:
    # In ASCII each event is one line also for clients that part lines at the separators which Unicode has besides.
    return f"id: {row.id}\ndata: {to_event(row).model_dump_json(ensure_ascii=True)}\n\n".encode()


def _before(id: str, cursor: str) -> str:
    """Return where events may still come from that are older than this one, but none that came before `cursor`."""
    microseconds = int(id.removeprefix(_PREFIX)[:13], 16)
    return max(cursor, f"{_PREFIX}{microseconds - _LATE_MICROSECONDS:013x}")
