"""Bytes that are nobody's go, however they came to be so; bytes that are somebody's stay."""

import asyncio
import os
import time
from collections.abc import Collection
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.lifecycle import AdapterStatus
from gateway.adapters.service import list_stored
from gateway.adapters.tables import AdapterRow
from gateway.artifacts import Artifacts
from gateway.files import orphans
from gateway.files.orphans import OrphanSweep
from gateway.files.repository import FileRepository
from gateway.migrations.digests import DIGESTS
from gateway.tenants.repository import find_tenant
from tests.gateway.conftest import Gateway


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def sweep_of(gateway: Gateway, adapter_hours: int = 1) -> OrphanSweep:
    state = gateway.state
    return OrphanSweep(state.database, state.artifacts, DIGESTS, list_stored, adapter_hours=adapter_hours)


def files_of(artifacts: Artifacts) -> list[Path]:
    return list((artifacts.root / "files").iterdir())


async def upload(gateway: Gateway, data: bytes) -> int:
    client = await gateway.tenant("kestrel")
    form = {"data": {"purpose": "assistants"}, "files": {"file": ("a.txt", data)}}
    return (await client.post("/v1/files", **form)).status_code


async def test_bytes_whose_row_could_not_be_written_go_after_an_hour(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    with monkeypatch.context() as patch:
        patch.setattr(FileRepository, "add", fail)
        assert await upload(gateway, b"lost") == 503
    assert await upload(gateway, b"kept") == 200
    artifacts, sweep = gateway.state.artifacts, sweep_of(gateway)
    assert await sweep.sweep_files() == 0  # younger bytes may be about to get a row
    for path in files_of(artifacts):
        age(path, 4000)
    assert await sweep.sweep_files() == 1
    assert [path.read_bytes() for path in files_of(artifacts)] == [b"kept"]


async def test_bytes_that_are_put_again_are_young_again(gateway: Gateway) -> None:
    artifacts = gateway.state.artifacts

    async def parts():
        yield b"again"

    stored = await artifacts.put(parts())
    age(artifacts.locate_file(stored.digest), 4000)
    await artifacts.put(parts())
    assert await sweep_of(gateway).sweep_files() == 0


async def test_bytes_of_before_a_machines_sleep_stay_whatever_it_sleeps_in(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row may be committed between the look at the rows and the sleep, and be missed by the first."""
    artifacts, right = gateway.state.artifacts, time.time

    async def sleep(*_arguments: object) -> set[str]:
        monkeypatch.setattr(time, "time", lambda: right() + 2 * 3600)
        return set()

    assert await upload(gateway, b"kept") == 200
    monkeypatch.setattr(orphans, "select_referenced", sleep)
    assert await sweep_of(gateway).sweep_files() == 0
    assert [path.read_bytes() for path in files_of(artifacts)] == [b"kept"]


async def test_what_a_crash_left_of_uploads_goes_after_a_day(gateway: Gateway) -> None:
    incoming = gateway.state.artifacts.root / "incoming"
    (incoming / "old-file").write_bytes(b"half")
    (incoming / "old-folder").mkdir()
    (incoming / "old-folder" / "weights").write_bytes(b"half")
    (incoming / "young").write_bytes(b"half")
    for name in ("old-file", "old-folder"):
        age(incoming / name, 90_000)
    assert await sweep_of(gateway).sweep_files() == 2
    assert [path.name for path in incoming.iterdir()] == ["young"]


async def add_adapter(gateway: Gateway, digest: str, status: AdapterStatus, *, ago: float = 3700.0) -> None:
    await gateway.tenant("kestrel")
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        session.add(
            AdapterRow(
                id=f"adapter_{digest}{status}",
                tenant_id=tenant.id,
                created_at=1,
                name="house",
                model=f"ft:{digest}{status}",
                served_name=f"{digest}{status}",
                digest=digest,
                base_model="base",
                rank=8,
                status=status.value,
                source="test",
                manifest={},
                changed_at=time.time() - ago,
            )
        )


@pytest.mark.parametrize("status", [one for one in AdapterStatus if one is not AdapterStatus.CHECKING])
async def test_weights_go_when_no_adapter_needs_them(gateway: Gateway, status: AdapterStatus) -> None:
    stays = status not in (AdapterStatus.REFUSED, AdapterStatus.DELETED)
    artifacts = gateway.state.artifacts
    folder = artifacts.locate_adapter("a" * 64)
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    age(folder, 4000)
    await add_adapter(gateway, "a" * 64, status)
    assert await sweep_of(gateway).sweep_adapters() == (0 if stays else 1)
    assert folder.exists() == stays
    assert not list((artifacts.root / "incoming").iterdir())


async def test_weights_that_another_adapter_shares_stay(gateway: Gateway) -> None:
    folder = gateway.state.artifacts.locate_adapter("b" * 64)
    folder.mkdir()
    age(folder, 4000)
    await add_adapter(gateway, "b" * 64, AdapterStatus.DELETED)
    await add_adapter(gateway, "b" * 64, AdapterStatus.READY)
    assert await sweep_of(gateway).sweep_adapters() == 0
    assert folder.exists()


async def test_weights_of_which_no_adapter_was_made_go_after_an_hour(gateway: Gateway) -> None:
    folder = gateway.state.artifacts.locate_adapter("c" * 64)
    folder.mkdir()
    assert await sweep_of(gateway).sweep_adapters() == 0
    age(folder, 4000)
    assert await sweep_of(gateway).sweep_adapters() == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    ("ago", "hours", "stays"), [(0.9, 1, True), (1.1, 1, False), (47.0, 48, True), (49.0, 0, True)]
)
async def test_weights_stay_for_some_hours_after_the_last_adapter_went(
    gateway: Gateway, ago: float, hours: int, stays: bool
) -> None:
    folder = gateway.state.artifacts.locate_adapter("c" * 64)
    folder.mkdir()
    age(folder, 400_000)
    await add_adapter(gateway, "c" * 64, AdapterStatus.REFUSED, ago=400_000)
    await add_adapter(gateway, "c" * 64, AdapterStatus.DELETED, ago=ago * 3600)
    assert await sweep_of(gateway, hours).sweep_adapters() == (0 if stays else 1)
    assert folder.exists() == stays


async def test_weights_that_are_put_again_are_young_again(gateway: Gateway, tmp_path: Path) -> None:
    artifacts = gateway.state.artifacts
    made = tmp_path / "made"
    made.mkdir()
    folder = await asyncio.to_thread(artifacts.put_adapter, made, "d" * 64)
    age(folder, 4000)
    await asyncio.to_thread(artifacts.put_adapter, made, "d" * 64)
    assert await sweep_of(gateway).sweep_adapters() == 0
    assert folder.exists()


async def test_a_sweep_asks_in_batches(gateway: Gateway) -> None:
    asked: list[int] = []

    async def in_use(_session: AsyncSession, digests: Collection[str], _since: float) -> set[str]:
        asked.append(len(digests))
        return set(digests)

    for number in range(1001):
        gateway.state.artifacts.locate_adapter(f"{number:064d}").mkdir()
    state = gateway.state
    await OrphanSweep(state.database, state.artifacts, DIGESTS, in_use).sweep_adapters()
    assert asked == [500, 500, 1]
