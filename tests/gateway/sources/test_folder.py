import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from gateway.sources.folder import FolderReader, resolve_folder
from gateway.sources.path_filter import PathFilter
from gateway.sources.reader import ItemUnreadable, SourceUnreadable


def reader(folder: Path, **filters: object) -> FolderReader:
    return FolderReader(folder.resolve(), PathFilter(**filters))  # type: ignore[arg-type]


async def join(parts: AsyncGenerator[bytes]) -> bytes:
    async with aclosing(parts):
        return b"".join([part async for part in parts])


async def read(opened: FolderReader, key: str) -> bytes:
    return await join(opened.read(key))


async def test_patterns_are_those_of_gitignore(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt", "drafts/c.md", "docs/d.md", "docs/keep.txt", ".git/HEAD", "docs/.e.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert set((await reader(tmp_path).scan({})).items) == {
        "a.md",
        "b.txt",
        "drafts/c.md",
        "docs/d.md",
        "docs/keep.txt",
    }
    some = await reader(tmp_path, exclude=["*.txt", "!keep.txt", "/drafts/"]).scan({})
    assert set(some.items) == {"a.md", "docs/d.md", "docs/keep.txt"}
    assert set((await reader(tmp_path, include=["docs/"]).scan({})).items) == {"docs/d.md", "docs/keep.txt"}
    hidden = await reader(tmp_path, hidden=True, exclude=[".git"]).scan({})
    assert "docs/.e.md" in hidden.items
    assert ".git/HEAD" not in hidden.items


async def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.md").write_text("Secret.")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a.md").write_text("One.")
    (inside / "near.md").symlink_to("a.md")
    (inside / "far.md").symlink_to("../outside/secret.md")
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "loop").symlink_to(".")
    (inside / "nowhere.md").symlink_to("gone.md")
    os.mkfifo(inside / "pipe.md")
    opened = reader(inside)
    assert set((await opened.scan({})).items) == {"a.md", "near.md"}
    assert await read(opened, "near.md") == b"One."
    for key in ("far.md", "folder/secret.md", "../outside/secret.md", "pipe.md"):
        with pytest.raises(ItemUnreadable):
            await read(opened, key)


async def test_a_file_that_becomes_a_link_out_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text("One.")
    opened = reader(tmp_path / "in")
    await opened.scan({})
    (tmp_path / "in" / "a.md").unlink()
    (tmp_path / "in" / "a.md").symlink_to("/etc/hostname")
    with pytest.raises(ItemUnreadable):
        await read(opened, "a.md")


async def test_a_file_that_is_written_meanwhile_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"x" * (3 << 20))
    parts = reader(tmp_path).read("a.md")
    assert await anext(parts)
    with (tmp_path / "a.md").open("ab") as file:
        file.write(b"y")
    with pytest.raises(ItemUnreadable, match="written while"):
        await join(parts)


async def test_a_name_that_is_no_text_is_an_error_of_one_item(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One.")
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.md", os.O_CREAT))
    listing = await reader(tmp_path).scan({})
    assert (set(listing.items), set(listing.unread)) == ({"a.md"}, {"?.md"})


async def test_a_folder_inside_that_may_not_be_read_keeps_what_is_in_it_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The superuser, as which tests may run, may read all."""
    for name in ("lost+found", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text(name)
    scandir = os.scandir

    def refuse(path: Path) -> Any:
        if path.name == "lost+found":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = await reader(tmp_path).scan({"lost+found/a.md": "1", "lost+found.md": "1", "other/gone.md": "1"})
    assert set(listing.items) == {"other/a.md"}
    assert set(listing.unread) == {"lost+found/", "lost+found/a.md"}
    assert listing.whole
    with pytest.raises(SourceUnreadable):
        await reader(tmp_path / "lost+found").scan({})


async def test_a_folder_that_goes_away_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    opened = reader(tmp_path / "sub")
    (tmp_path / "sub").rmdir()
    with pytest.raises(SourceUnreadable):
        await opened.scan({})


def test_without_roots_and_without_a_tenant_nothing_may_be_read(tmp_path: Path) -> None:
    (tmp_path / "kestrel").mkdir()
    assert resolve_folder([f"{tmp_path}/{{tenant}}"], f"{tmp_path}/kestrel", "kestrel") == tmp_path / "kestrel"
    for roots, tenant in (
        ([], "kestrel"),
        ([str(tmp_path)], ""),
        ([f"{tmp_path}/{{tenant}}"], "kes"),
        (["kestrel"], "kestrel"),
    ):
        with pytest.raises(SourceUnreadable):
            resolve_folder(roots, f"{tmp_path}/kestrel", tenant)


async def test_folders_in_folders_may_be_as_deep_as_the_system_has_them(tmp_path: Path) -> None:
    (tmp_path / "z.md").write_text("Beside.")
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit() + 10):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("deep.md", os.O_WRONLY | os.O_CREAT, dir_fd=at))
    os.close(at)
    try:
        listing = await reader(tmp_path).scan({})
    finally:
        remove = ["rm", "-rf", str(tmp_path / "d")]  # pytest's own clean-up is recursive
        await asyncio.to_thread(subprocess.run, remove, check=True)
    assert [key.rpartition("/")[2] for key in sorted(listing.items)] == ["deep.md", "z.md"]
    assert listing.unread == {}


async def test_links_in_a_circle_and_pipes_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "one.md").symlink_to("two.md")
    (tmp_path / "two.md").symlink_to("one.md")
    (tmp_path / "self").symlink_to(".")
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "a.md").write_text("One.")
    assert list((await reader(tmp_path).scan({})).items) == ["a.md"]


async def test_a_file_that_says_it_is_huge_is_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One.")
    (tmp_path / "sparse.md").touch()
    os.truncate(tmp_path / "sparse.md", 1 << 40)
    opened = reader(tmp_path)
    listing = await opened.scan({})
    assert (set(listing.items), set(listing.unread)) == ({"a.md"}, {"sparse.md"})
    os.truncate(tmp_path / "a.md", 1 << 40)  # since it was listed
    with pytest.raises(ItemUnreadable, match="larger than"):
        await read(opened, "a.md")


async def test_a_repository_without_files_around_it_is_no_folder_of_documents(tmp_path: Path) -> None:
    for name in ("bare.git", "team/bare.git"):
        await asyncio.to_thread(
            subprocess.run, ["git", "init", "--quiet", "--bare", str(tmp_path / name)], check=True, capture_output=True
        )
    (tmp_path / "team" / "a.md").write_text("One.")
    with pytest.raises(SourceUnreadable, match="bare"):
        await reader(tmp_path / "bare.git").scan({})
    listing = await reader(tmp_path / "team").scan({"bare.git/a.md": "1"})
    assert (set(listing.items), set(listing.unread)) == ({"a.md"}, {"bare.git/", "bare.git/a.md"})


COMPOSED, SPLIT = "Pr\u00e9face", "Pre\u0301face"
"""`Préface`, as keyboards write it and as macOS does."""


async def test_a_name_is_the_same_one_whichever_way_its_signs_are_written(tmp_path: Path) -> None:
    (tmp_path / SPLIT).mkdir()
    (tmp_path / SPLIT / f"{SPLIT}.md").write_text("One.")
    for filters in ({}, {"include": [f"{COMPOSED}/"]}, {"include": [f"{SPLIT}/**/{COMPOSED}.*"]}):
        opened = reader(tmp_path, **filters)
        assert list((await opened.scan({})).items) == [f"{COMPOSED}/{COMPOSED}.md"]
        assert await read(opened, f"{COMPOSED}/{COMPOSED}.md") == b"One."
    assert not (await reader(tmp_path, exclude=[COMPOSED]).scan({})).items
    first = (await reader(tmp_path).scan({})).items
    (tmp_path / SPLIT).rename(tmp_path / COMPOSED)
    assert (await reader(tmp_path).scan(first)).items.keys() == first.keys()


async def test_a_name_that_was_put_as_macos_writes_it_keeps_its_key(tmp_path: Path) -> None:
    (tmp_path / f"{SPLIT}.md").write_text("One.")
    opened = reader(tmp_path)
    assert list((await opened.scan({f"{SPLIT}.md": "1"})).items) == [f"{SPLIT}.md"]
    assert await read(opened, f"{SPLIT}.md") == b"One."


async def test_two_files_whose_names_only_look_alike_are_two(tmp_path: Path) -> None:
    names = [
        f"{COMPOSED}.md",
        f"{SPLIT}.md",
        "a\u0302\u0323.txt",
        "a\u0323\u0302.txt",
        "b.md",
        "B.md",
        "\u212a.md",
        "K.md",
    ]
    for name in names:
        (tmp_path / name).write_text(name)
    opened = reader(tmp_path)
    assert set((await opened.scan({})).items) == set(names)
    assert [await read(opened, name) for name in names] == [name.encode() for name in names]
    (tmp_path / f"{COMPOSED}.md").unlink()
    listing = await opened.scan(dict.fromkeys(names, "1"))
    assert set(listing.items) == set(names) - {f"{SPLIT}.md"}
    assert await read(opened, f"{COMPOSED}.md") == f"{SPLIT}.md".encode()


async def test_a_folder_that_cannot_be_read_hides_none_whose_name_looks_alike(tmp_path: Path) -> None:
    (tmp_path / SPLIT).mkdir()
    (tmp_path / SPLIT / "a.md").write_text("One.")
    make = ["git", "init", "--quiet", "--bare", str(tmp_path / COMPOSED)]
    await asyncio.to_thread(subprocess.run, make, check=True)
    listing = await reader(tmp_path).scan({f"{SPLIT}/a.md": "1", f"{SPLIT}/b.md": "1", f"{COMPOSED}/c.md": "1"})
    assert set(listing.items) == {f"{SPLIT}/a.md"}
    assert set(listing.unread) == {f"{COMPOSED}/", f"{SPLIT}/b.md", f"{COMPOSED}/c.md"}


async def test_sockets_and_pipes_are_no_files_and_hold_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One.")
    os.mkfifo(tmp_path / "pipe.md")
    folder = os.open(tmp_path, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/socket.md")
        os.close(folder)
        opened = reader(tmp_path)
        async with asyncio.timeout(10):
            listing = await opened.scan({"pipe.md": "1", "socket.md": "1"})
            for key in ("pipe.md", "socket.md"):
                with pytest.raises(ItemUnreadable):
                    await read(opened, key)
    assert (set(listing.items), listing.unread) == ({"a.md"}, {})


async def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One.")
    opened = reader(tmp_path)
    await opened.scan({})
    (tmp_path / "a.md").unlink()
    os.mkfifo(tmp_path / "a.md")
    async with asyncio.timeout(10):
        with pytest.raises(ItemUnreadable):
            await read(opened, "a.md")
