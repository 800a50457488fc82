"""One database: its engine, and the unit of work."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from gateway.db.sqlite_connection import SqliteConnection
from gateway.errors import InsufficientStorage

__all__ = [
    "Database",
    "explain_full_disk",
    "find_sqlite_file",
    "is_disk_full",
    "is_unavailable",
    "lock",
    "lock_connection",
    "open_database",
]

# A server that is gone without a word is noticed within seconds: by connecting, and on connections that wait.
_CONNECTING = {
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}  # fmt: skip

_CLOSING_SECONDS = 2.0
_TAKES_NOTHING = ("53100", "25006")  # PostgreSQL's, of a full disk and of a server that only reads
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


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

    async def is_writable(self) -> bool:
        """Tell whether a unit of work that writes can begin; in SQLite it waits for its turn, ten seconds at most."""
        try:
            async with self._write() as session, session.begin():
                await session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Open a unit of work that only reads: it never waits for a writer."""
        async with self._read() as session, session.begin():
            yield session


def is_disk_full(error: BaseException) -> bool:
    """Tell whether a statement failed because the database's disk takes nothing more, whatever was to be written.

    It is full, or its owner's quota is, which SQLite tells like a disk that fails; or it is read-only.
    """
    cause = getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_READONLY:  # with the reason in its higher bits
        return True
    return code in _SQLITE_FULL or getattr(cause, "sqlstate", None) in _TAKES_NOTHING


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database couldn't be used, now or as it is, whatever was asked of it."""
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout) or is_disk_full(error)


def explain_full_disk() -> InsufficientStorage:
    """Return the error for who would write to a database whose disk is full."""
    return InsufficientStorage(
        "The disk of the server's database takes nothing more: it is full, over a quota, or read-only. Nothing can be "
        "written until its operator has seen to that; answers go on. Try again later."
    )


@asynccontextmanager
async def open_database(
    url: str, *, connections: int = 20, wait_seconds: float = 5.0, statement_seconds: float = 30.0
) -> AsyncGenerator[Database]:
    """Open the database at `url`; the schema is brought up to date by `gateway.migrations`.

    Args:
        url: As SQLAlchemy has it, with a driver that works in an event loop.
        connections: Open at the same time at most.
        wait_seconds: The longest wait for one of them; then `sqlalchemy.exc.TimeoutError`.
        statement_seconds: A PostgreSQL server ends statements that take longer; 0: none.
    """
    address = make_url(url)
    sqlite, on_disk = address.get_backend_name() == "sqlite", address.database not in (None, "", ":memory:")
    if sqlite and address.database and on_disk:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {}
    threads: set[Thread] = set()
    if sqlite:
        options["connect_args"] = {"async_creator_fn": partial(_connect_sqlite, threads)}
    if on_disk:
        options |= {"pool_size": connections, "max_overflow": 0, "pool_timeout": wait_seconds}
    if not sqlite:
        options["pool_pre_ping"] = True  # a connection may have died while it was idle
    if address.get_driver_name() == "psycopg":
        limit = {"options": f"-c statement_timeout={round(statement_seconds * 1000)}"} if statement_seconds else {}
        options["connect_args"] = {
            key: value for key, value in {**_CONNECTING, **limit}.items() if key not in address.query
        }
    engine = create_async_engine(
        address,
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        hide_parameters=True,  # errors are logged, and parameters hold documents, templates and keys' digests
        **options,
    )
    if sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "invalidate", _roll_back_sqlite)
        event.listen(engine.sync_engine, "before_cursor_execute", _refuse_nul)
    else:
        event.listen(engine.sync_engine, "handle_error", _hide_values)
    try:
        yield Database(engine)
    finally:
        await engine.dispose()
        for thread in threads:
            # One may still work for a task that was cancelled, and has to find this event loop when it is done.
            if thread.ident:  # it was started
                await asyncio.to_thread(thread.join, _CLOSING_SECONDS)


def find_sqlite_file(url: str) -> Path | None:
    """Return the file of a database; None where a server keeps it."""
    address = make_url(url)
    return Path(address.database) if address.get_backend_name() == "sqlite" and address.database else None


async def lock(session: AsyncSession, name: str) -> None:
    """Let one unit of work at a time go on that locks this name, until it ends.

    For what a unit of work decides by rows that aren't there yet, and so can't be locked themselves. SQLite has one
    writer at a time in any case.
    """
    await (await session.connection()).run_sync(lock_connection, name)


def lock_connection(connection: Connection, name: str) -> None:
    """Do what `lock` does, for a transaction that belongs to no session."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's implicit BEGIN is deferred, and then an upgrade fails at once
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _connect_sqlite(threads: set[Thread], *arguments: Any, **options: Any) -> Any:
    """Return a connection to be awaited; its thread is noted at once: the task may be cancelled while it connects."""
    connection: Any = SqliteConnection(*arguments, **options)
    connection._thread.daemon = True
    threads.difference_update([thread for thread in threads if thread.ident and not thread.is_alive()])
    threads.add(connection._thread)
    return connection


def _begin_sqlite(connection: Connection) -> None:
    read = connection.get_execution_options().get("braid_read")
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")


def _refuse_nul(
    _connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: object, many: bool
) -> None:
    """Refuse a text with the character 0 as PostgreSQL does: SQLite would keep it, and end it there in comparisons.

    Raises:
        DataError: As a driver's own.
    """
    for row in parameters if many else (parameters,):
        values: Iterable[object] = cast("dict[str, object]", row).values() if isinstance(row, dict) else row
        for value in values:
            if isinstance(value, str) and "\0" in value:
                raise DataError(statement, None, ValueError("a text has the character 0"), hide_parameters=True)


def _hide_values(context: ExceptionContext) -> None:
    """Leave out of a server's error what it quotes of rows and parameters; `hide_parameters` is about SQLAlchemy's."""
    original = context.original_exception
    state: str | None = getattr(original, "sqlstate", None)
    if state is None:
        return
    # The lines after the first are details: the row, the key, the statement. Class 22 is about values, and quotes one.
    text = f"a value doesn't fit (SQLSTATE {state})" if state.startswith("22") else str(original).partition("\n")[0]
    original.args = (text,)
    if (error := context.sqlalchemy_exception) is not None:
        error.args = (f"({type(original).__name__}) {text}",)


def _roll_back_sqlite(connection: Any, _record: Any, _error: object) -> None:
    """End the transaction of a connection that is given up since its task was cancelled in mid-statement.

    Closing alone does so only when the statement's cursor has been collected, and till then nobody could write.
    """
    with suppress(SQLAlchemyError):  # there is nobody left to wait, or no transaction
        connection.rollback()
