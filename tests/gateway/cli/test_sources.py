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


async def test_a_source_is_added_synchronised_and_removed(address: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "lent" / "Shop"
    folder.mkdir(parents=True)
    for number in range(8):
        (folder / f"{number}.md").write_text(f"Page {number}.")
    (folder / "notes.txt").write_text("Not for readers.")
    added = await run("sources", "add", "handbook", str(folder), "--exclude", "*.txt", "--every", "0", *address)
    assert added.exit_code == Exit.OK, added.stderr
    assert added.stdout.split() == ["shop", "synced", "8", "0"]

    for number in range(6):
        (folder / f"{number}.md").unlink()
    asks = await run("sources", "sync", "shop", *address)
    assert asks.exit_code == Exit.CONFLICT
    assert "6 of 8" in asks.stderr
    sure = await run("sources", "sync", "shop", "--yes", "--json", *address)
    assert sure.exit_code == Exit.OK, sure.stderr
    assert json.loads(sure.stdout)["items"] == 2

    listed = await run("sources", "list", *address)
    assert listed.stdout.split()[0] == "shop"
    assert (await run("sources", "remove", "shop", "--keep", *address)).exit_code == Exit.OK
    assert (await run("sources", "sync", "shop", *address)).exit_code == Exit.NOT_FOUND
    assert len((await run("docs", "list", "handbook", *address)).stdout.splitlines()) == 2


async def test_a_document_that_cannot_be_read_is_told_with_what_to_do(address: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "lent" / "shop"
    folder.mkdir(parents=True)
    (folder / "good.md").write_text("Page.")
    (folder / "broken.md").write_bytes(b"\xff\xfe\xfa")
    added = await run("sources", "add", "handbook", str(folder), "--every", "0", *address)
    assert added.exit_code == (await run("docs", "add", "other", str(folder), *address)).exit_code == Exit.FAILED
    assert added.stdout.split() == ["shop", "synced", "2", "1"]
    assert "'broken.md' couldn't be read" in added.stderr
    assert "braid sources sync shop" in added.stderr
    assert "1 of 2 items aren't live" in added.stderr
    assert (await run("sources", "list", *address)).stdout.split()[-1] == "1"

    (folder / "broken.md").write_text("Mended.")
    mended = await run("sources", "sync", "shop", *address)
    assert (mended.exit_code, mended.stdout.split()) == (Exit.OK, ["shop", "synced", "2", "0"])


async def test_a_folder_that_is_not_lent_is_refused_and_leaves_no_store_behind(
    address: list[str], tmp_path: Path
) -> None:
    refused = await run("sources", "add", "handbook", str(tmp_path), *address)
    assert refused.exit_code == Exit.FAILED
    assert "source_folders" in refused.stderr
    assert "is deleted again" in refused.stderr
    assert (await run("docs", "list", "handbook", *address)).exit_code == Exit.NOT_FOUND

    (tmp_path / "page.md").write_text("Ours.")
    assert (await run("docs", "add", "handbook", str(tmp_path / "page.md"), *address)).exit_code == Exit.OK
    again = await run("sources", "add", "handbook", str(tmp_path), *address)
    assert (again.exit_code, "deleted" in again.stderr) == (Exit.FAILED, False)
    assert (await run("docs", "list", "handbook", *address)).stdout.split()[0] == "page.md", "it was there before"
