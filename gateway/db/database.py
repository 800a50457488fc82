"""One database: its engine, and the unit of work."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

__all__ = ["Database", "open_database"]


class Database:
    """Gives units of work: one session and one transaction each, committed at the end or rolled back on an error.

    `revision` counts the writes of this process, so that what was read before one can be told from what is true now.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.revision = 0
        self._write = async_sessionmaker(engine, expire_on_commit=False)
        self._read = async_sessionmaker(engine.execution_options(braid_read=True), expire_on_commit=False)

    @asynccontextmanager
    async def begin(self, *, counted: bool = True) -> AsyncGenerator[AsyncSession]:
        """Open a unit of work that may write; one that only adds to logs needn't be `counted` in the revision."""
        try:
            async with self._write() as session, session.begin():
                yield session
        finally:
            self.revision += counted  # also where it failed: a commit can fail after it has taken effect

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Open a unit of work that only reads: it never waits for a writer."""
        async with self._read() as session, session.begin():
            yield session


@asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[Database]:
    """Open the database at `url`; the schema is brought up to date by `gateway.migrations`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        parsed,
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        hide_parameters=True,  # errors are logged, and parameters hold documents, templates and keys' digests
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    try:
        yield Database(engine)
    finally:
        await engine.dispose()


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's implicit BEGIN is deferred, and then an upgrade fails at once
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read = connection.get_execution_options().get("braid_read")
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")
