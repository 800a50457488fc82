"""A backup as one file: its folder in a tar archive."""

import shutil
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gateway.terminal import CommandError, Exit

__all__ = ["is_archive", "pack", "unpack"]


def is_archive(path: Path) -> bool:
    return path.suffix == ".tar"


@contextmanager
def pack(file: Path) -> Generator[Path]:
    """Give a folder to write a backup to, and make it the archive `file`, which is there whole or not at all.

    Raises:
        CommandError: The file is there already, or can't be written.
    """
    if file.exists():
        raise CommandError(f"{file} is there already. Name a new file: no backup is written over.", Exit.CONFLICT)
    folder, partial = file.with_name(f".{file.name}.folder"), file.with_name(f".{file.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)  # of a backup that was killed
    partial.unlink(missing_ok=True)
    try:
        yield folder
        partial.touch(mode=0o600)
        with tarfile.open(partial, "w") as archive:
            archive.add(folder, arcname=file.stem)
        partial.rename(file)
    except OSError as error:
        raise CommandError(f"The backup can't be written: {error}.") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        partial.unlink(missing_ok=True)


@contextmanager
def unpack(file: Path, beside: Path) -> Generator[Path]:
    """Give the backup's folder of an archive, for as long as the block lasts.

    Args:
        file: The archive.
        beside: The home folder that it is restored to: its disk has to have the room twice.

    Raises:
        CommandError: The file isn't a whole archive of a backup.
    """
    folder = beside.with_name(f".{beside.name}.unpacked")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        try:
            with tarfile.open(file, "r:") as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise CommandError(f"{file} can't be unpacked: {error}. Nothing was restored.") from None
        folders = list(folder.iterdir())
        if len(folders) != 1:
            raise CommandError(f"{file} isn't the archive of one backup. Nothing was restored.")
        yield folders[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
