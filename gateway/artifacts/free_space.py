"""The low-water mark of the disks: below it no bytes are taken and nothing is indexed, so that all else goes on."""

import shutil
from pathlib import Path

from gateway.errors import InsufficientStorage

__all__ = ["FreeSpace"]

_LEAST_BYTES = 1024**3
_LEAST_SHARE = 0.05
"""Of a disk: of one with less than 20 GiB the mark is lower. The database, answers' records and logs need the rest."""


class FreeSpace:
    """Looks at the disks of those of some folders that are there. Its methods block, if only for a moment."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def find_shortage(self) -> str:
        """Say in a sentence which disk is nearly full; "" where none is."""
        for folder in self._folders:
            try:
                usage = shutil.disk_usage(folder)
            except FileNotFoundError:
                continue
            if usage.free < min(_LEAST_BYTES, usage.total * _LEAST_SHARE):
                return f"The server's disk is nearly full: {usage.free / 1024**2:,.0f} MiB are free."
        return ""

    def check(self) -> None:
        """Refuse to take bytes below the mark.

        Raises:
            InsufficientStorage: A disk is nearly full.
        """
        if shortage := self.find_shortage():
            raise InsufficientStorage(
                f"{shortage} Nothing more is taken until its operator has freed some; answers and deletions go on. "
                "Delete what isn't needed, or try again later."
            )
