import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.bulk_add import BulkAdd
from gateway.cli.watched_files import WatchedFiles
from gateway.client import Client, GatewayError
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working
from tests.waiting import until

__all__ = ["index", "settings"]


class Watch:
    """A watch over `folder`, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Mapping[str, Any]] = []
        self.sentences: list[str] = []

    def show(self, row: Mapping[str, Any], sentence: str) -> None:
        self.rows.append(row)
        self.sentences.append(sentence)

    @asynccontextmanager
    async def following(self, add: BulkAdd, paths: list[Path]) -> AsyncGenerator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(WatchedFiles(add, {}, paths, self.show).follow(stop))
        await asyncio.sleep(0.3)  # the watch begins in a thread, and says nothing
        try:
            yield
        finally:
            stop.set()
            await task


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    (tmp_path / "shop").mkdir()
    return Watch(tmp_path / "shop")


async def test_each_saved_file_is_searchable_and_its_time_is_shown(
    gateway: Gateway, index: FakeRetriever, watch: Watch
) -> None:
    async with Client(gateway.url, ADMIN_KEY) as client, working(gateway.state.settings):
        store = (await client.post("/v1/vector_stores", {}))["id"]
        add = BulkAdd(client, store, quiet=True)
        async with watch.following(add, [watch.folder]):
            (watch.folder / ".hidden").write_text("Not this.")
            (watch.folder / "hours.md~").write_text("Open until five.")
            (watch.folder / "hours.md").write_text("Open until six.\n\nClosed on Sundays.")
            await until(lambda: watch.rows)
            saved = watch.folder / "new.md"
            saved.write_text("Open until seven.")
            os.replace(saved, watch.folder / "hours.md")  # as editors save
            await until(lambda: [point.text for point in index.points if point.end > 2**50] == ["Open until seven."])
            await until(lambda: len(watch.rows) >= 2)
        keys = [row["key"] for row in watch.rows]
        assert not {".hidden", "hours.md~"} & set(keys)
        assert keys[0] == keys[-1] == "hours.md"
        assert 0 < watch.rows[0]["seconds"] < 20
        assert "chunks: 2 embedded, 0 reused" in watch.sentences[0]


async def test_a_file_waits_for_a_gateway_that_is_away(gateway: Gateway, watch: Watch, tmp_path: Path) -> None:
    refusals = [GatewayError(503, "The database can't be used now. Try again.")]

    class Add(BulkAdd):
        async def put(self, key: str, path: Path) -> dict[str, Any]:
            if refusals:
                raise refusals.pop()
            return {"key": key, "status": "failed", "error": {"message": "It is empty."}}

    single = watch.folder / "one.md"
    single.write_text("One.")
    async with Client(gateway.url, ADMIN_KEY) as client:
        async with watch.following(Add(client, "vs_1", quiet=True), [single]):
            (watch.folder / "other.md").write_text("It wasn't named.")
            single.write_text("")
            await until(lambda: len(watch.rows) == 2)
    assert watch.sentences == [
        "one.md: The database can't be used now. Try again. It is tried again.",
        "one.md: It is empty.",
    ]


async def test_a_file_from_a_clock_that_is_ahead_takes_no_negative_time(
    gateway: Gateway, watch: Watch, tmp_path: Path
) -> None:
    class Add(BulkAdd):
        async def put(self, key: str, path: Path) -> dict[str, Any]:
            return {"key": key, "status": "failed", "error": {"message": "It is empty."}}

    async with Client(gateway.url, ADMIN_KEY) as client:
        async with watch.following(Add(client, "vs_1", quiet=True), [watch.folder]):
            (tmp_path / "one.md").write_text("One.")
            ahead = time.time() + 3600
            os.utime(tmp_path / "one.md", (ahead, ahead))
            os.replace(tmp_path / "one.md", watch.folder / "one.md")
            await until(lambda: watch.rows)
    assert all(0 <= row["seconds"] < 60 for row in watch.rows)


async def test_a_file_that_cannot_be_read_is_said_and_the_watch_goes_on(
    gateway: Gateway, index: FakeRetriever, watch: Watch
) -> None:
    async with Client(gateway.url, ADMIN_KEY) as client, working(gateway.state.settings):
        store = (await client.post("/v1/vector_stores", {}))["id"]
        async with watch.following(BulkAdd(client, store, quiet=True), [watch.folder]):
            (watch.folder / "odd.md").symlink_to("/proc/self/mem")  # which opens, and can't be read
            await until(lambda: watch.rows)
            (watch.folder / "hours.md").write_text("Open until six.")
            await until(lambda: len(watch.rows) >= 2)
    assert [(row["key"], row["status"]) for row in watch.rows[:2]] == [("odd.md", "failed"), ("hours.md", "completed")]
    assert "odd.md can't be read" in watch.sentences[0]
