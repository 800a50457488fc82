"""The database's schema, the first key to it, and the profile in which commands find both."""

from gateway.administration.service import ensure_admin
from gateway.client import Profile
from gateway.db import open_database
from gateway.errors import BraidError
from gateway.migrations import SchemaTooNew, migrate
from gateway.settings import Settings
from gateway.terminal import CommandError

__all__ = ["prepare_database", "save_profile"]


async def prepare_database(settings: Settings) -> str | None:
    """Bring the schema up to date and make sure of an admin key; return a newly made one, to be shown once.

    Raises:
        CommandError: The database is newer than this program, or the configured key is unfit.
    """
    configured = settings.admin_key.get_secret_value() if settings.admin_key else None
    try:
        async with open_database(settings.database) as database:
            await migrate(database)
            async with database.begin() as session:
                return await ensure_admin(session, configured)
    except (SchemaTooNew, BraidError) as error:
        raise CommandError(str(error)) from None


def save_profile(settings: Settings, new_key: str | None) -> Profile:
    """Save where this home's gateway listens, with the key that is known here; an older profile's key stays."""
    configured = settings.admin_key.get_secret_value() if settings.admin_key else None
    before = Profile.load(settings.home)
    key = configured or new_key or (before.key if before else None)
    profile = Profile(f"http://{settings.host}:{settings.port}", key)
    profile.save(settings.home)
    return profile
