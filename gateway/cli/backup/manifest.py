"""The list of what is in a backup; written last, so that a backup without one isn't whole."""

import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.terminal import CommandError

__all__ = ["FORMAT", "BackupFile", "BackupManifest", "copy_file", "list_tree", "read_own_version"]

FORMAT = 1
_NAME = "manifest.json"
_CHUNK = 1024 * 1024


class BackupFile(msgspec.Struct, frozen=True):
    """A file by its path in the backup, with its size in bytes and its SHA-256 as hex digits."""

    path: str
    bytes: int
    sha256: str


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a backup.

    Attributes:
        format: Of the backup itself.
        version: The version of Braid that made it.
        created_at: Unix seconds at which the database was copied.
        schema: The revision of the database's schema; "" where the database isn't in the backup.
        embedder: The setting `embedder` then; the index can't be used with another one.
        index: Whether the index is in it.
    """

    format: int
    version: str
    created_at: int
    schema: str
    embedder: str
    index: bool
    files: list[BackupFile]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def is_one_moment(self) -> bool:
        """Whether both database and index are in it, so that what the rows say of the index is so."""
        return bool(self.schema) and self.index

    @classmethod
    def load(cls, folder: Path) -> "BackupManifest":
        """Read a backup's manifest.

        Raises:
            CommandError: There is none that can be read.
        """
        try:
            return msgspec.json.decode((folder / _NAME).read_bytes(), type=cls)
        except FileNotFoundError:
            raise CommandError(
                f"{folder} is no whole backup: it has no {_NAME}, which is written last. Name another folder."
            ) from None
        except (OSError, msgspec.DecodeError) as error:
            raise CommandError(f"The manifest of {folder} can't be read: {error}.") from None

    def save(self, folder: Path) -> None:
        with (folder / _NAME).open("xb") as handle:
            handle.write(msgspec.json.format(msgspec.json.encode(self)))
            handle.flush()
            os.fsync(handle.fileno())


def copy_file(source: Path, target: Path, path: str) -> BackupFile:
    """Copy a file with what digests it on the way, and return it as `path`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while part := reader.read(_CHUNK):
            digest.update(part)
            size += writer.write(part)
        writer.flush()
        os.fsync(writer.fileno())
    shutil.copystat(source, target)
    return BackupFile(path, size, digest.hexdigest())


def list_tree(folder: Path, without: Iterable[str] = ()) -> Iterator[Path]:
    """Yield the files below a folder in a fixed order, but for top-level names in `without`."""
    left_out = set(without)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] not in left_out:
            yield path


def read_own_version() -> str:
    """Return the version of this Braid."""
    return importlib.metadata.version("braid-gateway")
