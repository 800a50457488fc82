import asyncio
import time
from pathlib import Path

from sqlalchemy import update

from gateway.settings import Settings
from gateway.sources.schedule import FolderWatch, SyncSchedule
from gateway.sources.tables import SourceRow
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.sources.conftest import Sources
from tests.gateway.worker import working


async def row_of(gateway: Gateway, source: str) -> SourceRow:
    async with gateway.state.database.read() as session:
        row = await session.get(SourceRow, source)
    assert row is not None
    return row


async def wait_for(client: Sources, store: str, keys: set[str]) -> None:
    for _ in range(200):
        if set(await client.documents(store)) == keys:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the documents aren't {keys}")


@on_both_databases
async def test_what_is_due_is_asked_for_once_by_however_many_workers(
    gateway: Gateway, kestrel: Sources, root: Path
) -> None:
    source = await kestrel.source(await kestrel.store(), {"kind": "folder", "path": str(root)}, interval_seconds=60)
    never = await kestrel.source(
        await kestrel.store(), {"kind": "folder", "path": str(root)}, name="never", interval_seconds=None
    )
    await kestrel.settle()
    schedules = [SyncSchedule(gateway.state.database) for _ in range(3)]
    assert await schedules[0].ask_for_due(time.time()) == 0
    later = time.time() + 61
    assert sum(await asyncio.gather(*(one.ask_for_due(later) for one in schedules))) == 1
    assert (await kestrel.ok("GET", f"/api/sources/{source}"))["status"] == "waiting"
    await kestrel.settle()
    assert (await row_of(gateway, source)).next_at is not None
    assert (await row_of(gateway, never)).next_at is None


async def test_a_clock_that_was_ahead_puts_no_sync_off(gateway: Gateway, kestrel: Sources, root: Path) -> None:
    source = await kestrel.source(await kestrel.store(), {"kind": "folder", "path": str(root)}, interval_seconds=60)
    await kestrel.settle()
    began = time.time()
    for hours, count in ((0, 0), (1, 1)):  # since the clock was set back by so much
        assert await SyncSchedule(gateway.state.database).wake_sources(began - 3600 * hours) == count
    next_at = (await row_of(gateway, source)).next_at
    assert next_at is not None
    assert next_at <= began - 3600


async def test_a_clock_that_was_ahead_puts_no_removal_off(gateway: Gateway, kestrel: Sources, root: Path) -> None:
    source = await kestrel.source(await kestrel.store(), {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    ahead = time.time() + 3600
    async with gateway.state.database.begin() as session:
        await session.execute(update(SourceRow).where(SourceRow.id == source).values(live_name=None, next_at=ahead))
    assert await SyncSchedule(gateway.state.database).wake_sources(ahead - 60) == 0, "it is tried again each minute"
    assert await SyncSchedule(gateway.state.database).wake_sources(time.time()) == 1


async def test_a_failed_sync_is_tried_again_later_and_later(gateway: Gateway, kestrel: Sources, root: Path) -> None:
    (root / "sub").mkdir()
    origin = {"kind": "folder", "path": str(root / "sub")}
    source = await kestrel.source(await kestrel.store(), origin, interval_seconds=60)
    await kestrel.settle()
    (root / "sub").rmdir()
    for pause in (60, 120, 240):
        began = time.time()
        await kestrel.sync(source)
        next_at = (await row_of(gateway, source)).next_at or 0.0
        assert began + pause <= next_at <= time.time() + pause


async def test_a_change_in_a_folder_is_seen_at_once(
    gateway: Gateway, kestrel: Sources, settings: Settings, root: Path
) -> None:
    store = await kestrel.store()
    await kestrel.source(store, {"kind": "folder", "path": str(root)}, exclude=["*.tmp"])
    watch = asyncio.create_task(FolderWatch(gateway.state.database, settings, look_seconds=0.1).run())
    try:
        async with working(settings), asyncio.timeout(30):
            await asyncio.sleep(1.0)
            (root / "a.md").write_text("One.")
            await wait_for(kestrel, store, {"docs/a.md"})
            (root / "a.md").rename(root / "b.md")
            await wait_for(kestrel, store, {"docs/b.md"})
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_what_only_a_change_mends_is_not_tried_again_soon(gateway: Gateway, kestrel: Sources, root: Path) -> None:
    origin = {"kind": "folder", "path": str(root)}
    for name, bare in (("docs.git", ("HEAD", "objects/1", "refs/1")), ("notes", ("a.md",))):
        for file in bare:
            (root / name / file).parent.mkdir(parents=True, exist_ok=True)
            (root / name / file).write_text("One.")
    with (root / "large.md").open("wb") as file:
        file.truncate(600 << 20)
    source = await kestrel.source(await kestrel.store(), origin, interval_seconds=86_400)
    began = time.time()
    await kestrel.settle()
    failed = {key for key, item in (await kestrel.items(source)).items() if item["error"]}
    assert failed == {"docs.git/", "large.md"}
    assert ((await row_of(gateway, source)).next_at or 0.0) >= began + 86_400
    for file in ("HEAD", "objects", "refs"):
        (root / "notes" / file).mkdir()
    await kestrel.sync(source)
    assert (await kestrel.items(source))["notes/a.md"]["error"]
    assert ((await row_of(gateway, source)).next_at or 0.0) >= began + 86_400
    with (root / "large.md").open("wb") as file:
        file.write(b"Two.")
    await kestrel.schedule(gateway, source)
    assert not (await kestrel.items(source))["large.md"]["error"]
