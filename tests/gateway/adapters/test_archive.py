"""Archives as an enemy packs them."""

import io
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gateway.adapters.archive import CONFIG, WEIGHTS, ArchiveRefused, extract

GOOD = {CONFIG: b"{}", WEIGHTS: b"weights"}


def pack(file: Path, members: dict[str, bytes], *, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = method
            member.external_attr = mode << 16
            opened.writestr(member, content)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "adapter"
    made.mkdir()
    return made


@pytest.mark.parametrize("prefix", ["", "voice/", "a/b/c/"])
def test_the_two_files_are_taken_and_nothing_else(tmp_path: Path, folder: Path, prefix: str) -> None:
    others = {"README.md": b"hello", "training_args.bin": b"pickle", "voice/optimizer.pt": b"pickle"}
    members = {f"{prefix}{name}": content for name, content in {**GOOD, **others}.items()}
    extract(pack(tmp_path / "a.zip", members), folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == GOOD


def test_a_byte_order_mark_before_the_config_is_left_out(tmp_path: Path, folder: Path) -> None:
    mark = b"\xef\xbb\xbf"
    extract(pack(tmp_path / "a.zip", {CONFIG: mark + b"{}", WEIGHTS: mark}), folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {CONFIG: b"{}", WEIGHTS: mark}


@pytest.mark.parametrize(
    "others",
    [
        {f"__MACOSX/voice/._{CONFIG}": b"\0\5\x16\7", f"__MACOSX/voice/{CONFIG}": b"x", "voice/.DS_Store": b"Bud1"},
        {f"voice/checkpoint-100/{name}": b"older" for name in GOOD},
        {"voice/adapter_model.bin": b"pickle", "voice/training_args.bin": b"pickle", "voice/tokenizer.json": b"{}"},
        {f"voice/old/{WEIGHTS}": b"half of an adapter"},
    ],
    ids=["a Mac's own files", "a trainer's checkpoints", "a trainer's other files", "half of another"],
)
def test_what_stands_beside_an_adapter_is_left_out(tmp_path: Path, folder: Path, others: dict[str, bytes]) -> None:
    members = {f"voice/{name}": content for name, content in GOOD.items()}
    extract(pack(tmp_path / "a.zip", others | members), folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == GOOD


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({CONFIG: b"{}"}, f"has no {WEIGHTS}"),
        ({WEIGHTS: b"w"}, f"has no {CONFIG}"),
        ({CONFIG: b"{}", "adapter_model.bin": b"p"}, "pickled weights"),
        ({f"{one}/{name}": b"{}" for one in "ab" for name in GOOD}, "more than once"),
        ({**GOOD, "../evil": b"x"}, "points outside"),
        ({**GOOD, "/etc/evil": b"x"}, "points outside"),
        ({CONFIG: b"{}", f"..\\{WEIGHTS}": b"x"}, "points outside"),
        ({**GOOD, **{f"f{n}": b"" for n in range(999)}}, "1001 members"),
        ({CONFIG: b" " * ((1 << 20) + 1), WEIGHTS: b"w"}, "which is the limit"),
    ],
)
def test_an_archive_that_cannot_be_taken_is_refused_with_the_reason(
    tmp_path: Path, folder: Path, members: dict[str, bytes], says: str
) -> None:
    with pytest.raises(ArchiveRefused, match=says):
        extract(pack(tmp_path / "a.zip", members), folder)
    assert not (tmp_path / "evil").exists()


def test_an_archive_at_its_bounds_is_taken(tmp_path: Path, folder: Path) -> None:
    largest = {CONFIG: b" " * (1 << 20), WEIGHTS: b"w", **{f"f{n}": b"" for n in range(998)}}
    extract(pack(tmp_path / "a.zip", largest), folder)
    assert (folder / CONFIG).stat().st_size == 1 << 20


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, folder: Path, kind: int) -> None:
    with pytest.raises(ArchiveRefused, match="link or a device"):
        extract(pack(tmp_path / "a.zip", {**GOOD, "passwd": b"/etc/passwd"}, mode=kind | 0o777), folder)


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all", b"\x1f\x8b\x08\x00tar"])
def test_what_is_no_archive_is_refused(tmp_path: Path, folder: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveRefused, match="can't be unpacked"):
        extract(tmp_path / "a.zip", folder)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_any_damage_is_a_reason_to_refuse(tmp_path: Path, method: int) -> None:
    archive = pack(tmp_path / "a.zip", {CONFIG: b"{}", WEIGHTS: b"weights" * 9, "\u00fc.txt": b""}, method=method)
    sound = archive.read_bytes()
    refusals = 0
    for place in range(len(sound)):
        folder = tmp_path / str(place)
        folder.mkdir()
        archive.write_bytes(sound[:place] + bytes([sound[place] ^ 0xFF]) + sound[place + 1 :])
        try:
            extract(archive, folder)
        except ArchiveRefused:
            refusals += 1
        else:  # it was in what nobody reads, such as a date
            assert {file.name for file in folder.iterdir()} == set(GOOD)
    assert refusals > len(sound) // 3


def test_a_password_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = pack(tmp_path / "a.zip", GOOD)
    data = bytearray(archive.read_bytes())
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):  # set the bit that says "encrypted" in each header
        at = data.find(mark)
        data[at + (6 if mark == b"PK\x03\x04" else 8)] |= 1
    archive.write_bytes(data)
    with pytest.raises(ArchiveRefused, match="without a password"):
        extract(archive, folder)


def run(archive: Path, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = (sys.executable, "-m", "gateway.adapters.archive", str(archive), str(folder))
    return subprocess.run(command, capture_output=True, check=False, cwd=Path(__file__).parents[3])


def test_the_program_unpacks_an_adapter_or_says_why_not(tmp_path: Path, folder: Path) -> None:
    good = run(pack(tmp_path / "a.zip", GOOD), folder)
    assert (good.returncode, good.stdout) == (0, b"")
    assert (folder / WEIGHTS).read_bytes() == b"weights"
    (folder / WEIGHTS).unlink()
    bad = run(pack(tmp_path / "b.zip", {CONFIG: b"{}"}), folder)
    assert bad.returncode == 1
    assert WEIGHTS.encode() in bad.stdout


def test_a_machine_that_cannot_write_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    failed = run(pack(tmp_path / "a.zip", GOOD), tmp_path / "missing")
    assert (failed.returncode, failed.stdout) == (2, b"No such file or directory")


def test_a_directory_of_millions_ends_only_the_program(tmp_path: Path, folder: Path) -> None:
    entry = b"PK\x01\x02" + b"\x14\x00" * 2 + b"\x00" * 20 + b"\x01\x00" + b"\x00" * 16 + b"a"
    assert len(entry) == 47
    count = 700_000
    directory = entry * count
    end = io.BytesIO()
    end.write(b"PK\x06\x06" + (44).to_bytes(8, "little") + b"\x2d\x00" * 2 + b"\x00" * 8)
    end.write(count.to_bytes(8, "little") * 2 + len(directory).to_bytes(8, "little") + (0).to_bytes(8, "little"))
    end.write(b"PK\x06\x07" + b"\x00" * 4 + len(directory).to_bytes(8, "little") + (1).to_bytes(4, "little"))
    end.write(b"PK\x05\x06" + b"\x00" * 4 + b"\xff\xff" * 2 + b"\xff" * 4 + b"\xff" * 4 + b"\x00\x00")
    (tmp_path / "a.zip").write_bytes(directory + end.getvalue())
    assert run(tmp_path / "a.zip", folder).returncode == 1
