"""Artifacts in a folder: `files/<sha256>` and `adapters/<sha256>/`. Nothing there is ever changed in place."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Artifacts", "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are in the artifacts: their SHA-256 as hex digits, and their number."""

    digest: str
    size: int


class Artifacts:
    """Keeps bytes under their digest; the same bytes twice are stored once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("files", "adapters", "incoming"):
            (root / name).mkdir(parents=True, exist_ok=True)

    async def put(self, parts: AsyncIterator[bytes]) -> Stored:
        """Keep the bytes of `parts`; a cut upload leaves nothing."""
        incoming = await asyncio.to_thread(_Incoming, self.root / "incoming")
        try:
            async for part in parts:
                await asyncio.to_thread(incoming.write, part)
            return await asyncio.to_thread(incoming.keep, self.root / "files")
        finally:
            await asyncio.to_thread(incoming.close)

    def file(self, digest: str) -> Path:
        """Return the path of a file's bytes; it exists when the digest was put and not removed."""
        return self.root / "files" / digest

    def remove_file(self, digest: str) -> None:
        self.file(digest).unlink(missing_ok=True)

    def adapter(self, digest: str) -> Path:
        """Return the folder of an adapter's files."""
        return self.root / "adapters" / digest

    def put_adapter(self, folder: Path, digest: str) -> Path:
        """Take over a finished adapter folder under its digest and return where it is; `folder` stays as it is."""
        target = self.adapter(digest)
        if not target.exists():
            staging = Path(tempfile.mkdtemp(dir=self.root / "incoming"))
            shutil.copytree(folder, staging / "adapter")
            for path in [*(staging / "adapter").rglob("*"), staging / "adapter"]:
                _sync(path)
            os.replace(staging / "adapter", target)
            staging.rmdir()
        return target


def _sync(path: Path) -> None:
    """Make sure that a file's or folder's content survives a power cut, before a name promises it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Incoming:
    """A file that is being received; disk and hash block, so threads call this."""

    def __init__(self, folder: Path) -> None:
        handle, name = tempfile.mkstemp(dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, part: bytes) -> None:
        self._digest.update(part)
        self._size += len(part)
        self._file.write(part)

    def keep(self, folder: Path) -> Stored:
        """Put the finished file under its digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        stored = Stored(self._digest.hexdigest(), self._size)
        os.replace(self._path, folder / stored.digest)
        return stored

    def close(self) -> None:
        """Leave nothing that wasn't kept."""
        self._file.close()
        self._path.unlink(missing_ok=True)
