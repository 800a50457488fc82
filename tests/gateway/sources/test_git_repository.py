import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from gateway.sources.git_repository import RepositoryReader, check_repository, open_repository
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.reader import ItemUnreadable, Listing, SourceUnreadable
from tests.gateway.conftest import Gateway
from tests.gateway.sources.conftest import Sources


def git(folder: Path, *arguments: str) -> str:
    names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **names}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    (folder / "docs").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "docs" / "a.md").write_text("One.")
    (folder / "b.py").write_text("pass")
    (folder / "docs" / "link.md").symlink_to("/etc/passwd")
    (folder / ".hidden.md").write_text("Hidden.")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


@pytest.fixture
async def reader(repository: Path, tmp_path: Path) -> AsyncIterator[RepositoryReader]:
    paths, work = PathFilter(["*.md"]), tmp_path / "work" / "src"
    async with open_repository(
        f"file://{repository}", "main", paths, PublicAddresses(), work, protocols=("file",)
    ) as opened:
        yield opened
    assert not work.exists()


async def test_the_files_of_a_commit_are_read_and_nothing_is_checked_out(
    reader: RepositoryReader, repository: Path, tmp_path: Path
) -> None:
    listing = await reader.scan({})
    assert listing.revision == git(repository, "rev-parse", "HEAD")
    assert listing.items == {"docs/a.md": git(repository, "rev-parse", "HEAD:docs/a.md")}
    async with aclosing(reader.read("docs/a.md")) as parts:
        assert b"".join([part async for part in parts]) == b"One."
    assert not list((tmp_path / "work").rglob("a.md"))


async def test_a_pointer_of_lfs_is_no_document_and_stops_no_other(reader: RepositoryReader, repository: Path) -> None:
    lines = "version https://git-lfs.github.com/spec/v1", "oid sha256:0", "size 9\n"
    (repository / "large.md").write_text("\n".join(lines))
    (repository / "about.md").write_text(f"{lines[0]} is the first line of a pointer.")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "large")
    await reader.scan({})
    with pytest.raises(ItemUnreadable, match="Git LFS") as error:
        async with aclosing(reader.read("large.md")) as parts:
            _ = [part async for part in parts]
    assert error.value.lasting
    for key, start in (("docs/a.md", b"One."), ("about.md", b"version")):
        async with aclosing(reader.read(key)) as parts:
            assert b"".join([part async for part in parts]).startswith(start)


async def test_a_history_that_was_written_anew_is_followed(repository: Path, tmp_path: Path) -> None:
    (repository / "docs" / "a.md").write_text("Two.")
    git(repository, "commit", "--quiet", "--amend", "--all", "-m", "anew")
    place = f"file://{repository}", "main", PathFilter(), PublicAddresses(), tmp_path / "work"
    async with open_repository(*place, protocols=("file",)) as opened:
        await opened.scan({})
        async with aclosing(opened.read("docs/a.md")) as parts:
            assert b"".join([part async for part in parts]) == b"Two."


async def scan(repository: Path, branch: str | None, work: Path, **filters: Any) -> Listing:
    place = f"file://{repository}", branch, PathFilter(**filters), PublicAddresses(), work
    async with open_repository(*place, protocols=("file",)) as opened:
        return await opened.scan({})


async def test_a_tag_or_a_commit_is_read_as_a_branch_is(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "v1", "-m", "x")
    (repository / "docs" / "a.md").write_text("Two.")
    git(repository, "commit", "--quiet", "--all", "-m", "two")
    git(repository, "tag", "main", first)
    second = git(repository, "rev-parse", "HEAD")
    for branch, commit in (("v1", first), (first, first), (second, second), ("main", second), (None, second)):
        assert (await scan(repository, branch, tmp_path / "work")).revision == commit


async def test_what_a_repository_lacks_is_said_with_the_branch_that_it_has(repository: Path, tmp_path: Path) -> None:
    git(repository, "branch", "--move", "main", "trunk")
    for branch in ("main", git(repository, "rev-parse", "HEAD")[:8]):
        with pytest.raises(SourceUnreadable, match=f"no branch or tag {branch!r}; its own branch is 'trunk'"):
            await scan(repository, branch, tmp_path / "work")
    assert (await scan(repository, None, tmp_path / "work")).items


async def test_a_repository_that_is_empty_or_gone_says_so_and_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    with pytest.raises(SourceUnreadable, match="is empty"):
        await scan(tmp_path / "empty", None, tmp_path / "work")
    with pytest.raises(SourceUnreadable, match="does not appear to be a git repository"):
        await scan(tmp_path / "gone", None, tmp_path / "work")


async def test_a_submodule_is_named_unless_nothing_of_it_could_be_taken(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/lib")
    git(repository, "commit", "--quiet", "-m", "module")
    listing = await scan(repository, None, tmp_path / "work", include=["*.md"])
    assert (set(listing.items), set(listing.unread)) == ({"docs/a.md"}, {"vendor/lib/"})
    assert set(listing.lasting) == {"vendor/lib/"}
    for filters in ({"exclude": ["/vendor/lib/"]}, {"include": ["docs/**"]}):
        assert not (await scan(repository, None, tmp_path / "work", **filters)).unread


async def test_a_repository_of_longer_ids_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet", "--object-format=sha256")
    (folder / "a.md").write_text("One.")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "one")
    assert (await scan(folder, None, tmp_path / "work")).revision == git(folder, "rev-parse", "HEAD")


async def test_a_repository_that_is_too_large_is_given_up(repository: Path, tmp_path: Path) -> None:
    (repository / "noise.bin").write_bytes(os.urandom(3 << 20))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "noise")
    place = f"file://{repository}", None, PathFilter(), PublicAddresses(), tmp_path / "work"
    async with open_repository(*place, protocols=("file",), most_bytes=1 << 20) as opened:
        with pytest.raises(SourceUnreadable, match="larger than 1 MB"):
            await opened.scan({})


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "/etc",
        "ext::sh -c touch% /tmp/x",
        "http://example.org/x",
        "ssh://example.org/x",
        "git@example.org:x",
        "https://user:secret@example.org/x",
        "https:///x",
        "https://example.org:0/x",
        "https://example.org:99999/x",
        "--upload-pack=touch x",
        "https://example.org/a b",
        "https://[::1/x",
    ],
)
def test_other_protocols_and_secrets_are_refused(url: str) -> None:
    with pytest.raises(SourceUnreadable):
        check_repository(url, None)


@pytest.mark.parametrize("branch", ["--exec=x", "a..b", "a b", "", "/a", "a:b", "+a", "a\n"])
def test_names_that_no_branch_can_have_are_refused(branch: str) -> None:
    with pytest.raises(SourceUnreadable):
        check_repository("https://example.org/x", branch)


async def test_a_private_host_is_not_asked(tmp_path: Path) -> None:
    place = "https://127.0.0.1/x", None, PathFilter(), PublicAddresses(), tmp_path / "work"
    with pytest.raises(SourceUnreadable, match="no public address"):
        async with open_repository(*place):
            raise AssertionError("it was opened")


async def test_git_itself_is_left_no_other_protocol(repository: Path, tmp_path: Path) -> None:
    """The program refuses, too: the check of the address isn't the only one."""
    place = f"file://{repository}", None, PathFilter(), PublicAddresses(), tmp_path / "work"
    async with open_repository(*place, protocols=("file",)) as opened:
        opened._url = f"ext::cat {repository}"  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(SourceUnreadable, match="not allowed"):
            await opened.scan({})


async def test_a_source_of_a_private_host_fails_and_says_so(gateway: Gateway, kestrel: Sources) -> None:
    store = await kestrel.store()
    body = {"name": "x", "vector_store_id": store, "origin": {"kind": "git", "url": "file:///etc"}}
    assert (await kestrel.fault(400, "POST", "/api/sources", json=body))["code"] == "source_not_allowed"
    source = await kestrel.source(store, {"kind": "git", "url": "https://169.254.169.254/latest"})
    await kestrel.settle()
    failed = await kestrel.ok("GET", f"/api/sources/{source}")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "source_unreadable")


async def test_git_connects_to_the_address_that_was_looked_at(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def answer(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await stream.read(1024))
        writer.close()

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    addresses = PublicAddresses(["127.0.0.0/8"], resolve)
    place = f"https://no-such-host.invalid:{port}/x", None, PathFilter(), addresses, tmp_path / "work"
    async with server, open_repository(*place) as opened:
        with pytest.raises(SourceUnreadable):
            await opened.scan({})
    assert b"no-such-host.invalid" in asked[0]
