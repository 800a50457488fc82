import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.backup.archive import is_archive, pack, unpack
from gateway.cli.backup.restore import restore_backup
from gateway.cli.backup.writer import write_backup
from gateway.cli.options import Home, settings_from
from gateway.counts import format_count
from gateway.db import find_sqlite_file
from gateway.stack.private_home import keep_private
from gateway.terminal import say

__all__ = ["backup", "restore"]

_Folder = Annotated[Path, typer.Argument(help="A new folder for the backup, or a new file NAME.tar.")]
_Backup = Annotated[Path, typer.Argument(help="The backup's folder or .tar file.", exists=True)]


def backup(folder: _Folder, home: Home = None) -> None:
    """Back up database, artifacts and index as they belong together, beside a running Braid or of a stopped one."""
    settings = settings_from(home=home)
    if find_sqlite_file(settings.database) is None:
        say("The database isn't SQLite and isn't in this backup. Just before it, dump it by itself:")
        say("  pg_dump --format=custom --file=braid.pgdump YOUR_DATABASE_URL")
    target = folder.absolute()
    with pack(target) if is_archive(target) else nullcontext(target) as place:
        manifest = asyncio.run(write_backup(settings, place, say))
        if is_archive(target):
            say("packing the archive")
    say(
        f"{folder}: {format_count(len(manifest.files), 'file')}, {manifest.bytes / 1e6:,.1f} MB, each with its digest "
        "in manifest.json."
    )
    if not manifest.index:
        say("The index isn't in it: after a restore all documents are indexed again, by 'braid docs reindex'.")


def restore(folder: _Backup, home: Home = None) -> None:
    """Make the home folder of a backup, in an empty or new folder; verifies every file."""
    settings = settings_from(home=home)
    source = folder.absolute()
    with unpack(source, settings.home.resolve()) if is_archive(source) else nullcontext(source) as place:
        manifest = restore_backup(settings, place, say)
    keep_private(settings.home)
    if manifest.embedder != settings.embedder:
        say(
            f"The index was made with BRAID_EMBEDDER={manifest.embedder!r}, and now it is {settings.embedder!r}: set "
            "it back, or run 'braid docs reindex' after the start."
        )
    if not manifest.schema:
        say("The database isn't in this backup. Restore your dump of it before the start:")
        say("  pg_restore --clean --if-exists --dbname=YOUR_DATABASE_URL braid.pgdump")
    if not manifest.is_one_moment:
        say(
            "Index and database aren't of one moment, so searches are refused until all documents are indexed again: "
            "run 'braid docs reindex' after the start, with a key of each tenant, or set "
            "BRAID_REINDEX_AUTOMATICALLY=true."
        )
    say(f"{settings.home} is as it was. Start it with 'braid up'.")
