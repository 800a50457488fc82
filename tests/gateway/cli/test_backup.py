"""A backup of a running Braid, restored into an empty home: the same answers, or no home at all."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli.backup import writer
from gateway.settings import Settings
from gateway.stack.instance import Instance
from gateway.terminal import Exit
from tests.fakes.peft import write_adapter
from tests.fakes.retriever import FakeRetriever, Fault
from tests.gateway.cli.commands import run
from tests.gateway.conftest import Gateway, running
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import Client, index
from tests.gateway.worker import ROOT, prepare_home

__all__ = ["index", "settings"]

TEXTS = {"k2.md": "The warranty of the k2 is 19 months.", "k7.md": "The warranty of the k7 is 31 months."}


@pytest.fixture
async def kestrel(gateway: Gateway, index: FakeRetriever) -> Client:
    return Client(gateway, await gateway.tenant("kestrel"))


async def fill(client: Client) -> tuple[str, str]:
    """Put documents and a file, and return the ids of store and file."""
    store = await client.store()
    for key, text in TEXTS.items():
        await client.put(store, key, text)
    await client.settle()
    return store, await client.file(b"A file of its own.", "own.txt")


async def back_up(settings: Settings, target: Path) -> None:
    result = await run("backup", str(target), "--home", str(settings.home))
    assert result.exit_code == Exit.OK, result.output


async def restore(source: Path, home: Path, status: Exit = Exit.OK) -> str:
    result = await run("restore", str(source), "--home", str(home))
    assert result.exit_code == status, result.output
    return result.stderr


async def test_a_restored_home_gives_the_answers_of_the_backup(
    gateway: Gateway, kestrel: Client, settings: Settings, index: FakeRetriever, tmp_path: Path
) -> None:
    store, file = await fill(kestrel)
    write_adapter(tmp_path / "peft", base_name="base")
    adapter = gateway.state.artifacts.put_adapter(tmp_path / "peft", "a" * 64)
    before = await kestrel.search(store, "warranty k7")

    async def write_meanwhile() -> None:
        for number in range(20):
            await kestrel.put(store, "k2.md", f"The warranty of the k2 is {number} days.")
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(write_meanwhile())
    await back_up(settings, tmp_path / "backup")
    await writing
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/k7.md")

    home = tmp_path / "restored"
    await restore(tmp_path / "backup", home)
    assert not (home / "run" / "client.json").exists(), "no key lies in a backup"
    assert home.stat().st_mode & 0o077 == 0
    there = settings.model_copy(update={"home": home, "database_url": ""})
    prepare_home(home)  # as 'braid up' does
    async with FakeRetriever(there.retriever_socket) as copy, running(there) as second:
        copy.load(home / "index")
        client = Client(second, second.client(kestrel.http.headers["authorization"].removeprefix("Bearer ")))
        assert await client.search(store, "warranty k7") == before
        assert (await client.http.get(f"/v1/files/{file}/content")).content == b"A file of its own."
        assert (await client.ok("GET", f"/api/vector_stores/{store}/index"))["state"] == "current"
        copied = second.state.artifacts.locate_adapter("a" * 64)
        assert {path.name: path.read_bytes() for path in copied.iterdir()} == {
            path.name: path.read_bytes() for path in adapter.iterdir()
        }
        await client.settle()
        assert (await client.get(store, "k2.md"))["status"] == "completed", "what was under way goes on"


async def test_a_backup_tells_how_far_it_is(
    gateway: Gateway, kestrel: Client, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_TELL_SECONDS", 0.0)
    await fill(kestrel)
    result = await run("backup", str(tmp_path / "backup.tar"), "--home", str(settings.home))
    told = [line for line in result.stderr.splitlines() if not line.startswith("{")]  # the gateway logs there, too
    assert [line.split(",")[0] for line in told[:-1]] == [
        "copying what documents",
        "1 file",
        "2 files",
        "3 files",
        "copying database and index of one moment",
        "reading the copies once more",
        "packing the archive",
    ]


async def test_a_backup_starts_without_the_parts_of_the_gateway() -> None:
    """They take two seconds of a core, many more on a busy machine, in which nothing is told."""
    program = "import sys, gateway.cli.backup.command; print({'fastapi', 'gateway.composition'} & set(sys.modules))"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert (await process.communicate())[0] == b"set()\n"


async def test_a_database_restored_beside_a_living_index_server_has_its_documents_indexed_again(
    gateway: Gateway, kestrel: Client, settings: Settings, index: FakeRetriever, tmp_path: Path
) -> None:
    store, _ = await fill(kestrel)
    empty = await kestrel.store()
    await kestrel.put(empty, "a.md", "Gone before the backup.")
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{empty}/documents/a.md")
    await kestrel.settle()

    async def refuse() -> None:
        raise Fault("retriever_failed", "A Qdrant server's index isn't copied.")

    index.before["hold"] = refuse  # as a retriever before a server does
    await back_up(settings, tmp_path / "backup")
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/k7.md")
    await kestrel.settle()
    assert "refused until" in await restore(tmp_path / "backup", tmp_path / "restored")

    there = settings.model_copy(update={"home": tmp_path / "restored", "database_url": ""})
    prepare_home(there.home)
    async with FakeRetriever(there.retriever_socket) as server, running(there) as second:
        server.points, server.index = index.points, index.index
        client = Client(second, second.client(kestrel.http.headers["authorization"].removeprefix("Bearer ")))
        for id in (store, empty):
            await client.fault(503, "POST", f"/v1/vector_stores/{id}/search", json={"query": "warranty"})
            assert (await client.ok("POST", f"/api/vector_stores/{id}/index"))["state"] == "missing"
        await client.settle()
        assert sorted(await client.search(store, "warranty")) == sorted(TEXTS.values())
        assert await client.search(empty, "gone") == []
        assert (await client.ok("GET", f"/api/vector_stores/{empty}/index"))["state"] == "current"


async def test_a_damaged_backup_restores_nothing_and_says_which_file(
    gateway: Gateway, kestrel: Client, settings: Settings, tmp_path: Path
) -> None:
    await fill(kestrel)
    await back_up(settings, tmp_path / "backup")
    manifest = json.loads((tmp_path / "backup" / "manifest.json").read_bytes())
    damaged = next(row["path"] for row in manifest["files"] if row["path"].startswith("artifacts/files/"))
    (tmp_path / "backup" / damaged).write_bytes(b"x")
    assert f"{damaged} in the backup is damaged" in await restore(tmp_path / "backup", tmp_path / "new", Exit.FAILED)
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))

    (tmp_path / "backup" / "manifest.json").unlink()
    assert "no whole backup" in await restore(tmp_path / "backup", tmp_path / "new", Exit.FAILED)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"format": 99}, "has the format 99"), ({"schema": "9999"}, "with that version or a later one")],
)
async def test_a_backup_of_another_version_is_refused_with_the_way_out(
    gateway: Gateway, kestrel: Client, settings: Settings, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    await back_up(settings, tmp_path / "backup")
    file = tmp_path / "backup" / "manifest.json"
    file.write_bytes(msgspec.json.encode(json.loads(file.read_bytes()) | change))
    assert words in await restore(tmp_path / "backup", tmp_path / "new", Exit.CONFLICT)
    assert not (tmp_path / "new").exists()


async def test_nothing_is_written_over(gateway: Gateway, kestrel: Client, settings: Settings, tmp_path: Path) -> None:
    await back_up(settings, tmp_path / "backup")
    place = str(tmp_path / "backup")
    again = await run("backup", place, "--home", str(settings.home))
    assert (again.exit_code, "no backup is written over" in again.stderr) == (Exit.CONFLICT, True)
    assert "isn't empty" in await restore(tmp_path / "backup", settings.home, Exit.CONFLICT)
    (tmp_path / "empty").mkdir()
    await restore(tmp_path / "backup", tmp_path / "empty")
    for command in (
        ("backup", "/proc/backup", "--home", str(settings.home)),
        ("restore", place, "--home", "/proc/home"),
    ):
        refused = await run(*command)
        assert refused.exit_code == Exit.FAILED, refused.output
        assert "No such file or directory" in refused.stderr
    none = await run("backup", str(tmp_path / "other"), "--home", str(tmp_path / "nowhere"))
    assert (none.exit_code, "no database" in none.stderr) == (Exit.NOT_FOUND, True)


def test_a_stopped_braid_is_backed_up_with_its_index_and_not_started_meanwhile(tmp_path: Path, migrated: Path) -> None:
    home = tmp_path / "home"
    (home / "index" / "braid-x").mkdir(parents=True)
    (home / "index" / "braid-x" / "segment").write_bytes(b"points")
    (home / "index" / "braid-y.unreadable-1").mkdir()
    shutil.copy(migrated, home / "braid.db")
    result = asyncio.run(run("backup", str(tmp_path / "backup"), "--home", str(home)))
    assert result.exit_code == Exit.OK, result.output
    asyncio.run(restore(tmp_path / "backup", tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new" / "index").iterdir()] == ["braid-x"]
    assert (tmp_path / "new" / "index" / "braid-x" / "segment").read_bytes() == b"points"
    with sqlite3.connect(tmp_path / "new" / "braid.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    archive = tmp_path / "nightly.tar"
    asyncio.run(back_up(Settings(home=home), archive))
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert asyncio.run(run("backup", str(archive), "--home", str(home))).exit_code == Exit.CONFLICT
    asyncio.run(restore(archive, tmp_path / "unpacked"))
    assert (tmp_path / "unpacked" / "index" / "braid-x" / "segment").read_bytes() == b"points"
    archive.write_bytes(archive.read_bytes()[:5000])
    message = asyncio.run(restore(archive, tmp_path / "third", Exit.FAILED))
    assert "Nothing was restored" in message or "no whole backup" in message
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") or path.name == "third"]
    with Instance.only(home):
        result = asyncio.run(run("backup", str(tmp_path / "other"), "--home", str(home)))
    assert (result.exit_code, "doesn't answer yet" in result.stderr) == (Exit.FAILED, True)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("source", "target", "ended_at", "is_whole"),
    [
        ("", "http://qdrant.example:6333", None, False),
        ("http://qdrant.example:6333", "", None, False),
        ("", "http://qdrant.example:6333", 5, True),
        ("", "", None, True),
    ],
)
def test_no_index_is_in_a_backup_while_documents_move_from_or_to_a_server(
    source: str, target: str, ended_at: int | None, is_whole: bool, tmp_path: Path, migrated: Path
) -> None:
    home = tmp_path / "home"
    (home / "index" / "braid-x").mkdir(parents=True)
    shutil.copy(migrated, home / "braid.db")
    (home / "index" / "braid-x" / "segment").write_bytes(b"points")
    with sqlite3.connect(home / "braid.db") as database:
        database.execute(
            "INSERT INTO index_migrations (id, created_at, source_embedder, source_url, target_embedder, target_url, "
            "source_index, target_index, phase, evaluations, ended_at) VALUES ('m', 1, '', ?, '', ?, 'x', 'y', "
            "'swapped', '{}', ?)",
            (source, target, ended_at),
        )
    result = asyncio.run(run("backup", str(tmp_path / "backup"), "--home", str(home)))
    assert result.exit_code == Exit.OK, result.output
    assert ("The index isn't in it" in result.stderr) is not is_whole
    said = asyncio.run(restore(tmp_path / "backup", tmp_path / "new"))
    assert ("refused until" in said) is not is_whole
    assert (tmp_path / "new" / "index").exists() is is_whole


_RESTORE = """
import sys
from pathlib import Path
from gateway.cli.backup.restore import restore_backup
from gateway.settings import Settings
restore_backup(Settings(home=Path(sys.argv[2])), Path(sys.argv[1]), print)
"""


async def test_killed_during_a_restore_there_is_no_home_and_the_next_one_succeeds(
    gateway: Gateway, kestrel: Client, settings: Settings, tmp_path: Path
) -> None:
    await fill(kestrel)
    await back_up(settings, tmp_path / "backup")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RESTORE, str(tmp_path / "backup"), str(tmp_path / "new")),
        cwd=ROOT,
        env=os.environ | {"BRAID_FAILPOINT": "restore-copied"},
    )
    assert await process.wait() == -signal.SIGKILL
    assert not (tmp_path / "new").exists()
    await restore(tmp_path / "backup", tmp_path / "new")
    assert not list(tmp_path.glob(".new*"))
