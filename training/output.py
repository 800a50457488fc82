"""The output of a command: lines on standard output, and a folder that appears when it is complete."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from training.errors import TrainingError

__all__ = ["JsonLines", "atomic_folder", "do_nothing", "tell"]


_NOTE = ".unfinished"
"""The file in an unfinished folder that says what it is going to be."""


class JsonLines:
    """JSON lines for the program that started this one, until the block ends.

    They have standard output for themselves: the prints of libraries go to standard error, from then on and for good.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def send(self, message: msgspec.Struct) -> None:
        """Write one line.

        Raises:
            BrokenPipeError: The reader is gone.
        """
        self._file.write(msgspec.json.encode(message) + b"\n")


def tell(message: str) -> None:
    """Write a line for people."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def do_nothing() -> None:
    """Stand in for a `seal` where nobody can interrupt."""


@contextmanager
def atomic_folder(out: Path, seal: Callable[[], None] = do_nothing, resume: str | None = None) -> Generator[Path]:
    """Give a folder to write into, which becomes `out` when the block ends well, and is removed when not.

    Args:
        out: A path at which nothing is yet.
        seal: Called when the folder is complete, before it appears; from then on nothing may interrupt.
        resume: The name of what is written, where a later try can go on from what an earlier one left: the folder is
            then kept when the block fails, and given again to the next block of that name.

    Raises:
        TrainingError: `output_exists`, `output_busy` when another run is writing there, or `output_unwritable`.
    """
    if out.exists():
        message = f"{out} exists already, and is never overwritten. Name another folder, or remove it."
        raise TrainingError("output_exists", message)
    partial = out.with_name(f"{out.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError("output_unwritable", f"No folder can be made at {out}: {error}.") from error
    lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Another process is writing {out}. Wait for it, or end it, and start again."
            raise TrainingError("output_busy", message) from None
        try:
            if resume is None or _read_note(partial) != resume:
                _empty(partial)
            if resume is not None:
                (partial / _NOTE).write_text(resume)
            yield partial
            (partial / _NOTE).unlink(missing_ok=True)
            seal()
            partial.rename(out)
        except BaseException:
            if resume is None or not _holds_anything(partial):
                shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def _holds_anything(directory: Path) -> bool:
    return any(file.is_file() and file.stat().st_size for file in directory.rglob("*") if file.name != _NOTE)


def _read_note(directory: Path) -> str | None:
    try:
        return (directory / _NOTE).read_text()
    except OSError:
        return None


def _empty(directory: Path) -> None:
    """Remove the files that a killed run left."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
