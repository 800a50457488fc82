"""The home folder is for its owner alone: documents, keys and adapters of all tenants are in it."""

import os
import stat
from pathlib import Path

from gateway.db import find_sqlite_file
from gateway.settings import Settings
from gateway.terminal import CommandError, Exit

__all__ = ["check_writable", "is_open", "keep_private"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OWN = ("artifacts", "braid.db", "braid.db-shm", "braid.db-wal", "demo", "index", "logs", "models", "run", "work")
"""The entries that Braid makes in a home folder. Somebody may have chosen one with other things in it, which stay."""


def keep_private(home: Path) -> None:
    """Have what this process and its children make be their owner's alone, and make so what is there already.

    A folder that has other things in it too stays as it is, but what is Braid's in it doesn't.

    Raises:
        CommandError: The folder can't be made, or is somebody else's.
    """
    os.umask(_OTHERS)
    try:
        home.mkdir(parents=True, exist_ok=True)
        if all(path.name in _OWN for path in home.iterdir()):
            _close(home)
        for name in _OWN:
            path = home / name
            if os.path.lexists(path):
                _close_all(path)
    except OSError as error:
        raise CommandError(
            f"The home folder {home} can't be made its owner's alone: {error.strerror}. Choose another one with --home "
            "or BRAID_HOME, change its owner, or have it mounted to be written.",
            Exit.USAGE,
        ) from None


def is_open(home: Path) -> bool:
    """Tell whether a home folder that is there can be looked into, and so can what is Braid's in it.

    Of somebody else's that has other things in it, only these may be.
    """
    own = (home / name for name in _OWN)
    return home.is_dir() and all(os.access(path, os.R_OK) for path in (home, *filter(os.path.lexists, own)))


def check_writable(settings: Settings) -> None:
    """Refuse to start where database and artifacts couldn't be written.

    Raises:
        CommandError: They are on a read-only file system, or another user's; with what to do.
    """
    database = find_sqlite_file(settings.database)
    for path in (settings.artifacts, *((database, database.parent) if database is not None else ())):
        # Path.exists raises where another user's folder is on the way.
        nearest = next(one for one in (path.absolute(), *path.absolute().parents) if os.path.exists(one))
        if not os.access(nearest, os.W_OK):
            raise CommandError(
                f"{nearest} can't be written: it is on a read-only file system, or another user's. Have it mounted to "
                "be written, change its owner, or choose another place with --home or BRAID_HOME.",
                Exit.USAGE,
            )


def _close_all(path: Path) -> None:
    """Close what is below first: an open folder that was closed needs no look into it the next time."""
    if path.is_symlink() or not stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        return
    for folder, folders, files in os.walk(path, topdown=False):
        for name in (*files, *folders):
            inner = Path(folder, name)
            if not inner.is_symlink():
                _close(inner)
    _close(path)


def _close(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        path.chmod(mode & ~_OTHERS)
