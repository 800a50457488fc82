"""A backup of a home folder, beside a running Braid or of a stopped one.

The order makes the parts belong together: bytes first, since rows refer to them; then, while changes of the index wait,
the database and the index; then the bytes that came meanwhile. Searches and requests go on throughout.
"""

import asyncio
import hashlib
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

from gateway.cli.backup.manifest import FORMAT, BackupFile, BackupManifest, copy_file, list_tree, read_own_version
from gateway.counts import format_count
from gateway.db import find_sqlite_file, open_database
from gateway.files.service import list_digests
from gateway.migrations import read_schema
from gateway.migrations.digests import DIGESTS
from gateway.settings import Settings
from gateway.stack.instance import Instance
from gateway.terminal import CommandError, Exit
from gateway.vector_stores.restored_index import is_moving_by_server
from retrieval.client import Retriever, RetrieverError, RetrieverFailed, RetrieverUnavailable

__all__ = ["write_backup"]

_HOLD_SECONDS = 30.0
_RENEW_SECONDS = 8.0
_TRIES = 3
_TELL_SECONDS = 5.0


async def write_backup(settings: Settings, target: Path, tell: Callable[[str], None]) -> BackupManifest:
    """Write a backup into a new folder, which is there whole or not at all.

    Raises:
        CommandError: There is nothing to back up, the folder isn't new, or a part can't be read.
    """
    database = find_sqlite_file(settings.database)
    if database is not None and not database.exists():
        raise CommandError(f"There is no database at {database}. Name the home folder with --home.", Exit.NOT_FOUND)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CommandError(f"{target} is there already. Name a new folder: no backup is written over.", Exit.CONFLICT)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700, parents=True)
        manifest = await _Backup(settings, partial, tell).write()
        manifest.save(partial)
        partial.rename(target)
    except RetrieverError as error:
        raise CommandError(f"The index can't be copied: {error}") from None
    except (OSError, sqlite3.Error) as error:
        raise CommandError(f"The backup can't be written: {error}.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


class _Backup:
    def __init__(self, settings: Settings, folder: Path, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._folder = folder
        self._tell = tell
        self._home = settings.home.resolve()
        self._database = find_sqlite_file(settings.database)
        self._files: dict[str, BackupFile] = {}
        self._told_at = time.monotonic()

    async def write(self) -> BackupManifest:
        for _ in range(_TRIES):
            self._tell("copying what documents, files and adapters consist of")
            await asyncio.to_thread(self._copy_artifacts)
            self._tell("copying database and index of one moment, while changes of the index wait")
            created_at, index = await self._copy_moment()
            await asyncio.to_thread(self._copy_artifacts)
            schema, missing, on_server = await self._examine()
            if not missing:
                break
            self._tell(f"{format_count(len(missing), 'file was', 'files were')} deleted meanwhile: once more")
        else:
            raise CommandError("Files that the database refers to aren't in the artifacts. Make the backup once more.")
        if index and on_server:
            self._tell("documents move from or to a Qdrant server, whose index is of no backup: the other is left out")
            await asyncio.to_thread(shutil.rmtree, self._folder / "index")
            index = False
        self._tell("reading the copies once more, for their digests")
        await asyncio.to_thread(self._digest_rest)
        return BackupManifest(
            format=FORMAT,
            version=read_own_version(),
            created_at=created_at,
            schema=schema,
            embedder=self._settings.embedder,
            index=index,
            files=[self._files[path] for path in sorted(self._files)],
        )

    def _copy_artifacts(self) -> None:
        """Copy the bytes that aren't in the backup yet; those that are deleted on the way needn't be there."""
        root = self._settings.artifacts
        for source in list_tree(root, without=("incoming",)) if root.is_dir() else ():
            inside = source.relative_to(root)
            path = f"artifacts/{inside.as_posix()}"
            if path in self._files:
                continue
            target = self._folder / path
            try:
                copy = copy_file(source, target, path)
            except FileNotFoundError:
                target.unlink(missing_ok=True)
                continue
            if inside.parts[0] == "files" and copy.sha256 != inside.name:
                raise CommandError(
                    f"The file {source} is damaged: its bytes aren't those of its name. Restore it from an older "
                    "backup, or delete the documents that have it."
                )
            self._files[path] = copy
            if time.monotonic() - self._told_at >= _TELL_SECONDS:
                self._told_at = time.monotonic()
                megabytes = sum(one.bytes for one in self._files.values()) / 1e6
                self._tell(f"{format_count(len(self._files), 'file')}, {megabytes:,.0f} MB")

    async def _copy_moment(self) -> tuple[int, bool]:
        """Copy database and index as they are at one moment; return it, and whether the index could be copied."""
        shutil.rmtree(self._folder / "index", ignore_errors=True)
        (self._folder / "braid.db").unlink(missing_ok=True)
        async with AsyncExitStack() as stack:
            retrievers = [await stack.enter_async_context(one) for one in await self._find_retrievers()]
            if retrievers:
                holding = await stack.enter_async_context(_holding(retrievers))
            else:
                stack.enter_context(Instance.only(self._home))  # nobody starts it meanwhile
                holding = []
            moment = int(time.time())
            if self._database is not None:
                await asyncio.to_thread(_copy_sqlite, self._database, self._folder / "braid.db")
            for retriever in holding:
                await retriever.copy(self._folder / "index")
            if not retrievers and not self._settings.qdrant_url and (self._home / "index").is_dir():
                await asyncio.to_thread(
                    shutil.copytree, self._home / "index", self._folder / "index", ignore=_IGNORED_FILES
                )
        return moment, (self._folder / "index").is_dir()

    async def _find_retrievers(self) -> list[Retriever]:
        there: list[Retriever] = []
        for socket in (self._settings.retriever_socket, self._settings.second_retriever_socket):
            with suppress(RetrieverUnavailable):
                async with Retriever(socket) as retriever:
                    await retriever.describe()
                there.append(Retriever(socket))
        if not there and Instance.find_process(self._home) is not None:
            raise CommandError("Braid runs, and its retriever doesn't answer yet. Try again in a moment.")
        return there

    async def _examine(self) -> tuple[str, set[str], bool]:
        """Return what the copied database says.

        Returns:
            Its schema, the digests of files that it has and the backup doesn't, and whether documents are moving from
            or to a Qdrant server: a living one isn't of this moment, also where the other index is.
        """
        if self._database is None:
            return "", set(), False
        async with open_database(f"sqlite+aiosqlite:///{self._folder / 'braid.db'}") as database:
            schema = await read_schema(database)
            async with database.read() as session:
                digests = await list_digests(session, DIGESTS)
                on_server = await is_moving_by_server(session)
        missing = {digest for digest in digests if f"artifacts/files/{digest}" not in self._files}
        return schema, missing, on_server

    def _digest_rest(self) -> None:
        for file in list_tree(self._folder, without=("artifacts",)):
            path = file.relative_to(self._folder).as_posix()
            with file.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
            self._files[path] = BackupFile(path, file.stat().st_size, digest)


_IGNORED_FILES = shutil.ignore_patterns("*.unfinished", "*.unreadable-*")


@asynccontextmanager
async def _holding(retrievers: Sequence[Retriever]) -> AsyncGenerator[list[Retriever]]:
    """Let changes of the indexes wait, and yield the retrievers that can copy theirs: not those of Qdrant servers."""
    holding: list[Retriever] = []
    for retriever in retrievers:
        with suppress(RetrieverFailed):
            await retriever.hold(_HOLD_SECONDS)
            holding.append(retriever)
    renewing = asyncio.create_task(_renew(holding))
    try:
        yield holding
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        for retriever in holding:
            await retriever.resume()


async def _renew(holding: Sequence[Retriever]) -> None:
    """Hold on for as long as the copying takes; if this process is killed, changes go on within half a minute."""
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        for retriever in holding:
            await retriever.hold(_HOLD_SECONDS)


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that others write to meanwhile, as it is at one moment (SQLite's online backup)."""
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(target)) as writer:
        reader.backup(writer)
        writer.execute("PRAGMA journal_mode=DELETE")  # one file
