import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts.free_space import FreeSpace
from gateway.composition import open_handlers
from gateway.jobs import JobCancelled, JobRow, LeaseLost
from gateway.jobs.claim import claim_next
from gateway.jobs.repository import change
from gateway.sources import SourceItemRow
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.sources.conftest import Sources


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@on_both_databases
async def test_a_store_follows_a_folder(kestrel: Sources, index: FakeRetriever, root: Path) -> None:
    write(root, a_md="One.", sub__b_md="Two.", c_md="Three.")
    store = await kestrel.store(name="docs")
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    assert set(await kestrel.documents(store)) == {"docs/a.md", "docs/sub/b.md", "docs/c.md"}
    state = await kestrel.ok("GET", f"/api/sources/{source}")
    assert (state["status"], state["items"], state["failed"], state["done"], state["total"]) == ("synced", 3, 0, 3, 3)
    assert state["next_sync_at"] > state["synced_at"]

    ingested = index.calls.count("ingest")
    write(root, a_md="One, again.", d_md="Four.")
    (root / "c.md").unlink()
    os.utime(root / "sub" / "b.md")
    assert (await kestrel.sync(source))["total"] == 3
    documents = await kestrel.documents(store)
    versions = {key: row["version"] for key, row in documents.items()}
    assert versions == {"docs/a.md": 2, "docs/sub/b.md": 1, "docs/d.md": 1}
    assert index.calls.count("ingest") == ingested + 2
    assert sorted(point.text for point in index.points if point.end == 2**53) == ["Four.", "One, again.", "Two."]
    assert (await kestrel.sync(source))["total"] == 0


async def test_a_document_that_was_deleted_by_hand_comes_back(kestrel: Sources, root: Path) -> None:
    write(root, a_md="One.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/docs/a.md")
    assert (await kestrel.items(source))["a.md"]["status"] == "missing"
    await kestrel.sync(source)
    assert set(await kestrel.documents(store)) == {"docs/a.md"}


async def test_what_is_gone_by_more_than_half_is_asked_for(kestrel: Sources, root: Path) -> None:
    for number in range(10):
        (root / f"{number}.md").write_text(f"Page {number}.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    for number in range(7):
        (root / f"{number}.md").unlink()
    (root / "new.md").write_text("New.")
    asking = await kestrel.sync(source)
    assert (asking["status"], asking["deletions"]) == ("needs_confirmation", 7)
    assert len(await kestrel.documents(store)) == 10
    # More is gone than was agreed to.
    (root / "7.md").unlink()
    assert (await kestrel.sync(source, confirm=7))["deletions"] == 8
    assert len(await kestrel.documents(store)) == 10
    done = await kestrel.sync(source, confirm=8)
    assert (done["status"], done["deletions"]) == ("synced", 0)
    assert set(await kestrel.documents(store)) == {"docs/8.md", "docs/9.md", "docs/new.md"}


async def test_a_folder_that_was_emptied_is_asked_for_however_little_it_had(kestrel: Sources, root: Path) -> None:
    write(root, a_md="One.", b_md="Two.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    for path in root.iterdir():  # such as by a disk that isn't mounted
        path.unlink()
    asking = await kestrel.sync(source)
    assert (asking["status"], asking["deletions"]) == ("needs_confirmation", 2)
    assert set(await kestrel.documents(store)) == {"docs/a.md", "docs/b.md"}
    assert (await kestrel.sync(source, confirm=2))["status"] == "synced"
    assert await kestrel.documents(store) == {}


async def test_a_folder_that_is_gone_deletes_nothing(kestrel: Sources, root: Path) -> None:
    write(root, sub__a_md="One.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root / "sub")})
    await kestrel.settle()
    (root / "sub").rename(root / "away")
    failed = await kestrel.sync(source)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "source_unreadable")
    assert str(root) not in failed["error"]["message"]
    assert set(await kestrel.documents(store)) == {"docs/a.md"}
    (root / "away").rename(root / "sub")
    back = await kestrel.sync(source)
    assert (back["status"], back["error"]) == ("synced", None)


async def test_one_bad_item_does_not_stop_the_rest(gateway: Gateway, kestrel: Sources, root: Path) -> None:
    write(root, a_md="One.", b_md="", c_md="Three.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    assert set(await kestrel.documents(store)) == {"docs/a.md", "docs/c.md"}
    bad = (await kestrel.items(source))["b.md"]
    assert (bad["status"], bad["failures"]) == ("pending", 1)
    assert "empty" in bad["error"]
    assert bad["retry_at"] is not None
    synced = await kestrel.schedule(gateway, source)
    assert (synced["status"], synced["failed"], synced["error"]["code"]) == ("synced", 1, "items_failed")
    assert synced["error"]["message"] == f"'b.md' couldn't be read: {bad['error']}"
    assert (await kestrel.items(source))["b.md"]["failures"] == 1  # it waits for its time
    await kestrel.sync(source)
    assert (await kestrel.items(source))["b.md"]["failures"] == 2, "who asks for a sync doesn't wait"
    write(root, b_md="Two.")
    assert (await kestrel.schedule(gateway, source))["error"] is None, "what was mended doesn't wait"
    assert (await kestrel.items(source))["b.md"]["failures"] == 0
    assert set(await kestrel.documents(store)) == {"docs/a.md", "docs/b.md", "docs/c.md"}


async def test_a_document_that_cannot_be_parsed_is_shown_with_its_item(kestrel: Sources, root: Path) -> None:
    (root / "noise.md").write_bytes(b"\xff\xfe\xfa")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    assert (await kestrel.items(source))["noise.md"]["status"] == "failed"
    assert (await kestrel.items(source))["noise.md"]["error"]
    state = await kestrel.sync(source)
    assert (state["total"], state["status"], state["items"], state["failed"], state["reading"]) == (
        0,
        "synced",
        1,
        1,
        0,
    )


async def test_documents_that_failed_count_among_a_sources_failed_items(kestrel: Sources, root: Path) -> None:
    write(root, a_md="One.", b_md="", c_md="Three.")
    for name in ("noise.md", "odd.md"):
        (root / name).write_bytes(b"\xff\xfe\xfa")
    store = await kestrel.store()
    await kestrel.put(store, "mine.md", b"\xff\xfe\xfa")  # of no source
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    state = await kestrel.ok("GET", f"/api/sources/{source}")
    assert (state["status"], state["items"], state["failed"]) == ("synced", 5, 3)
    assert state["error"]["code"] == "items_failed"
    listed = (await kestrel.ok("GET", "/api/sources"))["data"]
    assert (listed[0]["failed"], listed[0]["error"]) == (3, state["error"])
    for failed, keys in ((True, {"b.md", "noise.md", "odd.md"}), (False, {"a.md", "c.md"})):
        page = await kestrel.ok("GET", f"/api/sources/{source}/items", params={"failed": failed})
        assert {item["key"] for item in page["data"]} == keys

    write(root, b_md="Two.", odd_md="Three.")
    mended = await kestrel.sync(source)
    assert mended["failed"] == 1
    assert mended["error"]["message"].startswith("'noise.md' couldn't be read: ")
    (root / "noise.md").unlink()
    mended = await kestrel.sync(source)
    assert (mended["failed"], mended["error"]) == (0, None)


async def test_documents_that_are_being_read_are_counted(kestrel: Sources, gateway: Gateway, root: Path) -> None:
    write(root, a_md="One.", b_md="Two.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)}, prefix="")
    await kestrel.put(store, "mine.md", b"Of no source.")
    database = gateway.state.database
    async with open_handlers(gateway.state.settings, database) as handlers:
        claim = await claim_next(database, kinds=["sync"], worker="w", lease_seconds=60)
        assert claim is not None
        await handlers["sync"].run(claim)
    state = await kestrel.ok("GET", f"/api/sources/{source}")
    assert (state["items"], state["reading"], state["failed"]) == (2, 2, 0)
    await kestrel.settle()
    assert (await kestrel.ok("GET", f"/api/sources/{source}"))["reading"] == 0


@pytest.mark.parametrize("keep", [False, True])
async def test_a_source_goes_with_or_without_its_documents(kestrel: Sources, root: Path, keep: bool) -> None:
    write(root, a_md="One.", b_md="Two.")
    store = await kestrel.store()
    await kestrel.put(store, "mine.md", "Mine.")
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/sources/{source}", params={"keep_documents": keep})
    await kestrel.fault(404, "GET", f"/api/sources/{source}")
    await kestrel.settle()
    assert set(await kestrel.documents(store)) == ({"mine.md", "docs/a.md", "docs/b.md"} if keep else {"mine.md"})
    await kestrel.source(store, {"kind": "folder", "path": str(root)})


async def test_a_store_that_is_gone_fails_the_sync(kestrel: Sources, root: Path) -> None:
    write(root, a_md="One.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    assert (await kestrel.sync(source))["error"]["code"] == "store_missing"
    await kestrel.ok("DELETE", f"/api/sources/{source}")
    await kestrel.settle()


async def test_names_and_prefixes_that_would_fight_are_refused(kestrel: Sources, root: Path) -> None:
    store = await kestrel.store()
    folder = {"kind": "folder", "path": str(root)}
    await kestrel.source(store, folder)
    again = {"name": "docs", "vector_store_id": store, "origin": folder}
    assert (await kestrel.fault(409, "POST", "/api/sources", json=again))["param"] == "name"
    inside = {**again, "name": "other", "prefix": "docs/inside/"}
    assert (await kestrel.fault(409, "POST", "/api/sources", json=inside))["param"] == "prefix"


async def test_a_tenant_reads_no_folder_that_is_not_lent_to_it(
    gateway: Gateway, kestrel: Sources, harbor: Sources, root: Path, tmp_path: Path
) -> None:
    store, theirs = await kestrel.store(), await harbor.store()
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    for path in ("/etc", str(tmp_path), f"{root}/../../outside", str(root / "link"), "lent/kestrel", "", "."):
        body = {"name": "x", "vector_store_id": store, "origin": {"kind": "folder", "path": path}}
        await kestrel.fault(400, "POST", "/api/sources", json=body)
    body = {"name": "x", "vector_store_id": theirs, "origin": {"kind": "folder", "path": str(root)}}
    fault = await harbor.fault(400, "POST", "/api/sources", json=body)
    assert fault["code"] == "source_not_allowed"
    body = {"name": "x", "vector_store_id": theirs, "origin": {"kind": "folder", "path": str(root)}}
    await kestrel.fault(404, "POST", "/api/sources", json=body)


async def test_another_tenant_sees_no_source(kestrel: Sources, harbor: Sources, root: Path) -> None:
    source = await kestrel.source(await kestrel.store(), {"kind": "folder", "path": str(root)})
    for method, path in (("GET", ""), ("GET", "/items"), ("POST", "/sync"), ("DELETE", "")):
        await harbor.fault(404, method, f"/api/sources/{source}{path}")
    assert (await harbor.ok("GET", "/api/sources"))["data"] == []


async def test_a_source_that_is_deleted_while_it_is_read_leaves_nothing_behind(
    gateway: Gateway, kestrel: Sources, root: Path
) -> None:
    write(root, a_md="One.", b_md="Two.")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
    database = gateway.state.database
    async with open_handlers(gateway.state.settings, database) as handlers:
        claim = await claim_next(database, kinds=["sync"], worker="w", lease_seconds=60)
        assert claim is not None
        begin = claim.begin

        @asynccontextmanager
        async def interrupted() -> AsyncGenerator[AsyncSession]:
            async with begin() as session:
                yield session
            if (await kestrel.documents(store)).keys() == {"docs/a.md"}:
                await kestrel.http.delete(f"/api/sources/{source}", params={"keep_documents": True})

        claim.begin = interrupted  # type: ignore[method-assign]
        with pytest.raises(JobCancelled):
            await handlers["sync"].run(claim)
    assert set(await kestrel.documents(store)) == {"docs/a.md"}
    async with database.read() as session:
        assert (await session.scalars(select(SourceItemRow))).all() == []


async def test_a_worker_that_lost_its_lease_puts_nothing(gateway: Gateway, kestrel: Sources, root: Path) -> None:
    write(root, a_md="One.")
    store = await kestrel.store()
    await kestrel.source(store, {"kind": "folder", "path": str(root)})
    database = gateway.state.database
    async with open_handlers(gateway.state.settings, database) as handlers:
        stale = await claim_next(database, kinds=["sync"], worker="stale", lease_seconds=0.0)
        assert stale is not None
        async with database.begin() as session:
            assert await change(session, JobRow.id == stale.id, lease_until=0.0)
        assert await claim_next(database, kinds=["sync"], worker="other", lease_seconds=60) is not None
        with pytest.raises(LeaseLost):
            await handlers["sync"].run(stale)
    assert await kestrel.documents(store) == {}


async def test_a_sync_waits_for_free_disk_and_no_item_fails(
    kestrel: Sources, gateway: Gateway, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, a_md="One.", b_md="Two.")
    store = await kestrel.store()
    with monkeypatch.context() as patched:
        patched.setattr(FreeSpace, "find_shortage", lambda _self: "The disk is nearly full.")
        source = await kestrel.source(store, {"kind": "folder", "path": str(root)})
        await kestrel.settle()
        assert await kestrel.documents(store) == {}
        assert (await kestrel.ok("GET", f"/api/sources/{source}"))["failed"] == 0
    async with gateway.state.database.begin() as session:
        for job in await session.scalars(select(JobRow).where(JobRow.status == "queued")):
            job.not_before = None
    await kestrel.settle()
    assert set(await kestrel.documents(store)) == {"docs/a.md", "docs/b.md"}


async def test_a_document_is_neither_doubled_nor_lost_where_only_the_writing_of_its_name_changes(
    kestrel: Sources, root: Path
) -> None:
    names = [f"Pre\u0301face {number}.md" for number in range(8)]
    for name in names:
        (root / name).write_text(name)
    store = await kestrel.store(name="docs")
    source = await kestrel.source(store, {"kind": "folder", "path": str(root)}, prefix="")
    await kestrel.settle()
    composed = {name.replace("e\u0301", "\u00e9") for name in names}
    assert set(await kestrel.documents(store)) == composed
    for name in names:
        (root / name).rename(root / name.replace("e\u0301", "\u00e9"))
    assert (await kestrel.sync(source))["status"] == "synced"
    assert {key: row["version"] for key, row in (await kestrel.documents(store)).items()} == dict.fromkeys(composed, 1)
    for name in composed:
        (root / name).rename(root / name.lower())
    (root / "PR\u00c9FACE 0.md").write_text("Another one.")
    assert (await kestrel.sync(source))["status"] == "synced"
    assert set(await kestrel.documents(store)) == {*(name.lower() for name in composed), "PR\u00c9FACE 0.md"}
