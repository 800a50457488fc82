"""Options that several commands share, and the settings they lead to."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.client import Profile
from gateway.settings import Settings, SettingsError, load_settings
from gateway.terminal import CommandError, Exit

__all__ = [
    "AsJson",
    "Home",
    "Host",
    "Key",
    "Port",
    "Url",
    "check_key",
    "check_output_file",
    "check_output_folder",
    "find_connection",
    "settings_from",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Home = Annotated[Path | None, typer.Option(help="Folder for state (BRAID_HOME; default .braid).")]
Host = Annotated[str | None, typer.Option(help="Address to listen on (BRAID_HOST; default 127.0.0.1).")]
Port = Annotated[int | None, typer.Option(help="Port of the gateway (BRAID_PORT; default 8080).", min=1, max=65535)]
Url = Annotated[
    str | None, typer.Option(help="The gateway (BRAID_URL; default: what 'braid up' left on this machine).")
]
Key = Annotated[str | None, typer.Option(help="API key (BRAID_KEY; default: what 'braid up' left on this machine).")]

_REPORTS = ("report.json", "report.html")


def check_output_file(path: Path | None) -> Path | None:
    """Refuse a file that can't be written, before the work whose result it is to have."""
    if path is not None:
        with _refuse_errors(path):
            _try_to_write(path)
    return path


def check_output_folder(path: Path) -> Path:
    """Refuse a folder that can't be made or have a report, before the work whose results it is to have."""
    with _refuse_errors(path):
        nearest = next(one for one in (path, *path.parents) if one.exists())
        if not nearest.is_dir():
            raise typer.BadParameter(f"{nearest} is a file.")
        for name in path.relative_to(nearest).parts[:1] or _REPORTS:
            _try_to_write(nearest / name)
    return path


@contextmanager
def _refuse_errors(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise typer.BadParameter(f"{path} can't be written: {error.strerror}.") from None


def _try_to_write(path: Path) -> None:
    """Open a file as who writes it will, and leave everything as it was."""
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder.")
    if not path.parent.exists():
        raise typer.BadParameter(f"There is no folder {path.parent}.")
    is_new = not path.exists()
    if is_new or path.is_file():  # a pipe can be opened only once
        path.open("ab").close()
    if is_new:
        path.resolve().unlink()


def settings_from(**flags: Any) -> Settings:
    """Load the configuration; what is wrong with it is a usage error."""
    try:
        return load_settings(flags)
    except SettingsError as error:
        raise CommandError(str(error), Exit.USAGE) from None


def find_connection(url: str | None, key: str | None, home: Path | None) -> tuple[str, str]:
    """Return URL and key: flags, else environment, else the profile of this machine's gateway.

    Raises:
        CommandError: There is none, or no header can have the key.
    """
    url = url or os.environ.get("BRAID_URL")
    key = key or os.environ.get("BRAID_KEY")
    if url and key:
        return url.rstrip("/"), check_key(key)
    settings = settings_from(home=home)
    profile = Profile.load(settings.home)
    if profile is not None and url in (None, profile.url):
        url, key = profile.url, key or profile.key  # the saved key goes to the saved URL only
    if not url:
        raise CommandError(
            f"No gateway is known: none was started with the home folder {settings.home}. "
            "Start one with 'braid up', or give --url and --key (BRAID_URL, BRAID_KEY).",
            Exit.UNREACHABLE,
        )
    if not key:
        raise CommandError(
            f"No key is known for {url}. Give one with --key or BRAID_KEY; 'braid up' shows the first one when it "
            "makes it, and POST /api/keys makes more.",
            Exit.DENIED,
        )
    return url.rstrip("/"), check_key(key)


def check_key(key: str) -> str:
    """Return a key without blanks around it, such as the end of the line that it was read from."""
    key = key.strip()
    if not key.isascii() or not key.isprintable():
        raise CommandError("The API key has characters that no key has. Copy the whole of it again.", Exit.DENIED)
    return key
