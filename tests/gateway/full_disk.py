"""A database of SQLite whose disk is full for a while."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from gateway.db import Database

__all__ = ["full"]


@contextmanager
def full(database: Database) -> Generator[None]:
    """The database's disk has no room for another page meanwhile."""

    def limit(connection: Any, pages: int) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={pages}")  # never less than there are
        cursor.close()

    def fill(connection: Any, _record: object, _proxy: object) -> None:
        limit(connection, 1)

    def free(connection: Any, _record: object, _proxy: object) -> None:
        limit(connection, 2**31)

    engine = database.engine.sync_engine
    event.listen(engine, "checkout", fill)
    try:
        yield
    finally:
        event.remove(engine, "checkout", fill)
        event.listen(engine, "checkout", free)
