"""The second retriever of `braid up`: there while documents move to another index, and only then."""

import asyncio
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import open_database
from gateway.processes import Child
from gateway.settings import Settings
from gateway.stack.children import make_retriever
from gateway.stack.readiness import describe_change
from gateway.vector_stores.index_migration_repository import find_open_migration, note_problem

__all__ = ["SecondRetriever", "read_second_retriever"]

_log = structlog.get_logger()

_POLL_SECONDS = 2.0


async def read_second_retriever(settings: Settings) -> tuple[Settings, bool] | None:
    """Return the settings of the retriever that the open move needs beside the configured one; None without a move.

    That is the target's, and the source's once Braid was restarted with the target's settings. Also returned is whether
    searches ask it.
    """
    async with open_database(settings.database) as database, database.read() as session:
        migration = await find_open_migration(session)
    if migration is None:
        return None
    source = {"embedder": migration.source_embedder, "qdrant_url": migration.source_url}
    target = {"embedder": migration.target_embedder, "qdrant_url": migration.target_url}
    configured = {"embedder": settings.embedder, "qdrant_url": settings.qdrant_url}
    if configured == target:
        return settings.model_copy(update=source), migration.live_index == migration.source_index
    return settings.model_copy(update=target), migration.live_index == migration.target_index


class SecondRetriever:
    """Starts and stops the second retriever as moves begin and end; `tell` gets a line for either, and for each fall.

    Why it fell is noted in the move, too: who waits for that knows nothing of this process.
    """

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._tell = tell
        self._child: Child | None = None
        self._place: tuple[str, str] | None = None
        self._problem: str | None = None

    async def settle(self) -> Child | None:
        """Make the process what the database wants; return it where searches ask it, and have to wait for it."""
        needs = await read_second_retriever(self._settings)
        place = None if needs is None else (needs[0].embedder, needs[0].qdrant_url)
        if place is not None and place != self._place:
            await self.stop()  # of another move, which ended when nobody looked
        self._place = place
        if needs is not None and self._child is None:
            self._child = make_retriever(needs[0], second=True)
            await self._child.start()
            await self._note_problem(None)
            self._tell(f"{self._child.name}: started, since documents move to another index")
        elif needs is None and self._child is not None:
            await self.stop()
            self._tell("second-retriever: stopped, since no documents move any more")
        return self._child if needs is not None and needs[1] else None

    async def run(self) -> None:
        """Follow the database until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self.settle()
                await self.tell_fall()
            except SQLAlchemyError as error:
                _log.warning("second_retriever_not_settled", reason=str(error))

    async def tell_fall(self) -> None:
        """Tell and note a fall or a recovery, if there was one since the last look."""
        if self._child is None or (problem := self._child.state.reason or None) == self._problem:
            return
        self._tell(describe_change(self._child))
        await self._note_problem(problem)

    async def _note_problem(self, problem: str | None) -> None:
        async with open_database(self._settings.database) as database, database.begin() as session:
            await note_problem(session, problem)
        self._problem = problem

    async def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.stop()
