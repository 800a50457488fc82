"""A git repository: the files of one commit, read from the objects. Nothing is ever checked out."""

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from gateway.processes import Program, open_program
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.reader import ItemUnreadable, Listing, SourceUnreadable
from gateway.sources.repository_credentials import RepositoryCredential
from retrieval.patience import Patience

__all__ = ["RepositoryReader", "check_repository", "open_repository"]

_SECONDS = 600.0
_MOST_BYTES = 2 << 30
_MOST_FILE_BYTES = 64 << 20
_LIST_BYTES = 64 << 20
_SUBMODULE = b"160000"
_SHA1_DIGITS = 40
_LFS = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v\d+\s*")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ADVICE = ("Please make sure you have the correct access rights", "and the repository exists.")
"""The lines that git writes below the reason why it can't read a repository."""
_LOOK_SECONDS = 0.5
_MOST_ITEMS = 100_000
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock$|/$))[A-Za-z0-9_][\w./+-]{0,199}", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)
_ENTRY = re.compile(rb"(?P<mode>\d{6}) (?P<type>\w+) (?P<id>[0-9a-f]{40,64}) +(?P<size>\d+|-)\t(?P<path>.+)", re.DOTALL)
_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=false",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "protocol.allow=never",
)


def check_repository(url: str, branch: str | None, protocols: Sequence[str] = ("https",)) -> SplitResult:
    """Take the URL of a repository apart; only one of `ssh` may have a user's name.

    Raises:
        SourceUnreadable: It is of another protocol (`ext::` starts programs, `file:` reads this machine's disk), has a
            name or password in it, or the branch's name can't be one.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SourceUnreadable("The repository's address is no URL. It has the form https://host/path.") from None
    printable = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in protocols or "::" in url.split("/")[0] or not printable or port == 0:
        raise SourceUnreadable(
            "A repository is read by https://, and by ssh:// where the operator has a key for it. Give such an address."
        )
    user = parts.netloc.rpartition("@")[0]
    has_user = bool(user) and not (parts.scheme == "ssh" and _USER.fullmatch(user))
    nowhere = parts.scheme in ("https", "ssh") and not parts.hostname
    if has_user or nowhere or parts.query or parts.fragment:
        raise SourceUnreadable("A repository's address has the form https://host/path, without a name or password.")
    if branch is not None and not _BRANCH.fullmatch(branch):
        raise SourceUnreadable(f"No branch or tag can be called {branch!r}.")
    return parts


@asynccontextmanager
async def open_repository(
    url: str,
    branch: str | None,
    paths: PathFilter,
    addresses: PublicAddresses,
    work: Path,
    *,
    credential: RepositoryCredential | None = None,
    protocols: Sequence[str] = ("https",),
    most_bytes: int = _MOST_BYTES,
) -> AsyncGenerator["RepositoryReader"]:
    """Open a repository as a source.

    Args:
        url: Its address.
        branch: A branch, else a tag, else the whole id of a commit; None for the branch that it names itself.
        paths: The files to take.
        addresses: Where it may be.
        work: A folder of this source alone; what is there is removed, before and after.
        credential: What opens it, if it is private.
        protocols: Those that git may speak.
        most_bytes: It may take on the disk.
    """
    if credential is not None and credential.key is not None:
        protocols = ("ssh",)
    parts = check_repository(url, branch, protocols)
    pinned: list[str] = []
    ssh = ""
    if parts.scheme == "https":
        host, port = parts.hostname or "", parts.port or 443
        resolved = await addresses.resolve(host, port)
        address_list = ",".join(f"[{address}]" if ":" in address else address for address in resolved)
        pinned = [f"http.curloptResolve={host}:{port}:{address_list}"]
    elif credential is not None and credential.key is not None:
        host = parts.hostname or ""
        ssh = _make_ssh(credential.key, host, (await addresses.resolve(host, parts.port or 22))[0])
    await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    await asyncio.to_thread(work.mkdir, parents=True)
    try:
        options = [*_OPTIONS, *(f"protocol.{name}.allow=always" for name in protocols), *pinned]
        git = _Git(work, options, protocols, most_bytes, credential, ssh)
        yield RepositoryReader(git, url, branch, paths)
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


def _make_ssh(key: Path, host: str, address: str) -> str:
    """Return the command by which git reaches a host: this address alone, whose key is known, by this key alone."""
    if not _HOST.fullmatch(host):
        raise SourceUnreadable("The repository's host can't be one.")
    options = {
        "BatchMode": "yes",
        "HostKeyAlias": host,
        "HostName": address,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": key,
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": key.parent / "known_hosts",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return shlex.join(["ssh", "-F", os.devnull, *words])


class _Git:
    """The git program with nothing of this machine's configuration: no hooks, no prompts, and no credentials but one.

    A token is in a file that only this user may read, and that goes with the folder.
    """

    def __init__(
        self,
        work: Path,
        options: Sequence[str],
        protocols: Sequence[str],
        most_bytes: int,
        credential: RepositoryCredential | None,
        ssh: str,
    ) -> None:
        self.folder = work / "repository"
        self._credential = credential
        configuration = Path(os.devnull)
        if credential is not None and credential.secret:
            configuration = work / "credential.config"
            credential.write_settings(configuration)
        self._work = work
        self._most_bytes = most_bytes
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(work),
            "LC_ALL": "C",
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(configuration),
            "GIT_SSH_COMMAND": ssh or "false",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "GIT_ALLOW_PROTOCOL": ":".join(protocols),
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        settings = [word for option in options for word in ("-c", option)]
        self._command = ["git", *settings]

    async def run(self, *arguments: str) -> bytes:
        """Run it and return what it prints.

        Raises:
            SourceUnreadable: It failed, took too long, or wrote more than it may.
        """
        log = self._work / "git.log"
        try:
            async with Patience(_SECONDS), self._open(arguments, log) as program:
                watch = asyncio.create_task(self._watch_size())
                reading = asyncio.create_task(program.read_output(_LIST_BYTES + 1))
                try:
                    await asyncio.wait({watch, reading}, return_when=asyncio.FIRST_COMPLETED)
                    if watch.done():
                        raise SourceUnreadable(f"The repository is larger than {self._most_bytes >> 20} MB.")
                    output = reading.result()
                    status = await program.wait()
                finally:
                    watch.cancel()
                    reading.cancel()
                    await asyncio.gather(watch, reading, return_exceptions=True)
        except TimeoutError:
            raise SourceUnreadable(f"The repository took longer than {_SECONDS:g} seconds.") from None
        if status != 0:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line and line not in _ADVICE]
            reason = " ".join(lines[-2:]) or f"exit status {status}"
            reason = reason if self._credential is None else self._credential.hide(reason)
            raise SourceUnreadable(f"git can't read the repository: {reason[:300]}")
        if len(output) > _LIST_BYTES:
            raise SourceUnreadable("The repository has too many files.")
        return output

    async def stream(self, *arguments: str) -> AsyncGenerator[bytes]:
        """Run it and yield what it prints."""
        async with self._open(arguments, self._work / "git.log") as program:
            while line := await program.read_line():
                yield line
            if await program.wait() != 0:
                raise ItemUnreadable("git can't read the file.")

    def _open(self, arguments: Sequence[str], log: Path) -> AbstractAsyncContextManager[Program]:
        return open_program([*self._command, *arguments], self._environment, errors=log)

    async def _watch_size(self) -> None:
        """Return once the folder is larger than it may be."""
        while True:
            if await asyncio.to_thread(_size, self._work) > self._most_bytes:
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue  # git renames its temporary files
    return total


class RepositoryReader:
    """Reads the files of one commit; their versions are the ids of their blobs."""

    def __init__(self, git: _Git, url: str, branch: str | None, paths: PathFilter) -> None:
        self._git = git
        self._url = url
        self._branch = branch
        self._paths = paths
        self._blobs: dict[str, str] = {}

    async def scan(self, last_versions: Mapping[str, str]) -> Listing:
        """Fetch the one commit, and list its files. Links are no files; a submodule is one that can't be read."""
        reference, id = await self._find_reference()
        form = "sha1" if len(id) == _SHA1_DIGITS else "sha256"
        place = str(self._git.folder)
        await self._git.run("init", "--quiet", "--bare", "--template=", f"--object-format={form}", place)
        await self._git.run("fetch", "--quiet", "--depth=1", "--no-tags", "--", self._url, reference)
        commit = (await self._git.run("rev-parse", "--verify", "FETCH_HEAD^{commit}")).decode().strip()
        output = await self._git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        return await asyncio.to_thread(self._list, output, commit)

    async def _find_reference(self) -> tuple[str, str]:
        """Return the repository's name for what is to be read, and the id of the object that it means."""
        names = ["HEAD"] if self._branch is None else [f"refs/{kind}/{self._branch}" for kind in ("heads", "tags")]
        answer = (await self._git.run("ls-remote", "--symref", "--", self._url, "HEAD", *names)).decode()
        pairs = [line.partition("\t") for line in answer.splitlines()]
        ids = {name: id for id, _, name in pairs if not id.startswith("ref: ")}
        for name in names:
            if name in ids:
                return name, ids[name]
        if self._branch is None:
            raise SourceUnreadable(
                "The repository is empty, or the branch that it names as its own is gone. Name the one to read."
            )
        if _COMMIT.fullmatch(self._branch):
            return self._branch, self._branch
        own = next((id.removeprefix("ref: refs/heads/") for id, _, _ in pairs if id.startswith("ref: ")), "")
        raise SourceUnreadable(
            f"The repository has no branch or tag {self._branch!r}"
            + (f"; its own branch is {own!r}" if own else "")
            + ". A commit is named by its whole id."
        )

    def _list(self, output: bytes, commit: str) -> Listing:
        unread: dict[str, str] = {}
        for line in output.split(b"\0"):
            entry = _ENTRY.fullmatch(line)
            if entry is None or entry["mode"] not in (_SUBMODULE, b"100644", b"100755"):
                continue
            path = entry["path"].decode(errors="replace")
            if entry["mode"] == _SUBMODULE:
                if self._paths.enters(path):
                    unread[f"{path}/"] = "It is a submodule. Make a source of its own repository, or exclude it."
                continue
            if not self._paths.takes(path):
                continue
            if "\ufffd" in path:
                unread[path] = "Its name isn't UTF-8. Rename it."
            elif int(entry["size"]) > _MOST_FILE_BYTES:
                unread[path] = f"It is larger than {_MOST_FILE_BYTES >> 20} MB."
            else:
                self._blobs[path] = entry["id"].decode()
        if len(self._blobs) > _MOST_ITEMS:
            raise SourceUnreadable(f"It has more than {_MOST_ITEMS:,} files. Exclude some, or make several sources.")
        return Listing(self._blobs, unread, lasting=unread.keys(), revision=commit)

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """Yield a file's bytes; a pointer of Git LFS has none of them."""
        is_first = True
        async with aclosing(self._git.stream("cat-file", "blob", self._blobs[key])) as lines:
            async for line in lines:
                if is_first and _LFS.fullmatch(line):
                    raise ItemUnreadable(
                        "It lies in Git LFS, which isn't read. Keep it in the repository itself.", lasting=True
                    )
                is_first = False
                yield line
