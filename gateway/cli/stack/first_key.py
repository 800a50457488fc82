"""The database's schema, and the first key to it."""

from gateway.administration.service import ensure_admin
from gateway.cli.exits import CliError
from gateway.db import open_database
from gateway.errors import BraidError
from gateway.migrations import SchemaTooNew, migrate
from gateway.settings import Settings

__all__ = ["prepare_database"]


async def prepare_database(settings: Settings) -> str | None:
    """Bring the schema up to date and see to an admin key; returns a newly made one, to be shown once.

    Raises:
        CliError: The database is newer than this program, or the given key is unfit.
    """
    given = settings.admin_key.get_secret_value() if settings.admin_key else None
    try:
        async with open_database(settings.database) as database:
            await migrate(database)
            async with database.begin() as session:
                return await ensure_admin(session, given)
    except (SchemaTooNew, BraidError) as error:
        raise CliError(str(error)) from None
