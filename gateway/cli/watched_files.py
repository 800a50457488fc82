"""Files that a person edits, sent whenever they are saved, with the time until each is searchable."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - an optional package of its types

from gateway.cli.bulk_add import BulkAdd, describe_chunks
from gateway.client import GatewayError, GatewayUnreachable
from gateway.sources.path_filter import is_hidden

__all__ = ["WatchedFiles"]

_SETTLE_MS = 150
"""A change waits so long for others: programs write a file in several steps."""

_AGAIN_SECONDS = 1.0
_OF_A_WHILE = frozenset({503, 507})
"""Statuses after which the same is taken later."""

_BELIEVED_SECONDS = 10.0
"""A file that is older when its change is heard of was copied or moved here with its time, and one from the future was
written by another machine's clock: they count from then on."""


class WatchedFiles:
    """Sends each file again when it is saved, until `stop`; what was deleted or is hidden isn't touched.

    Args:
        add: Puts the files into their store.
        files: Those that are there, by their documents' keys.
        paths: What was named on the command line: folders, and files.
        show: Told of each file that is searchable, or isn't, with the row of it and a sentence.
    """

    def __init__(
        self,
        add: BulkAdd,
        files: Mapping[str, Path],
        paths: Sequence[Path],
        show: Callable[[Mapping[str, Any], str], None],
    ) -> None:
        self._add = add
        self._files = {key: _locate(path) for key, path in files.items()}
        self._folders = [path.resolve() for path in paths if path.is_dir()]
        self._single = {_locate(path): path.name for path in paths if not path.is_dir()}
        self._show = show
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def follow(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set.

        Raises:
            GatewayError: The key, the store or the gateway is at fault, not a file.
        """
        # Of a file its folder: editors write another one and rename it.
        places = {*self._folders, *(path.parent for path in self._single)}
        async with asyncio.TaskGroup() as group:
            async for changes in awatch(*places, stop_event=stop, debounce=_SETTLE_MS, step=50, watch_filter=None):
                moment = time.time(), time.monotonic()
                for path in {Path(name) for change, name in changes if change != Change.deleted}:
                    key = self._find_key(path)
                    if key is not None and os.path.isfile(path):  # which raises nothing
                        group.create_task(self._send(key, path, moment))

    def _find_key(self, path: Path) -> str | None:
        """Return the key of a file's document; None where it has none, or its key is another file's."""
        key = None
        if path in self._single:
            key = self._single[path]
        else:
            folder = next((folder for folder in self._folders if path.is_relative_to(folder)), None)
            inside = path.relative_to(folder) if folder is not None else None
            if inside is not None and not is_hidden(inside.as_posix()):
                key = inside.as_posix()
        if key is None or self._files.setdefault(key, path) != path:
            return None
        return key

    async def _send(self, key: str, path: Path, moment: tuple[float, float]) -> None:
        async with self._turns[key]:
            while True:
                try:
                    modified_at = _read_time(path)
                    row = await self._add.put(key, path)
                    break
                except (GatewayUnreachable, GatewayError) as error:
                    if isinstance(error, GatewayError) and error.status not in _OF_A_WHILE:
                        raise
                    self._show({"key": key, "status": "waiting"}, f"{key}: {error} It is tried again.")
                    await asyncio.sleep(_AGAIN_SECONDS)
        if modified_at is None and not os.path.lexists(path):
            return  # deleted meanwhile
        # By the wall clock only what a file's time is compared with: it may be set while this waits.
        before = moment[0] - modified_at if modified_at is not None else 0.0
        seconds = time.monotonic() - moment[1] + (before if 0.0 <= before < _BELIEVED_SECONDS else 0.0)
        if row["status"] == "completed":
            outcome = f"searchable {seconds:.1f} s after it was saved; {describe_chunks(row)}"
        else:
            outcome = row["error"]["message"] if row["error"] else row["status"]
        self._show({**row, "seconds": round(seconds, 3)}, f"{key}: {outcome}")


def _read_time(path: Path) -> float | None:
    """Return when a file was written; None where it is gone or can't be looked at."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _locate(path: Path) -> Path:
    """Return a path as the watch names it: of a link in a folder the link's own."""
    return path.parent.resolve() / path.name
