"""A restored database, and an index that isn't of its moment: no document counts as indexed until it is anew.

A living Qdrant server keeps its identity, so that a database from before would take what is there for its own: points
of that time may be gone, and those of documents that were deleted may have come back.
"""

import asyncio
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.vector_stores.index_migration_repository import find_open_migration, forget_indexes

__all__ = ["forget_restored_index", "is_moving_by_server", "note_restored_index"]

_log = structlog.get_logger()

_NAME = "index-not-restored"


async def is_moving_by_server(session: AsyncSession) -> bool:
    """Tell whether documents are moving from or to a Qdrant server, which goes on beside whatever is copied."""
    move = await find_open_migration(session)
    return move is not None and bool(move.source_url or move.target_url)


def note_restored_index(home: Path) -> None:
    """Note in a restored home folder that database and index don't belong together; the next start acts on it."""
    (home / _NAME).touch(mode=0o600)


async def forget_restored_index(database: Database, home: Path) -> None:
    """Have no store's documents in an index any more, if that is noted; a reindex brings them into the present one.

    Before the first search of a process. The note goes last: killed before that, the next start does it again.
    """
    note = home / _NAME
    if not await asyncio.to_thread(note.exists):
        return
    async with database.begin() as session:
        stores = await forget_indexes(session)
    await asyncio.to_thread(note.unlink, missing_ok=True)
    _log.warning("restored_without_index", stores=stores)
