"""Artifacts in a folder: `files/<sha256>` and `adapters/<sha256>/`. Nothing there is ever changed in place."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gateway.artifacts.free_space import FreeSpace

__all__ = ["Artifacts", "StoredBytes"]

_LINK_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Bytes that are in the artifacts: their SHA-256 as hex digits, and their number."""

    digest: str
    size: int


class Artifacts:
    """Keeps bytes under their digest; the same bytes twice are stored once.

    Args:
        root: The folder.
        others: Of other disks that fill up with what is put: the index's and the database's.
    """

    def __init__(self, root: Path, *others: Path) -> None:
        self.root = root
        self.free_space = FreeSpace(root, *others)
        for name in ("files", "adapters", "incoming"):
            (root / name).mkdir(parents=True, exist_ok=True)

    async def put(self, parts: AsyncIterator[bytes]) -> StoredBytes:
        """Keep the bytes of `parts` from outside; a cut upload leaves nothing.

        Raises:
            InsufficientStorage: A disk is nearly full, before or by them.
        """
        await asyncio.to_thread(self.free_space.check)
        return await self._put(parts, self.free_space)

    async def _put(self, parts: AsyncIterator[bytes], room: FreeSpace | None) -> StoredBytes:
        incoming = await asyncio.to_thread(_Incoming, self.root / "incoming", room)
        try:
            async for part in parts:
                await asyncio.to_thread(incoming.write, part)
            return await asyncio.to_thread(incoming.keep, self.root / "files")
        finally:
            await asyncio.to_thread(incoming.close)

    async def put_bytes(self, content: bytes) -> StoredBytes:
        """Keep bytes of Braid's own that are in memory, such as the result of work that is done."""

        async def parts() -> AsyncIterator[bytes]:
            yield content

        return await self._put(parts(), None)

    async def put_path(self, path: Path) -> StoredBytes:
        """Keep a finished file, which nobody changes any more; without a copy where that can be."""
        return await asyncio.to_thread(self._put_path, path)

    def _put_path(self, path: Path) -> StoredBytes:
        staging = Path(tempfile.mkdtemp(dir=self.root / "incoming"))
        try:
            _link(path, staging / "file")
            with (staging / "file").open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
                os.fsync(file.fileno())
            os.utime(staging / "file")
            os.replace(staging / "file", self.locate_file(digest))
            _sync(self.root / "files")
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return StoredBytes(digest, size)

    async def lend_file(self, digest: str, path: Path) -> None:
        """Put a file's bytes at a path where nothing is, for somebody who replaces and never changes them.

        Raises:
            FileNotFoundError: They aren't there.
        """
        await asyncio.to_thread(_link, self.locate_file(digest), path)

    def locate_file(self, digest: str) -> Path:
        """Return the path of a file's bytes; it exists when the digest was put and not removed."""
        return self.root / "files" / digest

    def remove_file(self, digest: str) -> None:
        self.locate_file(digest).unlink(missing_ok=True)

    def list_files(self) -> list[str]:
        """List the digests of all files."""
        return os.listdir(self.root / "files")

    def measure_file_age(self, digest: str, now: float) -> float | None:
        """Return the seconds from when a file was put last to a Unix time; None where it isn't there."""
        return _find_age(self.locate_file(digest), now)

    def locate_adapter(self, digest: str) -> Path:
        """Return the folder of an adapter's files."""
        return self.root / "adapters" / digest

    def put_adapter(self, folder: Path, digest: str) -> Path:
        """Take over a finished adapter folder under its digest and return where it is; `folder` stays as it is."""
        target = self.locate_adapter(digest)
        if target.exists():
            os.utime(target)  # somebody is about to refer to it again: it is young for whoever removes what is unused
        else:
            staging = Path(tempfile.mkdtemp(dir=self.root / "incoming"))
            shutil.copytree(folder, staging / "adapter")
            for path in [*(staging / "adapter").rglob("*"), staging / "adapter"]:
                _sync(path)
            os.replace(staging / "adapter", target)
            _sync(target.parent)
            staging.rmdir()
        return target

    def list_adapters(self) -> list[str]:
        """List the digests of all adapters."""
        return os.listdir(self.root / "adapters")

    def measure_adapter_age(self, digest: str, now: float) -> float:
        """Return the seconds from when an adapter was put last to a Unix time; 0 where it isn't there."""
        return _find_age(self.locate_adapter(digest), now) or 0.0

    def remove_adapter(self, digest: str) -> None:
        """Remove an adapter's folder: under its name it is there whole, or not at all."""
        staging = Path(tempfile.mkdtemp(dir=self.root / "incoming"))
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            os.replace(self.locate_adapter(digest), staging / "adapter")
        shutil.rmtree(staging)

    def remove_incoming(self, before: float) -> int:
        """Remove what uploads that were cut by a crash have left since before a Unix time; return the number."""
        count = 0
        for path in (self.root / "incoming").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it was an upload that has just ended
                if path.stat().st_mtime >= before:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                count += 1
        return count


def _link(source: Path, target: Path) -> None:
    for last in (*[False] * _LINK_ATTEMPTS, True):
        try:
            os.link(source, target)
            return
        except FileNotFoundError:
            if last or not source.exists():
                raise  # else somebody replaced it in the very moment between its name and its link
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, target)
            return


def _find_age(path: Path, now: float) -> float | None:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return None


def _sync(path: Path) -> None:
    """Make sure that a file's or folder's content survives a power cut, before a name promises it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Incoming:
    """A file that is being received; disk and hash block, so threads call this."""

    def __init__(self, folder: Path, room: FreeSpace | None) -> None:
        self._room = room
        handle, name = tempfile.mkstemp(dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, part: bytes) -> None:
        if self._room is not None:
            self._room.check()
        self._digest.update(part)
        self._size += len(part)
        self._file.write(part)

    def keep(self, folder: Path) -> StoredBytes:
        """Put the finished file under its digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        artifact = StoredBytes(self._digest.hexdigest(), self._size)
        os.utime(self._path)  # the same bytes may be there for long, and be about to be removed
        os.replace(self._path, folder / artifact.digest)
        _sync(folder)
        return artifact

    def close(self) -> None:
        """Leave nothing that wasn't kept."""
        self._file.close()
        self._path.unlink(missing_ok=True)
