"""The low-water mark of the disks: below it no bytes are taken and nothing is indexed, so that all else goes on.

A disk that takes nothing, since it is read-only, is as good as full.
"""

import os
import shutil
from pathlib import Path

from gateway.errors import InsufficientStorage

__all__ = ["FreeSpace"]

_LEAST_BYTES = 1024**3
_LEAST_SHARE = 0.05
"""Of a disk: of one with less than 20 GiB the mark is lower. The database, answers' records and logs need the rest."""


class FreeSpace:
    """Looks at the disks of a folder that is written and of others. Its methods block, if only for a moment."""

    def __init__(self, root: Path, *others: Path) -> None:
        self._root = root
        self._others = others

    def find_shortage(self) -> str:
        """Say in a sentence what is wrong with a disk; "" where all take more."""
        for folder in (self._root, *self._others):
            try:
                usage = shutil.disk_usage(folder)
            except FileNotFoundError:
                continue
            if folder == self._root and folder.exists() and not os.access(folder, os.W_OK):  # also on a read-only disk
                return "The server's disk can't be written: it is read-only, or its folder is another user's."
            if usage.free < min(_LEAST_BYTES, usage.total * _LEAST_SHARE):
                return f"The server's disk is nearly full: {usage.free / 1024**2:,.0f} MiB are free."
        return ""

    def check(self) -> None:
        """Refuse to take bytes below the mark.

        Raises:
            InsufficientStorage: A disk is nearly full, or takes nothing.
        """
        if shortage := self.find_shortage():
            raise InsufficientStorage(
                f"{shortage} Nothing more is taken until its operator has seen to that; answers go on. Delete what "
                "isn't needed, or try again later."
            )
