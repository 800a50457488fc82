import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.terminal import Exit
from tests.fakes.retriever import FakeRetriever
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working

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
    assert added.stdout.splitlines() == ["hours.md\t1\tcompleted", "prices/k2.md\t1\tcompleted"]
    assert sorted(point.text for point in index.points) == ["Open until six.", "The K2 costs 40."]

    listed = await run("docs", "list", "handbook", "--json", *address)
    assert {row["key"] for row in json.loads(listed.stdout)} == {"hours.md", "prices/k2.md"}

    gone = await run("docs", "delete", "handbook", "prices/k2.md", *address)
    assert gone.exit_code == Exit.OK
    again = await run("docs", "delete", "handbook", "prices/k2.md", *address)
    assert again.exit_code == Exit.NOT_FOUND
    listed = await run("docs", "list", "handbook", *address)
    assert listed.stdout.splitlines() == ["hours.md\t1\tcompleted"]


async def test_what_cannot_be_read_fails_and_says_so(address: list[str], tmp_path: Path) -> None:
    (tmp_path / "noise.md").write_bytes(b"\xff\xfe\xfa")
    done = await run("docs", "add", "handbook", str(tmp_path / "noise.md"), *address)
    assert done.exit_code == Exit.FAILED
    assert "noise.md\t1\tfailed" in done.stdout
    assert "Only text can be read here." in done.stderr


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
