"""An adapter's folder, opened without following it anywhere."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from training.manifest import CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE
from training.verdict.verdict import Reason, list_examples

__all__ = ["check_folder", "open_plain", "read_plain"]

_ALLOWED = frozenset({CONFIG_FILE, WEIGHTS_FILE, MANIFEST_FILE, "README.md"})
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")


def check_folder(directory: Path) -> list[Reason]:
    """Name everything in a folder that doesn't belong into an adapter."""
    if directory.is_symlink() or not directory.is_dir():
        return [Reason("missing_file", "The adapter is no folder. Give the folder that PEFT's save_pretrained wrote.")]
    reasons: list[Reason] = []
    names = sorted(os.listdir(directory))
    irregular = [name for name in names if not stat.S_ISREG((directory / name).lstat().st_mode)]
    if irregular:
        message = (
            f"The adapter has links or folders in it ({list_examples(irregular)}). Copy plain files into one folder."
        )
        reasons.append(Reason("unsafe_file", message))
    pickles = [name for name in names if name.lower().endswith(_PICKLES)]
    if pickles:
        message = (
            f"The adapter has files that run code when they are opened ({list_examples(pickles)}). Only safetensors "
            "are taken: save it with save_pretrained(…, safe_serialization=True) and leave the others out."
        )
        reasons.append(Reason("unsafe_file", message))
    others = [name for name in names if name not in _ALLOWED and name not in irregular and name not in pickles]
    if others:
        message = (
            f"The adapter has files that don't belong to it ({list_examples(others)}). "
            f"Leave only {CONFIG_FILE} and {WEIGHTS_FILE}."
        )
        reasons.append(Reason("unsafe_file", message))
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if name not in names:
            message = f"The adapter has no {name}. Give the folder that PEFT's save_pretrained wrote."
            reasons.append(Reason("missing_file", message))
    return reasons


def open_plain(file: Path) -> BinaryIO:
    """Open a file that is no link, pipe or device, also when it was swapped since it was looked at.

    Raises:
        OSError: It is one of those, or can't be read.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{file.name} is not a plain file")
    return os.fdopen(descriptor, "rb")


def read_plain(file: Path, limit: int) -> bytes:
    """Read a small plain file.

    Raises:
        OSError: See `open_plain`; also for a file of more than `limit` bytes.
    """
    with open_plain(file) as handle:
        content = handle.read(limit + 1)
    if len(content) > limit:
        raise OSError(f"{file.name} has more than {limit} bytes")
    return content
