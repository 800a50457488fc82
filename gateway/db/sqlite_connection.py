"""SQLite's connections, which run a statement in one turn of their thread."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import aiosqlite

__all__ = ["SqliteConnection"]


class SqliteConnection(aiosqlite.Connection):
    """A connection to be awaited, as `aiosqlite.connect` returns it, with the cursors that SQLAlchemy needs.

    aiosqlite hands each step of a statement to the connection's thread: to make the cursor, to run the statement, to
    fetch its rows, to close. To change threads costs more than most statements do: a read of one row did it nine
    times with its transaction, and does it four times.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(partial(sqlite3.connect, *arguments, **options), iter_chunk_size=64)

    def cursor(self) -> Any:
        return _Cursor(self)

    async def run(self, many: bool, sql: str, parameters: Sequence[Any]) -> "_Outcome":
        """Run a statement and take all of its rows.

        Raises:
            ValueError: The connection is closed.
        """
        return await self._execute(self._run, many, sql, parameters)

    def _run(self, many: bool, sql: str, parameters: Sequence[Any]) -> "_Outcome":
        cursor = self._conn.cursor()
        try:
            if many:
                cursor.executemany(sql, parameters)
            else:
                cursor.execute(sql, parameters)
            return _Outcome(cursor)
        finally:
            # Here, and not when it is collected: an open one keeps the transaction of a task that was cancelled.
            cursor.close()


class _Outcome:
    """All that is to know of a statement that has run."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.description: Any = cursor.description
        self.rows: list[Any] = cursor.fetchall() if cursor.description else []
        self.rowcount = cursor.rowcount  # known of one with RETURNING when its rows have been read
        self.lastrowid = cursor.lastrowid


class _Cursor:
    """A cursor, as far as SQLAlchemy asks one of aiosqlite."""

    arraysize = 1
    description: Any = None
    rowcount = -1
    lastrowid: int | None = None

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        return self._take(await self._connection.run(False, sql, parameters))

    async def executemany(self, sql: str, parameters: Sequence[Any]) -> Self:
        return self._take(await self._connection.run(True, sql, parameters))

    def _take(self, outcome: _Outcome) -> Self:
        self.description, self._rows = outcome.description, outcome.rows
        self.rowcount, self.lastrowid = outcome.rowcount, outcome.lastrowid
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Do nothing: the statement's own cursor was closed when it had run."""
