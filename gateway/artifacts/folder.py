"""Artifacts in a folder: ``files/<sha256>`` and ``adapters/<sha256>/``. Nothing there is ever changed in place."""

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
    """What was kept: the SHA-256 of the bytes as hex digits, and their number."""

    digest: str
    size: int


class Artifacts:
    """Keeps bytes under their digest; the same bytes twice are kept once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("files", "adapters", "incoming"):
            (root / name).mkdir(parents=True, exist_ok=True)

    async def put(self, parts: AsyncIterator[bytes]) -> Stored:
        """Keep the bytes of ``parts``; a cut upload leaves nothing."""
        digest, size = hashlib.sha256(), 0
        handle, name = tempfile.mkstemp(dir=self.root / "incoming")
        try:
            with os.fdopen(handle, "wb") as file:
                async for part in parts:
                    digest.update(part)
                    size += len(part)
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.file(digest.hexdigest()))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Stored(digest.hexdigest(), size)

    def file(self, digest: str) -> Path:
        """Path of a file's bytes; it exists when the digest was put and not removed."""
        return self.root / "files" / digest

    def remove_file(self, digest: str) -> None:
        self.file(digest).unlink(missing_ok=True)

    def adapter(self, digest: str) -> Path:
        """Folder of an adapter's files."""
        return self.root / "adapters" / digest

    def put_adapter(self, folder: Path, digest: str) -> Path:
        """Take over a finished adapter folder under its digest and return where it is; ``folder`` stays as it is."""
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
