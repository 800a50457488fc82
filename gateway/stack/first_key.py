"""The database's schema, the first key to it, and the profile in which commands find both."""

from gateway.administration.service import ensure_admin
from gateway.client import Profile
from gateway.db import open_database
from gateway.errors import BraidError
from gateway.migrations import SchemaTooNew, migrate
from gateway.settings import Settings
from gateway.terminal import CommandError

__all__ = ["make_first_key", "prepare_database"]


async def prepare_database(settings: Settings) -> None:
    """Bring the schema up to date, and register the admin key that is configured, if one is.

    Raises:
        CommandError: The database is newer than this program, or the configured key is unfit.
    """
    try:
        async with open_database(settings.database) as database:
            await migrate(database)
            if (configured := _read_configured(settings)) is not None:
                async with database.begin() as session:
                    await ensure_admin(session, configured)
    except (SchemaTooNew, BraidError) as error:
        raise CommandError(str(error)) from None


async def make_first_key(settings: Settings) -> tuple[Profile, bool]:
    """Make an admin key where there is none, and save the gateway's place with the key that is known here.

    To be called once all parts run, so that a start which fails makes no key that nobody has seen.

    Returns:
        The profile, and whether its key was made now, to be shown once. An older profile's key stays.
    """
    configured, before = _read_configured(settings), Profile.load(settings.home)
    async with open_database(settings.database) as database, database.begin() as session:
        new_key = None if configured else await ensure_admin(session, None)
        key = configured or new_key or (before.key if before else None)
        profile = Profile(f"http://{settings.host}:{settings.port}", key)
        profile.save(settings.home)  # before the key counts: one that is nowhere would shut its owner out
    return profile, new_key is not None


def _read_configured(settings: Settings) -> str | None:
    return settings.admin_key.get_secret_value() if settings.admin_key else None
