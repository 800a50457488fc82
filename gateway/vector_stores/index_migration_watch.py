"""The work behind a move of all documents to another index, as far as it belongs to no store: a worker's loop."""

import asyncio
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import Database
from gateway.vector_stores.index_migration_repository import (
    find_migration,
    find_open_migration,
    list_mirrored_stores,
    list_stores_behind,
    name_target,
)
from gateway.vector_stores.mirror import MIRROR
from gateway.vector_stores.store_queue import ask_for_work
from gateway.vector_stores.tables import IndexMigrationRow
from retrieval.client import Retriever, RetrieverError

__all__ = ["IndexMigrationWatch"]

_log = structlog.get_logger()

_IDLE_SECONDS = 2.0
_BUSY_SECONDS = 0.5


class IndexMigrationWatch:
    """Has every store brought into the second index while a move is open, and taken out of it when that ends.

    Any number of workers may do it at the same time.
    """

    def __init__(self, database: Database, retriever: Retriever) -> None:
        self._database = database
        self._retriever = retriever

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                busy = await self.step()
            except (RetrieverError, SQLAlchemyError) as error:
                _log.warning("index_migration_waits", reason=str(error))
                busy = False
            await asyncio.sleep(_BUSY_SECONDS if busy else _IDLE_SECONDS)

    async def step(self) -> bool:
        """Do what the open move needs now; false where there is none."""
        async with self._database.read() as session:
            migration = await find_open_migration(session)
        if migration is None:
            return False
        if migration.phase in ("cancelling", "finishing"):
            await self._end(migration)
        elif migration.mirror_index is not None:
            await self._copy(migration.mirror_index)
        else:
            await self._name_target(migration)
        return True

    async def _name_target(self, migration: IndexMigrationRow) -> None:
        for info in await self._retriever.describe_all():
            if info.index != migration.source_index:
                async with self._database.begin() as session:
                    await name_target(session, migration.id, info.index)
                _log.info("index_migration_begins", migration=migration.id, index=info.index)

    async def _copy(self, mirror: str) -> None:
        async with self._database.read() as session:
            behind = await list_stores_behind(session, mirror)
        for store in behind:
            async with self._database.begin() as session:
                await ask_for_work(session, store.tenant_id, MIRROR, store.id)

    async def _end(self, migration: IndexMigrationRow) -> None:
        async with self._database.read() as session:
            mirrored = await list_mirrored_stores(session)
        for store in mirrored:
            async with self._database.begin() as session:
                await ask_for_work(session, store.tenant_id, MIRROR, store.id)
        if mirrored:
            return
        async with self._database.begin() as session:
            row = await find_migration(session, migration.id)
            if row is not None and row.phase == migration.phase:
                row.phase = {"cancelling": "cancelled", "finishing": "finished"}[row.phase]
                row.ended_at = int(time.time())
