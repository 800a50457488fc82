"""A backup → a new home folder, whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from gateway.cli.backup.manifest import FORMAT, BackupFile, BackupManifest, copy_file, read_own_version
from gateway.counts import format_count
from gateway.jobs import failpoint
from gateway.migrations import list_schemas
from gateway.settings import Settings
from gateway.terminal import CommandError, Exit
from gateway.vector_stores.restored_index import note_restored_index

__all__ = ["restore_backup"]


def restore_backup(settings: Settings, source: Path, tell: Callable[[str], None]) -> BackupManifest:
    """Make the home folder of a backup; every file is compared with its digest on the way.

    All is put together beside the home folder and moved there in one step, so that a restore which is killed, or finds
    a damaged file, leaves no home folder.

    Raises:
        CommandError: The folder isn't empty, the backup is of another version, or it is damaged.
    """
    manifest = BackupManifest.load(source)
    _check_version(source, manifest)
    home, artifacts = settings.home.resolve(), settings.artifacts.resolve()
    for folder in (home, artifacts):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CommandError(
                f"{folder} isn't empty, and a restore never mixes with what is there. Move it away, or name another "
                "folder with --home.",
                Exit.CONFLICT,
            )
    inside = artifacts.is_relative_to(home)
    partial = home.with_name(f".{home.name}.restoring")
    shutil.rmtree(partial, ignore_errors=True)  # of a restore that was killed
    try:
        partial.mkdir(mode=0o700, parents=True)
        for file in manifest.files:
            place = partial / _check_path(file)
            if not inside and file.path.startswith("artifacts/"):
                place = artifacts / PurePosixPath(file.path).relative_to("artifacts")
            copy = copy_file(source / file.path, place, file.path)
            if copy != file:
                raise CommandError(
                    f"{file.path} in the backup is damaged: it isn't what was written there. Nothing was restored; use "
                    "another backup."
                )
        if not manifest.is_one_moment:
            note_restored_index(partial)
        failpoint("restore-copied")
        tell(f"{format_count(len(manifest.files), 'file')} compared: all as written")
        os.rename(partial, home)  # which takes the place of an empty folder, and of nothing else
    except OSError as error:
        raise CommandError(f"The backup can't be restored: {error}. Nothing was changed.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _check_version(source: Path, manifest: BackupManifest) -> None:
    if manifest.format != FORMAT:
        raise CommandError(
            f"{source} has the format {manifest.format}, and this Braid ({read_own_version()}) reads {FORMAT}. Restore "
            f"it with Braid {manifest.version}, which made it.",
            Exit.CONFLICT,
        )
    if manifest.schema and manifest.schema not in list_schemas():
        raise CommandError(
            f"{source} was made by Braid {manifest.version}, whose database has the schema {manifest.schema}; this one "
            f"({read_own_version()}) doesn't know it. Restore it with that version or a later one.",
            Exit.CONFLICT,
        )


def _check_path(file: BackupFile) -> PurePosixPath:
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts:
        raise CommandError(f"The manifest names {file.path}, which would lie outside of the home folder.")
    return path
