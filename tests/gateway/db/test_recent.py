from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.db import Database, Recent, open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as opened:
        yield opened


async def test_a_value_is_remembered_until_this_process_writes(database: Database) -> None:
    recent: Recent[str, int] = Recent(database)
    recent.put("one", 1, recent.revision)
    assert recent.get("one") == 1
    async with database.begin(counted=False):
        assert recent.get("one") == 1
    assert recent.get("one") == 1
    async with database.begin():
        pass
    assert recent.get("one") is None


async def test_a_write_that_fails_counts_too(database: Database) -> None:
    recent: Recent[str, int] = Recent(database)
    recent.put("one", 1, recent.revision)
    with pytest.raises(ZeroDivisionError):
        async with database.begin():
            raise ZeroDivisionError
    assert recent.get("one") is None


async def test_a_value_read_before_a_write_is_not_remembered_after_it(database: Database) -> None:
    recent: Recent[str, int] = Recent(database)
    revision = recent.revision
    async with database.begin():
        pass
    recent.put("one", 1, revision)
    assert recent.get("one") is None


async def test_what_others_write_is_seen_after_a_second(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    recent: Recent[str, int] = Recent(database)
    now = 100.0
    monkeypatch.setattr("gateway.db.recent.time.monotonic", lambda: now)
    recent.put("one", 1, recent.revision)
    now = 100.9
    assert recent.get("one") == 1
    now = 101.1
    assert recent.get("one") is None


async def test_what_was_not_asked_for_goes_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.db.recent._ENTRIES", 2)
    recent: Recent[str, int] = Recent(database)
    for number, name in enumerate(("one", "two")):
        recent.put(name, number, recent.revision)
    assert recent.get("one") == 0
    recent.put("three", 3, recent.revision)
    assert [recent.get(name) for name in ("one", "two", "three")] == [0, None, 3]
