"""The adapters that engines have to hold, read by what has changed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.tables import AdapterRow
from gateway.db import Database, open_database
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow

PROBE = [{"tokens": [1, 2], "from": 1, "logprobs": [-1.0], "base_logprobs": [-2.0]}]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        async with opened.begin() as session:
            session.add(TenantRow(id="ten_a", name="a", created_at=1))
        yield opened


@pytest.fixture
def desired(database: Database, tmp_path: Path) -> DesiredAdapters:
    return DesiredAdapters(database, Settings(home=tmp_path))


async def add(database: Database, number: int, *, status: str = "ready", **values: Any) -> None:
    async with database.begin() as session:
        row: dict[str, Any] = {
            "id": f"adapter_{number}", "tenant_id": "ten_a", "created_at": number, "name": "style",
            "model": f"ft:{number}", "served_name": f"a.style.{number}", "digest": f"d{number}", "base_model": "base",
            "rank": 4, "status": status, "source": "file-1", "manifest": {"probe": PROBE},
        }  # fmt: skip
        session.add(AdapterRow(**{**row, **values}))


async def move(database: Database, number: int, status: str) -> None:
    async with database.begin() as session:
        row = await session.get(AdapterRow, f"adapter_{number}")
        assert row is not None
        row.status = status


async def names(desired: DesiredAdapters) -> list[str]:
    return [adapter.served_name for adapter in await desired()]


async def test_what_comes_and_goes_is_seen_at_once(database: Database, desired: DesiredAdapters) -> None:
    await add(database, 1)
    assert await names(desired) == ["a.style.1"]
    await add(database, 2, status="probing")
    await add(database, 3, status="checking")
    assert await names(desired) == ["a.style.1", "a.style.2"]
    await move(database, 1, "deleted")
    await move(database, 2, "ready")
    assert await names(desired) == ["a.style.2"]
    assert await desired() is await desired(), "as long as nothing changes it is the same list"
    assert await desired.find_names(["a.style.1", "a.style.2", "b.other.1"]) == {"a.style.1", "a.style.2"}


async def test_only_what_has_changed_is_read(
    database: Database, desired: DesiredAdapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await add(database, number, changed_at=1.0)
    assert len(await desired()) == 3

    async def refuse(*_arguments: object) -> list[Any]:
        raise AssertionError("everything is read again")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.adapters.desired.list_desired", refuse)
        assert len(await desired()) == 3
        await add(database, 3)
        assert len(await desired()) == 4
    # What an incremental read has missed, as after a long transaction, is found by the next whole one.
    await add(database, 4, changed_at=1.0)
    assert len(await desired()) == 4
    monkeypatch.setattr("gateway.adapters.desired._WHOLE_SECONDS", 0.0)
    assert len(await desired()) == 5


async def test_a_manifest_that_cannot_be_used_takes_no_other_with_it(
    database: Database, desired: DesiredAdapters
) -> None:
    await add(database, 1, manifest={})
    await add(database, 2)
    assert await names(desired) == ["a.style.2"]
