"""Bytes under their digest: once, whole or not at all."""

import hashlib
import itertools
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.artifacts import Artifacts


async def parts(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def cut(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    raise ConnectionResetError("the client left")


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def files(artifacts: Artifacts) -> list[str]:
    return sorted(str(path.relative_to(artifacts.root)) for path in artifacts.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("pieces", [(b"",), (), (b"abc",), (b"a", b"", b"bc"), (b"x" * 100_000, b"y")])
async def test_bytes_are_found_under_the_digest_of_all_pieces(artifacts: Artifacts, pieces: tuple[bytes, ...]) -> None:
    whole = b"".join(pieces)
    stored = await artifacts.put(parts(*pieces))
    assert (stored.digest, stored.size) == (hashlib.sha256(whole).hexdigest(), len(whole))
    assert artifacts.locate_file(stored.digest).read_bytes() == whole
    assert files(artifacts) == [f"files/{stored.digest}"]


async def test_equal_bytes_are_stored_once(artifacts: Artifacts) -> None:
    first, second = await artifacts.put(parts(b"ab", b"c")), await artifacts.put(parts(b"abc"))
    assert first == second
    assert files(artifacts) == [f"files/{first.digest}"]


async def test_a_cut_upload_leaves_nothing(artifacts: Artifacts) -> None:
    with pytest.raises(ConnectionResetError):
        await artifacts.put(cut(b"abc", b"def"))
    assert files(artifacts) == []


async def test_removing_twice_is_fine_and_touches_no_other(artifacts: Artifacts) -> None:
    gone, stays = await artifacts.put(parts(b"gone")), await artifacts.put(parts(b"stays"))
    artifacts.remove_file(gone.digest)
    artifacts.remove_file(gone.digest)
    assert files(artifacts) == [f"files/{stays.digest}"]


def test_an_adapters_folder_is_copied_whole_and_left_where_it_was(artifacts: Artifacts, tmp_path: Path) -> None:
    folder = tmp_path / "trained"
    (folder / "deep").mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "deep" / "weights").write_bytes(b"w")
    target = artifacts.put_adapter(folder, "d1")
    assert target == artifacts.locate_adapter("d1")
    assert (target / "deep" / "weights").read_bytes() == b"w"
    assert (folder / "adapter_config.json").exists()
    assert not list((artifacts.root / "incoming").iterdir())


def test_an_adapter_that_is_there_is_never_overwritten(artifacts: Artifacts, tmp_path: Path) -> None:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "weights").write_bytes(b"first")
    artifacts.put_adapter(folder, "d1")
    (folder / "weights").write_bytes(b"second")
    assert (artifacts.put_adapter(folder, "d1") / "weights").read_bytes() == b"first"


async def test_a_file_that_is_replaced_meanwhile_is_stored_whole(artifacts: Artifacts, tmp_path: Path) -> None:
    path, stop = tmp_path / "state", threading.Event()
    path.write_bytes(b"0")

    def replace() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            (tmp_path / "partial").write_bytes(b"%d" % number)
            (tmp_path / "partial").rename(path)

    with ThreadPoolExecutor(1) as writers:
        writing = writers.submit(replace)
        try:
            for _ in range(100):
                stored = await artifacts.put_path(path)
                assert artifacts.locate_file(stored.digest).read_bytes().isdigit()
        finally:
            stop.set()
        writing.result()
    with pytest.raises(FileNotFoundError):
        await artifacts.put_path(tmp_path / "nothing")


@pytest.mark.parametrize("way", ["put", "put_bytes"])
async def test_a_file_and_then_the_folder_with_its_name_survive_a_power_cut(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def note(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        synced.append("folder" if Path(path) == artifacts.root / "files" else "file")
        assert synced[-1] == "folder" or not list((artifacts.root / "files").iterdir()), "not named before"
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    stored = await (artifacts.put(parts(b"abc")) if way == "put" else artifacts.put_bytes(b"abc"))
    assert synced == ["file", "folder"]
    assert artifacts.locate_file(stored.digest).read_bytes() == b"abc"
