"""The job that makes a store's documents those of a source: list, compare, put, delete; each step may be the last."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts, StoredBytes
from gateway.counts import format_count
from gateway.errors import BraidError, InsufficientStorage, blur
from gateway.ids import new_id
from gateway.jobs import Claim, JobCancelled, JobDelayed, JobFailed, Outcome, enqueue_once, failpoint
from gateway.sources.plan import LAST_RETRY_SECONDS, Plan, SyncedItem, compare
from gateway.sources.reader import ItemUnreadable, Listing, Reader, SourceBusy, SourceUnreadable
from gateway.sources.repository import SourceItemRepository, SourceRepository
from gateway.sources.tables import SourceItemRow, SourceRow
from gateway.tenants.service import find_tenant_name
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.feed import delete_fed, list_fed, put_fed
from gateway.vector_stores.service import check_stores
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo

__all__ = ["SYNC", "OpenReader", "SyncHandler", "ask_for_sync", "note_failure"]

SYNC = "sync"

OpenReader = Callable[[SourceRow, str], AbstractAsyncContextManager[Reader]]
"""Opens a source for a tenant of a name; raises `SourceUnreadable` where it may not be read, or isn't there."""

_BATCH = 100
_FIRST_RETRY_SECONDS = 60.0
_SHORTAGE_SECONDS = 15.0
_MESSAGE_LENGTH = 1000
_URL_LENGTH = 512  # of an attribute's text


async def ask_for_sync(session: AsyncSession, row: SourceRow, *, deletions: int = 0, at_once: bool = False) -> str:
    """Have a source synchronised; return the job's id, also of one that waits already.

    Args:
        session: The caller's unit of work.
        row: The source.
        deletions: So many are confirmed, if more than half of the items are gone.
        at_once: Items that failed don't wait for their time.
    """
    payload: dict[str, Any] = {"source": row.id, "deletions": deletions, "at_once": at_once}
    more: dict[str, Any] = {"kind": SYNC, "queue_key": f"source:{row.id}", "subject": row.id}
    job = await enqueue_once(session, row.tenant_id, **more, payload=payload)
    waiting = job.payload
    job.payload = {
        **payload,
        "deletions": max(deletions, waiting["deletions"]),
        "at_once": at_once or waiting.get("at_once", False),
    }
    row.job_id = job.id
    if row.status != "syncing":
        row.status = "waiting"
    return job.id


def _status(status: str, source: SourceRow, claim: Claim) -> str:
    """Return the status of a sync's end, or `waiting` where another sync was asked for meanwhile."""
    return status if source.job_id == claim.id else "waiting"


def _pause(failures: int) -> float:
    """Return the seconds before another attempt after so many failures in a row."""
    return min(_FIRST_RETRY_SECONDS * 2 ** (min(failures, 20) - 1), LAST_RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class _Work:
    """One run: the source as it was at its begin, what was known of it, and the plan."""

    source: SourceRow
    last_items: Mapping[str, SyncedItem]
    present: frozenset[str]
    index: RetrieverInfo | None


class SyncHandler:
    """Handles jobs of the kind `sync`; their subject is a source.

    An item's document and the note that it was put are one commit, so that a run that was killed goes on where it was,
    and one that has lost its lease writes nothing. The listing is made anew by each run.
    """

    def __init__(
        self, artifacts: Artifacts, retriever: Retriever, storage: TenantStorage, open_reader: OpenReader
    ) -> None:
        self._artifacts = artifacts
        self._retriever = retriever
        self._storage = storage
        self._open_reader = open_reader

    async def run(self, claim: Claim) -> None:
        async with claim.begin() as session:
            source = await SourceRepository(session, claim.tenant).lock(claim.payload["source"])
            if source is None:
                return
            if source.live_name is not None:
                source.status, source.started_at = "syncing", int(time.time())
                source.done, source.total, source.next_at = 0, 0, None
            tenant_name = await find_tenant_name(session, claim.tenant)
        if source.live_name is None:
            await _remove(claim, source)
            return
        try:
            async with self._open_reader(source, tenant_name or "") as reader:
                await self._sync(claim, source, reader)
        except SourceBusy as error:
            if error.until is not None:
                await _note_busy(claim, source.id, error.until)
            raise JobFailed("source_busy", blur(str(error))) from error
        except SourceUnreadable as error:
            raise JobFailed("source_unreadable", blur(str(error))) from error

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write why the sync ended, and when the schedule tries again."""
        source = await SourceRepository(session, claim.tenant).lock(claim.payload["source"])
        if source is None:
            return
        if source.live_name is None:
            source.next_at = time.time() + _FIRST_RETRY_SECONDS  # what is being removed goes, whatever it takes
            return
        source.status = _status("failed", source, claim)
        source.error_code, source.error_message = outcome.code, (outcome.message or "")[:_MESSAGE_LENGTH] or None
        source.failures += 1
        is_told = outcome.code == "source_busy" and source.next_at is not None
        if source.interval_seconds is not None and not is_told:
            source.next_at = time.time() + max(_pause(source.failures), min(source.interval_seconds, 3600.0))

    async def _sync(self, claim: Claim, source: SourceRow, reader: Reader) -> None:
        work = await self._begin(claim, source)
        listing = await reader.scan(
            {key: one.version for key, one in work.last_items.items() if one.version is not None}
        )
        now = math.inf if claim.payload.get("at_once") else time.time()
        confirmed = int(claim.payload.get("deletions", 0))
        plan = compare(listing, work.last_items, work.present, now=now, confirmed=confirmed)
        failpoint("sync-listed")
        if plan.asks:
            await _ask(claim, source.id, plan)
            return
        await _note_unread(claim, source.id, listing)
        for number, key in enumerate(plan.put):
            if claim.cancelled.is_set():
                raise JobCancelled
            try:
                await self._put(claim, work, reader, listing, key, (number + 1, len(plan.put)))
            except SourceBusy as error:  # what was read while it was listed is put all the same
                listing = replace(listing, busy_until=error.until)
        failpoint("sync-put")
        for start in range(0, len(plan.delete), _BATCH):
            await _delete(claim, source, plan.delete[start : start + _BATCH])
            failpoint("sync-deleted")
        await _finish(claim, source.id, listing)

    async def _begin(self, claim: Claim, source: SourceRow) -> _Work:
        try:
            index = await self._retriever.describe()
        except RetrieverError:
            index = None
        async with claim.begin() as session:
            try:
                await check_stores(session, claim.tenant, [source.store_id], param="vector_store_id")
            except BraidError as error:
                raise JobFailed("store_missing", error.message) from error
            rows = await SourceItemRepository(session, claim.tenant).list_all(SourceItemRow.source_id == source.id)
            fed = await list_fed(session, claim.tenant, source.store_id, source.prefix)
        present = {one.key.removeprefix(source.prefix) for one in fed if one.error_code != "server_error"}
        last_items = {row.key: SyncedItem(row.version, row.retry_at, row.failed_version) for row in rows}
        return _Work(source, last_items, frozenset(present), index)

    async def _put(
        self, claim: Claim, work: _Work, reader: Reader, listing: Listing, key: str, progress: tuple[int, int]
    ) -> None:
        """Read one item and put it; what is wrong with it is noted, and the others go on."""
        source = work.source
        try:
            async with aclosing(self._storage.pass_on(claim.tenant, reader.read(key))) as parts:
                artifact = await self._artifacts.put(parts)
            if not artifact.size:
                raise ItemUnreadable("It is empty.")
            failpoint("sync-read")
            async with claim.begin() as session:
                await put_fed(
                    *(session, claim.tenant, source.store_id, source.prefix + key, artifact),
                    attributes=_attributes(source, listing.urls.get(key)),
                    present=work.index,
                    storage=self._storage,
                )
                await _note_put(session, source, key, listing.items[key], artifact, progress)
        except InsufficientStorage as error:  # of no item, and no failure
            raise JobDelayed(str(error), seconds=_SHORTAGE_SECONDS) from error
        except (ItemUnreadable, BraidError) as error:
            async with claim.begin() as session:
                reason = error if isinstance(error, ItemUnreadable) else ItemUnreadable(str(error))
                await note_failure(session, claim.tenant, source.id, key, reason, listing.items[key])


def _attributes(source: SourceRow, url: str | None) -> dict[str, Any]:
    own = {"url": url} if url is not None and len(url) <= _URL_LENGTH else {}
    return {**own, **source.attributes}


async def _note_put(
    session: AsyncSession, source: SourceRow, key: str, version: str, artifact: StoredBytes, progress: tuple[int, int]
) -> None:
    row = await _item(session, source.tenant_id, source.id, key)
    row.version, row.digest = version, artifact.digest
    row.error_message, row.failures, row.retry_at, row.failed_version = None, 0, None, None
    count, total = progress
    sources = SourceRepository(session, source.tenant_id)
    if not await sources.update_rows(SourceRow.id == source.id, done=count, total=total):
        raise JobCancelled  # the source was deleted: this document would be nobody's


async def note_failure(
    session: AsyncSession,
    tenant: str,
    source: str,
    key: str,
    error: ItemUnreadable,
    version: str | None = None,
) -> None:
    """Note why an item couldn't be read, without places of this machine, and when that version is tried again.

    One whose reason is lasting waits as long as one that has failed again and again, and none waits longer, whatever
    the source says.
    """
    if await SourceRepository(session, tenant).find(source) is None:
        raise JobCancelled
    row = await _item(session, tenant, source, key)
    row.error_message = blur(str(error))[:_MESSAGE_LENGTH]
    row.failures = row.failures + 1 if row.failed_version == version else 1
    now = time.time()
    regular = now + (LAST_RETRY_SECONDS if error.lasting else _pause(row.failures))
    row.retry_at = min(max(regular, error.until or 0.0), now + LAST_RETRY_SECONDS)
    row.failed_version = version


async def _note_busy(claim: Claim, id: str, until: float) -> None:
    """Note when a source that can't be listed wants to be asked again, within the bounds of its schedule."""
    async with claim.begin() as session:
        source = await SourceRepository(session, claim.tenant).lock(id)
        if source is not None and source.live_name is not None and source.interval_seconds is not None:
            now = time.time()
            source.next_at = min(max(until, now + _pause(source.failures + 1)), now + source.interval_seconds)


async def _note_unread(claim: Claim, source: str, listing: Listing) -> None:
    keys = sorted(listing.unread)
    for start in range(0, len(keys), _BATCH):
        async with claim.begin() as session:
            for key in keys[start : start + _BATCH]:
                until = listing.unread_until.get(key)
                error = ItemUnreadable(listing.unread[key], lasting=key in listing.lasting, until=until)
                await note_failure(session, claim.tenant, source, key, error)


async def _item(session: AsyncSession, tenant: str, source: str, key: str) -> SourceItemRow:
    items = SourceItemRepository(session, tenant)
    row = await items.by_key(source, key)
    if row is None:
        row = SourceItemRow(id=new_id("item_"), created_at=int(time.time()), source_id=source, key=key, failures=0)
        items.add(row)
    return row


async def _delete(claim: Claim, source: SourceRow, keys: Sequence[str]) -> None:
    async with claim.begin() as session:
        await delete_fed(session, claim.tenant, source.store_id, [source.prefix + key for key in keys])
        await SourceItemRepository(session, claim.tenant).erase(source.id, keys)


async def _ask(claim: Claim, id: str, plan: Plan) -> None:
    """Stop before anything is done: somebody may have emptied the source by mistake, or it may be the wrong one."""
    async with claim.begin() as session:
        source = await SourceRepository(session, claim.tenant).lock(id)
        if source is not None:
            source.status, source.deletions = _status("needs_confirmation", source, claim), plan.deletions
            source.error_code = source.error_message = None
            if source.interval_seconds is not None:  # what was emptied by mistake may come back
                source.next_at = time.time() + source.interval_seconds


async def _finish(claim: Claim, id: str, listing: Listing) -> None:
    async with claim.begin() as session:
        source = await SourceRepository(session, claim.tenant).lock(id)
        if source is None or source.live_name is None:
            return
        now = time.time()
        source.status, source.synced_at, source.revision = _status("synced", source, claim), int(now), listing.revision
        source.deletions, source.failures, source.position = 0, 0, listing.position
        items = SourceItemRepository(session, claim.tenant)
        source.error_code, source.error_message = await _describe_failed(items, id)
        if source.interval_seconds is not None:
            moments = [one for one in (await items.find_next_retry(id), listing.busy_until) if one is not None]
            regular = now + source.interval_seconds
            source.next_at = min(regular, max(*moments, now + _FIRST_RETRY_SECONDS)) if moments else regular


async def _describe_failed(items: SourceItemRepository, id: str) -> tuple[str | None, str | None]:
    """Return code and message for a source of which items couldn't be read; the message names one, and its reason."""
    failed = await items.find_failed(id)
    if failed is None:
        return None, None
    (_, count) = (await items.count([id]))[id]
    others = f" and {format_count(count - 1, 'other')}" if count > 1 else ""
    return "items_failed", f"{failed.key!r}{others} couldn't be read: {failed.error_message}"[:_MESSAGE_LENGTH]


async def _remove(claim: Claim, source: SourceRow) -> None:
    """Delete a source that is being removed, with its documents."""
    while True:
        async with claim.begin() as session:
            items = SourceItemRepository(session, claim.tenant)
            page = await items.list_page(SourceItemRow.source_id == source.id, limit=_BATCH)
            keys = [row.key for row in page.rows]
            await delete_fed(session, claim.tenant, source.store_id, [source.prefix + key for key in keys])
            await items.erase(source.id, keys)
            if not page.has_more:
                await SourceRepository(session, claim.tenant).erase(source.id)
                return
