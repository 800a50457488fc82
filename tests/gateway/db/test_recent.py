import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.db import Database, Recent, open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as opened:
        yield opened


class Source:
    """Values that count how often they were read; `pause` holds a read up."""

    def __init__(self, database: Database) -> None:
        self.recent: Recent[str, int] = Recent(database)
        self.reads = 0
        self.pause = asyncio.Event()
        self.pause.set()
        self.fault: Exception | None = None

    async def ask(self, key: str = "one") -> int | None:
        return await self.recent.read(key, self._read)

    async def _read(self) -> int | None:
        self.reads += 1
        number = self.reads
        await self.pause.wait()
        if self.fault is not None:
            raise self.fault
        return number


@pytest.fixture
def source(database: Database) -> Source:
    return Source(database)


async def test_a_value_is_remembered_until_this_process_writes(database: Database, source: Source) -> None:
    assert [await source.ask(), await source.ask()] == [1, 1]
    async with database.begin(counted=False):
        assert await source.ask() == 1
    assert await source.ask() == 1
    async with database.begin():
        pass
    assert [await source.ask(), await source.ask()] == [2, 2]


async def test_a_write_that_fails_counts_too(database: Database, source: Source) -> None:
    assert await source.ask() == 1
    with pytest.raises(ZeroDivisionError):
        async with database.begin():
            raise ZeroDivisionError
    assert await source.ask() == 2


async def test_a_value_whose_reading_a_write_overtook_is_read_again(database: Database, source: Source) -> None:
    source.pause.clear()
    early = asyncio.create_task(source.ask())
    await asyncio.sleep(0)
    async with database.begin():
        pass
    late = asyncio.create_task(source.ask())
    await asyncio.sleep(0)
    source.pause.set()
    assert [await early, await late, await source.ask()] == [1, 2, 2]


async def test_many_that_ask_at_once_read_once_and_one_that_leaves_takes_nothing_from_the_others(
    source: Source,
) -> None:
    source.pause.clear()
    asking = [asyncio.create_task(source.ask()) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    source.pause.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 49
    assert source.reads == 1


async def test_a_reading_that_fails_is_told_to_all_and_tried_again(source: Source) -> None:
    source.fault = ZeroDivisionError()
    answers = await asyncio.gather(*(source.ask() for _ in range(3)), return_exceptions=True)
    assert answers == [source.fault] * 3
    source.fault = None
    assert await source.ask() == 2


async def test_what_others_write_is_seen_after_a_second(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("gateway.db.recent.time", SimpleNamespace(monotonic=lambda: now))
    assert await source.ask() == 1
    now = 100.9
    assert await source.ask() == 1
    now = 101.1
    assert await source.ask() == 2


async def test_what_was_not_asked_for_goes_first(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.db.recent._ENTRIES", 2)
    assert [await source.ask(key) for key in ("one", "two", "one", "three")] == [1, 2, 1, 3]
    assert [await source.ask(key) for key in ("one", "three", "two")] == [1, 3, 4]
