"""The way to bring a database's schema up to date, and the refusal of one that is newer than this program."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.db.database import Database, lock_connection

__all__ = ["SchemaTooNew", "list_schemas", "migrate", "read_schema"]


class SchemaTooNew(Exception):
    """The database was written by a newer Braid."""


async def migrate(database: Database) -> None:
    """Run the migrations that are missing, in one transaction, so that a killed run can be repeated.

    Of processes that start at the same time one runs them, and the others wait for it.

    Raises:
        SchemaTooNew: The database is at a revision that this program doesn't know.
    """
    async with database.engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def read_schema(database: Database) -> str:
    """Return the revision of a database's schema, "" where it has none."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda one: MigrationContext.configure(one).get_current_revision()) or ""


def list_schemas() -> set[str]:
    """Return the revisions that this program can bring up to date."""
    return set(_list_revisions())


@cache
def _list_revisions() -> Sequence[str]:
    """List all revisions, the newest first. Reading the scripts takes longer than all else of a start."""
    return [script.revision for script in ScriptDirectory.from_config(make_configuration()).walk_revisions()]


def make_configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "scripts"))
    return config


def _upgrade(connection: Connection) -> None:
    lock_connection(connection, "schema")
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # a step may rewrite a large table
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in _list_revisions():
        raise SchemaTooNew(
            f"The database's schema is {current}, which this version of Braid doesn't know: a newer one wrote it. "
            "Start that version, or restore a backup from before the upgrade."
        )
    if current != _list_revisions()[0]:
        config = make_configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
