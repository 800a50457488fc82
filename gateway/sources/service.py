"""A tenant's sources."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.counts import format_count
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.ids import new_id
from gateway.jobs import cancel
from gateway.pages import PageRequest
from gateway.sources.kinds import OriginCheck
from gateway.sources.reader import SourceUnreadable
from gateway.sources.repository import SourceItemRepository, SourceRepository, match_failed
from gateway.sources.schemas import (
    Source,
    SourceCreate,
    SourceDeleted,
    SourceError,
    SourceItem,
    SourceItemList,
    SourceList,
    SourceSync,
)
from gateway.sources.sync_job import ask_for_sync
from gateway.sources.tables import SourceItemRow, SourceRow
from gateway.vector_stores.feed import FedDocument, FedStates, list_fed, read_states
from gateway.vector_stores.service import check_stores

__all__ = ["SourceService"]

_MOST_SOURCES = 100
_ITEMS_FAILED = "items_failed"
_AGAIN_SECONDS = 60.0  # before the removal of one is asked for again, if that failed


@dataclass(frozen=True, slots=True)
class _Figures:
    """The numbers of items, of those that failed, and of documents still being read; `error` names one that failed."""

    items: int
    failed: int
    reading: int
    error: SourceError | None


_NO_FIGURES = _Figures(0, 0, 0, None)


class SourceService:
    """One tenant's sources.

    Args:
        session: The unit of work.
        tenant: The tenant's id.
        tenant_name: Its name, by which the operator allows places.
        check_origin: Refuses an origin that the tenant may not read.
    """

    def __init__(self, session: AsyncSession, tenant: str, tenant_name: str, check_origin: OriginCheck) -> None:
        self._session = session
        self._tenant = tenant
        self._tenant_name = tenant_name
        self._check_origin = check_origin
        self._sources = SourceRepository(session, tenant)
        self._items = SourceItemRepository(session, tenant)

    async def create(self, request: SourceCreate) -> Source:
        """Make a source, and have it synchronised."""
        await check_stores(self._session, self._tenant, [request.vector_store_id], param="vector_store_id")
        try:
            await asyncio.to_thread(self._check_origin, request.origin, self._tenant_name)
        except SourceUnreadable as error:
            raise BadRequest(str(error), param="origin", code="source_not_allowed") from error
        prefix = f"{request.name}/" if request.prefix is None else request.prefix
        await self._check_names(request, prefix)
        row = SourceRow(
            id=new_id("src_"),
            created_at=int(time.time()),
            name=request.name,
            live_name=request.name,
            store_id=request.vector_store_id,
            kind=request.origin.kind,
            origin=request.origin.model_dump(),
            prefix=prefix,
            include=request.include,
            exclude=request.exclude,
            hidden=request.hidden,
            attributes=request.attributes,
            interval_seconds=request.interval_seconds,
            status="waiting",
            deletions=0,
            done=0,
            total=0,
            failures=0,
        )
        self._sources.add(row)
        await self._session.flush()
        await ask_for_sync(self._session, row)
        return _schema(row, _NO_FIGURES)

    async def list(self, request: PageRequest) -> SourceList:
        page = await self._sources.list_page(SourceRow.live_name.is_not(None), **asdict(request))
        counts = await self._items.count([row.id for row in page.rows])
        figures = [await self._read_figures(row, counts[row.id]) for row in page.rows]
        return SourceList.of([_schema(row, of) for row, of in zip(page.rows, figures, strict=True)], page)

    async def get(self, id: str) -> Source:
        return await self._describe(await self._live(id))

    async def sync(self, id: str, request: SourceSync) -> Source:
        """Have a source synchronised now, also the items that wait because they failed."""
        row = await self._live(id)
        await ask_for_sync(self._session, row, deletions=request.confirm_deletions, at_once=True)
        await self._session.flush()
        return await self._describe(row)

    async def delete(self, id: str, *, keep_documents: bool) -> SourceDeleted:
        """Delete a source: with the documents that it put, unless they are kept, which then belong to nobody's sync."""
        row = await self._live(id)
        if row.job_id is not None:
            await cancel(self._session, self._tenant, row.job_id)
        if keep_documents:
            await self._items.delete_rows(SourceItemRow.source_id == id)
            await self._sources.erase(id)
            return SourceDeleted(id=id, job=None)
        job = await ask_for_sync(self._session, row)
        row.live_name, row.status, row.next_at = None, "removing", time.time() + _AGAIN_SECONDS
        return SourceDeleted(id=id, job=job)

    async def list_items(self, id: str, request: PageRequest, failed: bool | None) -> SourceItemList:
        source = await self._live(id)
        where = [SourceItemRow.source_id == id]
        if failed is not None:
            states = await self._read_states(source)
            where.append(match_failed(states.failed) if failed else ~match_failed(states.failed))
        page = await self._items.list_page(*where, **asdict(request))
        keys = [source.prefix + row.key for row in page.rows]
        fed = await list_fed(self._session, self._tenant, source.store_id, source.prefix, keys)
        documents = {one.key: one for one in fed}
        return SourceItemList.of([_item(row, source, documents) for row in page.rows], page)

    async def _describe(self, row: SourceRow) -> Source:
        return _schema(row, await self._read_figures(row, (await self._items.count([row.id]))[row.id]))

    async def _read_figures(self, row: SourceRow, counts: tuple[int, int]) -> _Figures:
        """Count also the documents that are still being read, and those that couldn't be: no sync waits for them."""
        items, failed = counts
        states = await self._read_states(row)
        if not states.failed:
            return _Figures(items, failed, states.reading, None)
        first = await self._items.find_with_failed_document(row.id, states.failed)
        if first is None:  # its items went meanwhile
            return _Figures(items, failed, states.reading, None)
        failed = await self._items.count_failed(row.id, states.failed)
        (document,) = await list_fed(
            self._session, self._tenant, row.store_id, row.prefix, [row.prefix + first.key]
        ) or (None,)
        reason = (document.error_message if document else None) or "its document failed"
        others = f" and {format_count(failed - 1, 'other')}" if failed > 1 else ""
        error = SourceError(code=_ITEMS_FAILED, message=f"{first.key!r}{others} couldn't be read: {reason}")
        return _Figures(items, failed, states.reading, error)

    async def _read_states(self, row: SourceRow) -> FedStates:
        keys = self._items.select_keys(row.id, row.prefix)
        return await read_states(self._session, self._tenant, row.store_id, row.prefix, keys)

    async def _live(self, id: str) -> SourceRow:
        row = await self._sources.lock(id)
        if row is None or row.live_name is None:
            raise NotFound(f"No source with id {id!r} exists. List yours to see their ids.", param="source_id")
        return row

    async def _check_names(self, request: SourceCreate, prefix: str) -> None:
        sources = await self._sources.list_all(SourceRow.live_name.is_not(None))
        if len(sources) >= _MOST_SOURCES:
            raise Conflict(f"A tenant has at most {_MOST_SOURCES} sources. Delete one that isn't needed.")
        for other in sources:
            if other.name == request.name:
                raise Conflict(f"A source is called {request.name!r} already. Choose another name.", param="name")
            same = other.store_id == request.vector_store_id
            if same and (prefix.startswith(other.prefix) or other.prefix.startswith(prefix)):
                raise Conflict(
                    f"The source {other.name!r} puts documents below {other.prefix!r} in the same store, and two would "
                    f"fight for those below {prefix!r}. Choose another prefix.",
                    param="prefix",
                )


def _schema(row: SourceRow, figures: _Figures) -> Source:
    error = figures.error
    if row.error_code is not None:
        error = SourceError(code=row.error_code, message=row.error_message or "")
    return Source.model_validate(
        {
            **{name: getattr(row, name) for name in _SAME},
            "vector_store_id": row.store_id,
            "error": error,
            "items": figures.items,
            "failed": figures.failed,
            "reading": figures.reading,
            "job": row.job_id,
            "next_sync_at": None if row.next_at is None else int(row.next_at),
        }
    )


_SAME: Sequence[str] = (
    *("id", "created_at", "name", "origin", "prefix", "include", "exclude", "hidden", "attributes"),
    *("interval_seconds", "status", "done", "total", "deletions", "revision", "started_at", "synced_at"),
)
"""Members that are called as the columns are."""


def _item(row: SourceItemRow, source: SourceRow, documents: Mapping[str, FedDocument]) -> SourceItem:
    document = documents.get(source.prefix + row.key)
    if document is not None:
        status = document.status
    else:
        status = "pending" if row.version is None else "missing"
    return SourceItem.model_validate(
        {
            **{name: getattr(row, name) for name in ("id", "key", "version", "digest", "failures")},
            "document_key": source.prefix + row.key,
            "status": status,
            "error": row.error_message or (document.error_message if document else None),
            "retry_at": None if row.retry_at is None else int(row.retry_at),
        }
    )
