import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.cli.bulk_add import BulkAdd
from gateway.cli.docs import name_documents
from gateway.client import Client
from gateway.terminal import Exit
from tests.fakes.retriever import ACCEPTED, FakeRetriever
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working
from tests.waiting import until

__all__ = ["index", "settings"]


@pytest.fixture
async def address(gateway: Gateway, index: FakeRetriever) -> AsyncIterator[list[str]]:
    async with working(gateway.state.settings):
        yield ["--url", gateway.url, "--key", ADMIN_KEY]


async def test_documents_come_and_go(address: list[str], index: FakeRetriever, tmp_path: Path) -> None:
    (tmp_path / "shop" / "prices").mkdir(parents=True)
    (tmp_path / "shop" / "hours.md").write_text("Open until six.")
    (tmp_path / "shop" / "prices" / "k2.md").write_text("The K2 costs 40.")
    added = await run("docs", "add", "handbook", str(tmp_path / "shop"), *address)
    assert added.exit_code == Exit.OK, added.stderr
    assert added.stdout.splitlines() == ["hours.md\t1\tcompleted\t1\t1", "prices/k2.md\t1\tcompleted\t1\t1"]
    assert sorted(point.text for point in index.points) == ["Open until six.", "The K2 costs 40."]

    listed = await run("docs", "list", "handbook", "--json", *address)
    assert {row["key"] for row in json.loads(listed.stdout)} == {"hours.md", "prices/k2.md"}

    gone = await run("docs", "delete", "handbook", "prices/k2.md", *address)
    assert gone.exit_code == Exit.OK
    again = await run("docs", "delete", "handbook", "prices/k2.md", *address)
    assert again.exit_code == Exit.NOT_FOUND
    listed = await run("docs", "list", "handbook", *address)
    assert listed.stdout.splitlines() == ["hours.md\t1\tcompleted"]


async def test_hidden_files_are_left_out_and_counted_unless_named(
    address: list[str], index: FakeRetriever, tmp_path: Path
) -> None:
    (tmp_path / "shop" / ".git" / "objects").mkdir(parents=True)
    for name in (".git/HEAD", ".git/objects/1", ".DS_Store", "hours.md", "hours.md~", "~$hours.docx"):
        (tmp_path / "shop" / name).write_text(f"This is {name}.")
    added = await run("docs", "add", "handbook", str(tmp_path / "shop"), *address)
    assert added.stdout.splitlines() == ["hours.md\t1\tcompleted\t1\t1"]
    assert "5 hidden files" in added.stderr
    assert ".DS_Store" in added.stderr
    assert [point.text for point in index.points] == ["This is hours.md."]
    named = await run("docs", "add", "handbook", str(tmp_path / "shop" / ".DS_Store"), *address)
    assert named.stdout.splitlines() == [".DS_Store\t1\tcompleted\t1\t1"]


def test_a_large_folder_is_listed_in_time_that_grows_with_its_files(tmp_path: Path) -> None:
    for number in range(6000):
        (tmp_path / f"{number:04}.md").touch()
    (tmp_path / "last.md~").touch()
    begin = time.thread_time()
    assert len(name_documents([tmp_path])) == 6000
    assert time.thread_time() - begin < 3


async def test_several_files_are_read_at_once(address: list[str], index: FakeRetriever, tmp_path: Path) -> None:
    waiting = asyncio.Event()

    async def wait_for_another() -> None:
        if index.calls.count("describe") >= 2:
            waiting.set()
        await waiting.wait()

    index.before["describe"] = wait_for_another
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(name)
    added = await run("docs", "add", "s", str(tmp_path / "a.md"), str(tmp_path / "b.md"), *address)
    assert added.exit_code == Exit.OK


async def test_a_lost_index_is_made_again_by_a_command(
    address: list[str], index: FakeRetriever, tmp_path: Path
) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(f"This is {name}.")
    await run("docs", "add", "s", str(tmp_path / "a.md"), str(tmp_path / "b.md"), *address)
    index.lose("fake/words/2")
    done = await run("docs", "reindex", *address)
    assert done.exit_code == Exit.OK, done.stderr
    assert done.stdout.split()[1:] == ["2", "current"]
    assert sorted(point.text for point in index.points) == ["This is a.md.", "This is b.md."]
    assert (await run("docs", "reindex", "s", *address)).exit_code == Exit.OK
    assert (await run("docs", "reindex", "nowhere", *address)).exit_code == Exit.NOT_FOUND


async def test_what_cannot_be_read_fails_and_says_so(address: list[str], tmp_path: Path) -> None:
    (tmp_path / "noise.md").write_bytes(b"\xff\xfe\xfa")
    done = await run("docs", "add", "handbook", str(tmp_path / "noise.md"), *address)
    assert done.exit_code == Exit.FAILED
    assert "noise.md\t1\tfailed\t0\t0" in done.stdout
    assert "Only text can be read here." in done.stderr
    listed = await run("docs", "list", "handbook", *address)
    assert listed.stdout.splitlines() == ["noise.md\t1\tfailed"]
    assert "noise.md: Only text can be read here." in listed.stderr


async def test_what_several_errors_end_with_is_said_once(address: list[str], tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for name in ("noise.md", "hum.md"):
        (tmp_path / "notes" / name).write_bytes(b"\xff\xfe\xfa")
    for command in (["add", "handbook", str(tmp_path / "notes")], ["list", "handbook"]):
        told = (await run("docs", *command, *address)).stderr
        assert (told.count("Only text can be read here."), told.count(ACCEPTED)) == (2, 1)
    as_json = await run("docs", "list", "handbook", "--json", *address)
    assert as_json.stdout.count(ACCEPTED) == 2


async def test_a_tenant_without_stores_is_told_that_nothing_is_indexed_again(address: list[str]) -> None:
    done = await run("docs", "reindex", *address)
    assert (done.exit_code, done.stdout) == (Exit.OK, "")
    assert "has no vector stores" in done.stderr


async def test_who_stops_an_upload_is_told_how_it_goes_on(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.md").write_text("No worker is there to read it.")
    async with Client(gateway.url, ADMIN_KEY) as client:
        store = (await client.post("/v1/vector_stores", {"name": "shelf"}))["id"]
        adding = asyncio.create_task(BulkAdd(client, store).add({"a.md": tmp_path / "a.md"}))

        async def is_there() -> bool:
            return bool((await client.get(f"/api/vector_stores/{store}/documents"))["data"])

        await until(is_there)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
    assert "The same command goes on from there" in capsys.readouterr().err


async def test_files_that_cannot_be_read_here_do_not_stop_the_others(
    address: list[str], index: FakeRetriever, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a.md").write_text("Open until six.")
    (folder / "b.md").symlink_to("/proc/self/mem")  # which opens, and can't be read
    (folder / "c.md").write_text("Closed on Sundays.")
    for sent in (2, 0):
        result = await run("docs", "add", "shop", str(folder), "--json", *address)
        assert (result.exit_code, "b.md can't be read" in result.stderr) == (Exit.FAILED, True), result.output
        rows = {row["key"]: row for row in json.loads(result.stdout)}
        assert {key: row["status"] for key, row in rows.items()} == dict(
            zip(("a.md", "b.md", "c.md"), ("completed", "failed", "completed"), strict=True)
        )
        assert sum(row["sent"] for row in rows.values()) == sent + 1
    assert rows["b.md"]["error"]["code"] == "unreadable_file"


async def test_an_unknown_store_is_not_found(address: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    for arguments in (["list", "nowhere"], ["delete", "nowhere", "a"], ["add", "vs_nowhere", str(tmp_path / "a.md")]):
        assert (await run("docs", *arguments, *address)).exit_code == Exit.NOT_FOUND


async def test_two_files_of_one_name_are_refused(address: list[str], tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(folder)
    done = await run("docs", "add", "s", str(tmp_path / "one/a.md"), str(tmp_path / "two/a.md"), *address)
    assert done.exit_code == Exit.USAGE


async def test_a_missing_file_is_a_usage_error(address: list[str]) -> None:
    assert (await run("docs", "add", "s", "/no/such/file", *address)).exit_code == Exit.USAGE


async def test_what_the_store_has_is_not_sent_again(
    address: list[str], gateway: Gateway, index: FakeRetriever, tmp_path: Path
) -> None:
    for name in ("a.md", "b.md", "c.md"):
        (tmp_path / "shop").mkdir(exist_ok=True)
        (tmp_path / "shop" / name).write_text(f"This is {name}.")
    await run("docs", "add", "s", str(tmp_path / "shop" / "a.md"), *address)  # it was stopped here
    (tmp_path / "shop" / "c.md").write_text("")
    again = await run("docs", "add", "s", str(tmp_path / "shop"), "--json", *address)
    assert again.exit_code == Exit.FAILED
    rows = {row["key"]: row for row in json.loads(again.stdout)}
    assert {key: (row["status"], row["sent"]) for key, row in rows.items()} == {
        "a.md": ("completed", False),
        "b.md": ("completed", True),
        "c.md": ("failed", True),
    }
    assert "empty" in rows["c.md"]["error"]["message"]
    assert "Documents: 2 sent, 1 there already" in again.stderr
    assert index.calls.count("ingest") == 2
    (tmp_path / "shop" / "a.md").write_text("This is a.md, again.")
    (tmp_path / "shop" / "c.md").unlink()
    changed = await run("docs", "add", "s", str(tmp_path / "shop"), *address)
    assert changed.stdout.splitlines() == ["a.md\t2\tcompleted\t1\t1", "b.md\t1\tcompleted\t1\t0"]
