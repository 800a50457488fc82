"""Disks that are nearly full: what is refused, what waits, and what goes on."""

from collections import namedtuple
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.artifacts import Artifacts
from gateway.artifacts.free_space import FreeSpace
from gateway.errors import InsufficientStorage
from gateway.jobs import JobRow
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import Client, index

__all__ = ["index", "settings"]

GIB = 1024**3
Usage = namedtuple("Usage", "total used free")


class Disk:
    """Stands in for the disks of all folders."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.total, self.free = 100 * GIB, 50 * GIB
        self.folders: list[Path] = []
        monkeypatch.setattr("gateway.artifacts.free_space.shutil.disk_usage", self.read)

    def read(self, folder: Path) -> Usage:
        self.folders.append(folder)
        return Usage(self.total, self.total - self.free, self.free)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize(
    ("total", "free", "short"),
    [(100, 1.01, False), (100, 0.99, True), (10, 0.6, False), (10, 0.4, True), (0, 0, False)],
)
def test_the_mark_is_a_gibibyte_or_a_twentieth_of_a_smaller_disk(
    disk: Disk, tmp_path: Path, total: float, free: float, short: bool
) -> None:
    disk.total, disk.free = int(total * GIB), int(free * GIB)
    assert bool(FreeSpace(tmp_path).find_shortage()) is short


def test_a_disk_that_takes_nothing_is_as_good_as_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FreeSpace(tmp_path, tmp_path / "none").find_shortage() == ""
    monkeypatch.setattr("gateway.artifacts.free_space.os.access", lambda folder, mode: folder != tmp_path)
    with pytest.raises(InsufficientStorage, match=r"read-only.*answers go on"):
        FreeSpace(tmp_path).check()
    assert FreeSpace(tmp_path / "none", tmp_path).find_shortage() == "", "what is beside it may be read only"


async def test_an_upload_ends_where_it_would_fill_the_disk_and_leaves_nothing(disk: Disk, tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        disk.free = GIB // 2
        yield b"two"

    with pytest.raises(InsufficientStorage, match="512 MiB are free"):
        await artifacts.put(parts())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert (await artifacts.put_bytes(b"The result of a job.")).size == 20, "work that is done isn't lost"


async def test_uploads_are_refused_and_ingests_wait_while_answers_and_deletions_go_on(
    gateway: Gateway, index: FakeRetriever, disk: Disk
) -> None:
    kestrel = Client(gateway, await gateway.tenant("kestrel"))
    store = await kestrel.store()
    for key in ("a", "b"):
        await kestrel.put(store, f"{key}.md", f"The kettle {key}.")
    await kestrel.settle()
    await kestrel.put(store, "c.md", "The kettle c.")

    disk.free = GIB // 2
    path = f"/api/vector_stores/{store}/documents"
    assert (await kestrel.fault(507, "PUT", f"{path}/d.md", content=b"The kettle d."))["code"] == "disk_full"
    form = {"data": {"purpose": "assistants"}, "files": {"file": ("a.txt", b"The kettle.")}}
    assert (await kestrel.fault(507, "POST", "/v1/files", **form))["code"] == "disk_full"
    assert {gateway.state.settings.home, gateway.state.settings.artifacts} <= set(disk.folders)
    await kestrel.ok("DELETE", f"{path}/b.md")
    await kestrel.settle()
    assert [point.text for point in index.points] == ["The kettle a."], "what was deleted is removed"
    assert await kestrel.search(store, "kettle") == ["The kettle a."]
    assert (await kestrel.get(store, "c.md"))["status"] == "in_progress"
    disk.free = 50 * GIB
    async with gateway.state.database.begin() as session:
        waiting = select(JobRow).where(JobRow.status == "queued", JobRow.kind == "ingest")
        job = (await session.scalars(waiting)).one()
        assert job.attempts == 0, "what waits uses up no attempt"
        job.not_before = None
    await kestrel.settle()
    assert sorted(await kestrel.search(store, "kettle")) == ["The kettle a.", "The kettle c."]
