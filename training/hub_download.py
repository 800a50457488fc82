"""Checkpoints from a model hub: file by file, each going on where an earlier try was cut."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from httpx2 import HTTPError
from huggingface_hub import HfApi, file_download, hf_hub_url, utils
from huggingface_hub.errors import HFValidationError

from training.checkpoint import is_other_format
from training.errors import TrainingError

__all__ = ["DownloadProgress", "download_checkpoint"]

_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*", "README.md")
"""Names of the files to fetch: never pickled weights, never code."""

_LOOK_SECONDS = 2.0
_COMMIT = ".commit"
"""The file that says of which commit the others are; another one's are fetched anew."""
_UNFINISHED = ".unfinished"
"""The ending of a file that isn't whole. The hub's own client throws such a file away."""


class DownloadProgress(msgspec.Struct, frozen=True, tag_field="event", tag="progress"):
    """The bytes that are here, of all that are needed; those of an earlier try count."""

    bytes: int
    total: int


def download_checkpoint(source: str, out: Path, report: Callable[[DownloadProgress], None]) -> None:
    """Fetch a model's files into a folder, and only those that an earlier try didn't leave there.

    Args:
        source: The model's id at the hub.
        out: A folder, empty or as an earlier call for the same model left it.
        report: Takes the bytes every two seconds, from another thread.

    Raises:
        TrainingError: `base_model_missing`; what was fetched stays.
    """
    try:
        info = HfApi().model_info(source, files_metadata=True)
        sizes = {one.rfilename: one.size or 0 for one in info.siblings or [] if _is_needed(one.rfilename)}
        with _reporting(out, sum(sizes.values()), report):
            _forget_other_commit(out, info.sha or "", sizes)
            # One after the other, in this thread: a signal ends the one that runs and leaves nobody to wait for.
            for name in sorted(sizes, key=lambda name: sizes[name]):
                _fetch(source, name, info.sha, out / name)
    except (OSError, HTTPError, HFValidationError) as error:
        # OSError covers the hub's own errors, an unreachable hub and a full disk.
        raise TrainingError(
            "base_model_missing",
            f"The model {source!r} could not be fetched: {error}. Check the name, the network and, for a gated model, "
            "HF_TOKEN; or name a folder that holds it. What was fetched is kept, and the next start goes on there.",
        ) from error
    (out / _COMMIT).unlink(missing_ok=True)


def _forget_other_commit(out: Path, commit: str, names: Iterable[str]) -> None:
    note = out / _COMMIT
    if not note.is_file() or note.read_text() != commit:
        for name in names:
            (out / name).unlink(missing_ok=True)
            (out / f"{name}{_UNFINISHED}").unlink(missing_ok=True)
        note.write_text(commit)


def _fetch(source: str, name: str, commit: str | None, file: Path) -> None:
    if file.is_file():
        return
    url = hf_hub_url(source, name, revision=commit)
    metadata = cast("Any", file_download).get_hf_file_metadata(url)
    headers: dict[str, str] = dict(cast("Any", utils).build_hf_headers())
    if urlsplit(metadata.location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # the files lie with somebody else, who has no business with the token
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}{_UNFINISHED}")
    with partial.open("ab") as handle:
        cast("Any", file_download).http_get(
            metadata.location, handle, resume_size=handle.tell(), headers=headers, expected_size=metadata.size
        )
    partial.rename(file)


def _is_needed(name: str) -> bool:
    path = Path(name)
    return any(path.match(pattern) for pattern in _PATTERNS) and not is_other_format(path)


@contextmanager
def _reporting(out: Path, total: int, report: Callable[[DownloadProgress], None]) -> Generator[None]:
    end = Event()

    def look() -> None:
        while True:
            report(DownloadProgress(min(_measure(out), total), total))
            if end.wait(_LOOK_SECONDS):
                return

    thread = Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _measure(directory: Path) -> int:
    """Return the bytes of a folder's files, also of those that are only begun."""
    size = 0
    for file in directory.rglob("*"):
        try:
            size += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # it was renamed just now
            continue
    return size
