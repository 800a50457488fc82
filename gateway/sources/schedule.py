"""The schedule of syncs, and the watch over folders, from a worker's start on."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from sqlalchemy.exc import SQLAlchemyError
from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType] - an optional package of its types

from gateway.db import Database
from gateway.settings import Settings
from gateway.sources.folder import resolve_folder
from gateway.sources.path_filter import PathFilter
from gateway.sources.reader import SourceUnreadable
from gateway.sources.repository import SourceRepository, list_by_kind, list_due, take_turn, wake_sources
from gateway.sources.sync_job import ask_for_sync
from gateway.sources.tables import SourceRow
from gateway.tenants.service import find_tenant_name

__all__ = ["FolderWatch", "SyncSchedule"]

_log = structlog.get_logger()

_LOOK_SECONDS = 5.0
_BATCH = 100
_SETTLE_MS = 300
"""A change waits so long for others: programs write a file in several steps."""


class SyncSchedule:
    """Asks for the syncs whose time has come, of all tenants; of several workers' schedules one asks for each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.ask_for_due(time.time())
            except SQLAlchemyError as error:
                _log.warning("sources_unreadable", reason=str(error))
            await asyncio.sleep(_LOOK_SECONDS)

    async def ask_for_due(self, now: float) -> int:
        """Ask for what is due at a moment, and return the number."""
        async with self._database.read() as session:
            due = await list_due(session, now, _BATCH)
        asked_for = 0
        for row in due:
            async with self._database.begin() as session:
                if await take_turn(session, row):
                    source = await SourceRepository(session, row.tenant_id).get(row.id)
                    await ask_for_sync(session, source)
                    asked_for += 1
        return asked_for

    async def wake_sources(self, now: float) -> int:
        """Ask soon for what a clock that was ahead has put off, and return the number."""
        async with self._database.begin(counted=False) as session:
            return await wake_sources(session, now)


class FolderWatch:
    """Asks for a sync of a folder when something in it changes, where the operating system says so.

    What it misses, as on network disks, the schedule finds.
    """

    def __init__(self, database: Database, settings: Settings, *, look_seconds: float = _LOOK_SECONDS) -> None:
        self._database = database
        self._settings = settings
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self._watch(await self._find_folders())
            except (SQLAlchemyError, OSError) as error:
                _log.warning("folders_not_watched", reason=str(error))
                await asyncio.sleep(self._look_seconds)

    async def _find_folders(self) -> dict[str, tuple[SourceRow, str]]:
        """Return the sources to watch by their ids, with their real folders."""
        folders: dict[str, tuple[SourceRow, str]] = {}
        async with self._database.read() as session:
            for row in await list_by_kind(session, "folder"):
                tenant_name = await find_tenant_name(session, row.tenant_id)
                if not row.origin.get("watch", True) or tenant_name is None:
                    continue
                try:
                    path = resolve_folder(self._settings.source_folders, row.origin["path"], tenant_name)
                except SourceUnreadable:
                    continue  # the sync says so to its owner
                folders[row.id] = (row, str(path))
        return folders

    async def _watch(self, folders: Mapping[str, tuple[SourceRow, str]]) -> None:
        """Watch some folders until there are others to watch."""
        if not folders:
            await asyncio.sleep(self._look_seconds)
            return
        change = asyncio.Event()
        look = asyncio.create_task(self._look_for_others(set(folders), change))
        try:
            paths = {path for _, path in folders.values()}
            async for changes in awatch(*paths, stop_event=change, debounce=_SETTLE_MS, step=50, watch_filter=None):
                names = {path for _, path in changes}
                for row, folder in folders.values():
                    if any(_concerns(row, folder, name) for name in names):
                        await self._ask(row)
        finally:
            look.cancel()
            await asyncio.gather(look, return_exceptions=True)

    async def _look_for_others(self, watched: set[str], change: asyncio.Event) -> None:
        while not change.is_set():
            await asyncio.sleep(self._look_seconds)
            try:
                if set(await self._find_folders()) != watched:
                    change.set()
            except SQLAlchemyError as error:
                _log.warning("sources_unreadable", reason=str(error))

    async def _ask(self, row: SourceRow) -> None:
        async with self._database.begin() as session:
            source = await SourceRepository(session, row.tenant_id).lock(row.id)
            if source is not None:
                await ask_for_sync(session, source)


def _concerns(row: SourceRow, folder: str, path: str) -> bool:
    """Tell whether a change at a path may change what a source has; that of a folder always may."""
    if not path.startswith(f"{folder}/"):
        return path == folder
    inside = path.removeprefix(f"{folder}/")
    paths = PathFilter(row.include, row.exclude, hidden=row.hidden)
    return paths.takes(inside) or paths.enters(inside)
