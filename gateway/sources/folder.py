"""A folder of the machine that the worker runs on, below one of the roots that the operator named."""

import asyncio
import os
import stat
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.sources.path_filter import PathFilter, compose_signs
from gateway.sources.reader import ItemUnreadable, Listing, SourceUnreadable

__all__ = ["FolderReader", "open_folder", "resolve_folder"]

_PART_BYTES = 1024 * 1024
_MOST_ITEMS = 100_000
_MOST_FILE_BYTES = 512 << 20
_TOO_LARGE = f"It is larger than {_MOST_FILE_BYTES >> 20} MB."
_BARE = frozenset(("HEAD", "objects", "refs"))
"""The entries that every git repository has in it, and that one without files around it has at hand."""
_BARE_FOLDER = "It is a git repository without files (bare). Clone it, or name it by https:// or ssh://."
_ODD_NAME = "Its name isn't UTF-8. Rename it."
_LASTING = frozenset((_TOO_LARGE, _BARE_FOLDER, _ODD_NAME))
_CLOSED = "A folder that it is in can't be read."


def resolve_folder(roots: Sequence[str], path: str, tenant: str) -> Path:
    """Return the real folder at `path`, if a tenant may read it.

    Args:
        roots: The operator's folders (`source_folders`); `{tenant}` in one stands for the tenant's name.
        path: Absolute.
        tenant: The tenant's name.

    Raises:
        SourceUnreadable: It is below none of them, or isn't a folder. The message is the same for both, since whether
            it is there is no business of a tenant that may not read it.
    """
    real = Path(os.path.realpath(path))
    if os.path.isabs(path) and tenant:
        for root in roots:
            allowed = Path(os.path.realpath(root.replace("{tenant}", tenant)))
            if os.path.isabs(root) and real.is_relative_to(allowed) and real.is_dir():
                return real
    raise SourceUnreadable(
        f"There is no folder {Path(path).name!r} that may be a source. Sources are folders, by their absolute paths, "
        "below those that the operator names in the setting source_folders, on the machine of the worker."
    )


@asynccontextmanager
async def open_folder(
    roots: Sequence[str], path: str, tenant: str, paths: PathFilter
) -> AsyncGenerator["FolderReader"]:
    """Open a folder as a source."""
    yield FolderReader(await asyncio.to_thread(resolve_folder, roots, path, tenant), paths)


class FolderReader:
    """Reads the files of a folder. A link to a file inside of it is read, one that leads out is not; no link to a
    folder is followed.

    Keys are paths with composed signs: macOS and what packs files there write `é` as two, and a document is the same
    whichever way its file's name came. Of two names of a folder that differ in nothing else, both stay as they are.
    """

    def __init__(self, folder: Path, paths: PathFilter) -> None:
        self._folder = folder
        self._paths = paths
        self._places: dict[str, str] = {}  # of keys, where the path is written otherwise

    async def scan(self, last_versions: Mapping[str, str]) -> Listing:
        """List the files with a version of times and size each."""
        return await asyncio.to_thread(self._list, last_versions)

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """Yield a file's bytes; one that is written meanwhile is read again later."""
        handle = await asyncio.to_thread(self._open, key)
        try:
            before, size = os.fstat(handle), 0
            if before.st_size > _MOST_FILE_BYTES:
                raise ItemUnreadable(_TOO_LARGE)
            while size <= before.st_size and (part := await asyncio.to_thread(os.read, handle, _PART_BYTES)):
                size += len(part)
                yield part
            if _version(os.fstat(handle)) != _version(before):
                raise ItemUnreadable("It was written while it was read; it is read again.")
        except OSError as error:
            raise ItemUnreadable(f"It can't be read: {error.strerror}.") from error
        finally:
            os.close(handle)

    def _list(self, last_versions: Mapping[str, str]) -> Listing:
        items: dict[str, str] = {}
        unread: dict[str, str] = {}
        for path, composed_path in self._walk(unread):
            try:
                path.encode()
            except UnicodeEncodeError:
                unread[composed_path.encode(errors="replace").decode()] = _ODD_NAME
                continue
            key = path if path in last_versions and composed_path not in last_versions else composed_path
            self._places[key] = path
            try:
                real = self._resolve(path)
                status = os.stat(real, follow_symlinks=False)
            except ItemUnreadable:
                continue
            except FileNotFoundError:
                continue  # it has gone since the folder was read
            except OSError as error:
                unread[key] = f"It can't be read: {error.strerror}."
                continue
            if stat.S_ISREG(status.st_mode) and status.st_size > _MOST_FILE_BYTES:
                unread[key] = _TOO_LARGE  # also of one that has less on the disk: what is read of it isn't
            elif stat.S_ISREG(status.st_mode):
                items[key] = _version(status)
            if len(items) > _MOST_ITEMS:
                raise SourceUnreadable(
                    f"It has more than {_MOST_ITEMS:,} files. Exclude some, or make several sources."
                )
        lasting = {path for path, reason in unread.items() if reason in _LASTING}
        closed = tuple(path for path in unread if path.endswith("/"))
        unread |= {
            key: _CLOSED
            for key in last_versions
            if key not in items and (key.startswith(closed) or compose_signs(key).startswith(closed))
        }  # they are there, for all that is known
        bare = tuple(path for path in lasting if path.endswith("/"))
        return Listing(items, unread, lasting={path for path in unread if path in lasting or path.startswith(bare)})

    def _walk(self, unread: dict[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the paths of files and links that the filter takes, as they are and with composed signs.

        The folders that can't be read are noted.
        """
        pending = [("", "")]
        while pending:
            folder, composed_folder = pending.pop()
            inside = self._read_folder(folder, composed_folder, unread)
            counts = Counter(compose_signs(entry.name) for entry in inside)
            for entry in inside:
                name = compose_signs(entry.name)
                path, composed_path = folder + entry.name, composed_folder + (name if counts[name] == 1 else entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if self._paths.enters(path):
                        pending.append((f"{path}/", f"{composed_path}/"))
                elif self._paths.takes(path):
                    yield path, composed_path

    def _read_folder(self, folder: str, composed_path: str, unread: dict[str, str]) -> list[os.DirEntry[str]]:
        """Return what is in a folder of the source; nothing, and a note why, where that isn't to be read."""
        try:
            with os.scandir(self._folder / folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError as error:
            if folder:  # it has gone since the one above it was read
                return []
            raise SourceUnreadable(f"The folder can't be read: {error.strerror}.") from error
        except OSError as error:
            reason = f"The folder can't be read: {error.strerror}."
        else:
            if not {entry.name for entry in inside} >= _BARE:
                return inside
            reason = _BARE_FOLDER
        if not folder:
            raise SourceUnreadable(reason)
        unread[composed_path] = reason
        return []

    def _resolve(self, path: str) -> Path:
        real = Path(os.path.realpath(self._folder / path))
        if not real.is_relative_to(self._folder):
            raise ItemUnreadable("It is a link that leads out of the folder.")
        return real

    def _open(self, key: str) -> int:
        try:
            place = self._resolve(self._places.get(key, key))
            handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ItemUnreadable(f"It can't be read: {error.strerror}.") from error
        # A folder on the way may have been replaced by a link since the path was resolved.
        real_path = Path(os.path.realpath(f"/proc/self/fd/{handle}"))
        if not stat.S_ISREG(os.fstat(handle).st_mode) or not real_path.is_relative_to(self._folder):
            os.close(handle)
            raise ItemUnreadable("It is no file of the folder any more.")
        return handle


def _version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}"
