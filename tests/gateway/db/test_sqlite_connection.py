"""SQLite's statements as SQLAlchemy has them run: in one turn of the connection's thread each."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from gateway.db import Database, open_database
from gateway.db.sqlite_connection import SqliteConnection


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as opened:
        async with opened.begin() as session:
            await session.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
        yield opened


async def test_a_read_of_rows_changes_threads_four_times(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    execute = SqliteConnection._execute  # pyright: ignore[reportPrivateUsage]

    async def count(connection: SqliteConnection, function: Any, *arguments: Any) -> Any:
        turns.append(arguments[1] if len(arguments) > 1 else function.__name__)
        return await execute(connection, function, *arguments)

    monkeypatch.setattr(SqliteConnection, "_execute", count)
    async with database.read() as session:
        assert (await session.scalars(text("SELECT n FROM numbers"))).all() == []
    assert turns == ["BEGIN", "SELECT n FROM numbers", "commit", "rollback"]


async def test_rows_counts_and_faults_are_those_of_the_statement(database: Database) -> None:
    async with database.begin() as session:
        many = await session.execute(text("INSERT INTO numbers VALUES (:n)"), [{"n": n} for n in range(5)])
        assert many.rowcount == 5  # type: ignore[attr-defined]
        returned = await session.execute(text("DELETE FROM numbers WHERE n > 2 RETURNING n"))
        assert sorted(returned.scalars().all()) == [3, 4]
        changed = await session.execute(text("UPDATE numbers SET n = n + 10 WHERE n < 2"))
        assert changed.rowcount == 2  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError):
        async with database.begin() as session:
            await session.execute(text("INSERT INTO numbers VALUES (2)"))
    async with database.read() as session:
        numbers = await session.execute(text("SELECT n AS number FROM numbers ORDER BY n"))
        assert list(numbers.keys()) == ["number"]
        assert numbers.scalars().all() == [2, 10, 11]
