"""A store's file after it was added: its text, and other attributes for it."""

import asyncio

import pytest

from gateway.errors import NotFound
from gateway.files import FileRow
from gateway.vector_stores import indexing
from gateway.vector_stores.file_service import VectorStoreFileService
from gateway.vector_stores.schemas import VectorStoreFileCreate
from gateway.vector_stores.tables import StoreRow
from gateway.vector_stores.versions import Content, put_version
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.vector_stores.conftest import Client
from tests.gateway.worker import working

TEXT = "The kettle has a warranty.\n\nIt is 31 months.\n\nThe end."


async def add_file(kestrel: Client, store: str, data: bytes = TEXT.encode()) -> str:
    file = await kestrel.file(data)
    await kestrel.ok(
        "POST", f"/v1/vector_stores/{store}/files", json={"file_id": file, "attributes": {"area": "kettles"}}
    )
    await kestrel.settle()
    return file


async def put_live(kestrel: Client, store: str, text: str) -> None:
    await kestrel.put(store, "kettle.txt", text)
    await kestrel.settle()


async def texts(kestrel: Client, store: str, file: str) -> list[str]:
    page = await kestrel.ok("GET", f"/v1/vector_stores/{store}/files/{file}/content")
    assert (page["object"], page["has_more"], page["next_page"]) == ("vector_store.file_content.page", False, None)
    return [part["text"] for part in page["data"]]


async def test_the_content_of_a_file_is_its_text_in_order(kestrel: Client, index: FakeRetriever) -> None:
    store = await kestrel.store()
    file = await add_file(kestrel, store)
    assert await texts(kestrel, store, file) == TEXT.split("\n\n")
    assert index.calls.count("read_content") == 4  # three parts, and then no more


async def test_the_content_is_that_of_the_live_version(kestrel: Client) -> None:
    store = await kestrel.store()
    await put_live(kestrel, store, "It is 24 months.")
    first = (await kestrel.get(store, "kettle.txt"))["file_id"]
    assert await texts(kestrel, store, first) == ["It is 24 months."]
    await put_live(kestrel, store, "It is 31 months.")
    second = (await kestrel.get(store, "kettle.txt"))["file_id"]
    assert await texts(kestrel, store, second) == ["It is 31 months."]
    await kestrel.fault(404, "GET", f"/v1/vector_stores/{store}/files/{first}/content")


async def test_a_file_that_is_not_read_yet_has_no_content(kestrel: Client) -> None:
    store = await kestrel.store()
    file = await kestrel.file(b"\x00\x01\xffbad\x02")
    path = f"/v1/vector_stores/{store}/files"
    await kestrel.ok("POST", path, json={"file_id": file})
    error = await kestrel.fault(409, "GET", f"{path}/{file}/content")
    assert (error["code"], error["param"]) == ("file_not_ready", "file_id")
    await kestrel.settle()
    assert "'failed'" in (await kestrel.fault(409, "GET", f"{path}/{file}/content"))["message"]


async def test_content_from_another_index_is_refused(kestrel: Client, index: FakeRetriever) -> None:
    store = await kestrel.store()
    file = await add_file(kestrel, store)
    index.lose("fake/words/2")
    error = await kestrel.fault(503, "GET", f"/v1/vector_stores/{store}/files/{file}/content")
    assert error["code"] == "index_changed"
    await index.stop()
    error = await kestrel.fault(503, "GET", f"/v1/vector_stores/{store}/files/{file}/content")
    assert error["code"] == "retriever_unavailable"


@on_both_databases
async def test_other_attributes_hold_when_the_call_returns(gateway: Gateway, kestrel: Client) -> None:
    store = await kestrel.store()
    file = await add_file(kestrel, store)
    path = f"/v1/vector_stores/{store}/files/{file}"
    async with working(gateway.state.settings):
        changed = await kestrel.ok("POST", path, json={"attributes": {"area": "pots"}})
        assert (changed["id"], changed["status"], changed["attributes"]) == (file, "completed", {"area": "pots"})
        assert await kestrel.search(store, "31 months", filters={"type": "eq", "key": "area", "value": "pots"})
        assert not await kestrel.search(store, "31 months", filters={"type": "eq", "key": "area", "value": "kettles"})
        assert await kestrel.ok("POST", path, json={"attributes": {"area": "pots"}}) == changed
        assert (await kestrel.ok("POST", path, json={"attributes": None}))["attributes"] == {}
    assert (await kestrel.ok("GET", f"/v1/files/{file}"))["filename"] == "facts.txt"
    await kestrel.fault(400, "POST", path, json={})
    await kestrel.fault(400, "POST", path, json={"attributes": {"area": ["pots"]}})


async def test_attributes_that_nobody_brings_into_the_index_leave_the_file_in_progress(
    kestrel: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.vector_stores.attributes_service._PATIENCE_SECONDS", 0.1)
    store = await kestrel.store()
    file = await add_file(kestrel, store)
    path = f"/v1/vector_stores/{store}/files/{file}"
    assert (await kestrel.ok("POST", path, json={"attributes": {"area": "pots"}}))["status"] == "in_progress"
    assert await kestrel.search(store, "31 months", filters={"type": "eq", "key": "area", "value": "kettles"})
    await kestrel.settle()
    assert await kestrel.search(store, "31 months", filters={"type": "eq", "key": "area", "value": "pots"})


async def test_a_version_that_only_differs_in_attributes_keeps_its_file(
    gateway: Gateway, kestrel: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "REPLAY_SECONDS", -1)
    store = await kestrel.store()
    await put_live(kestrel, store, TEXT)
    file = (await kestrel.get(store, "kettle.txt"))["file_id"]
    async with working(gateway.state.settings):
        for area in ("pots", "pans", "kettles"):
            path = f"/v1/vector_stores/{store}/files/{file}"
            changed = await kestrel.ok("POST", path, json={"attributes": {"area": area}})
            assert (changed["id"], changed["status"]) == (file, "completed")
            await asyncio.sleep(0)
    assert (await kestrel.get(store, "kettle.txt"))["version"] == 4
    assert (await kestrel.http.get(f"/v1/files/{file}/content")).text == TEXT


@on_both_databases
async def test_other_attributes_beside_a_put_are_those_of_its_bytes(gateway: Gateway, kestrel: Client) -> None:
    store = await kestrel.store()
    file, other = await add_file(kestrel, store), await kestrel.file(b"The kettle has no warranty.")
    database, path = gateway.state.database, f"/v1/vector_stores/{store}/files/{file}"
    async with working(gateway.state.settings):
        async with database.begin() as session:
            row = await session.get_one(StoreRow, store)
            bytes_ = await session.get_one(FileRow, other)
            content = Content("facts.txt", bytes_.digest, bytes_.bytes, file)
            await put_version(session, row, file, content)
            update = asyncio.create_task(kestrel.ok("POST", path, json={"attributes": {"area": "pots"}}))
            await asyncio.sleep(0.2)
            assert not update.done()
        assert (await update)["attributes"] == {"area": "pots"}
    assert await texts(kestrel, store, file) == ["The kettle has no warranty."]


@on_both_databases
async def test_a_file_that_is_deleted_while_it_is_added_leaves_the_store(gateway: Gateway, kestrel: Client) -> None:
    store, file = await kestrel.store(), await kestrel.file(TEXT.encode())
    async with gateway.state.database.begin() as session:
        tenant = (await session.get_one(StoreRow, store)).tenant_id
        await VectorStoreFileService(session, tenant).add(store, VectorStoreFileCreate(file_id=file))
        deletion = asyncio.create_task(kestrel.ok("DELETE", f"/v1/files/{file}"))
        await asyncio.sleep(0.2)
        assert not deletion.done()
    await deletion
    assert (await kestrel.ok("GET", f"/v1/vector_stores/{store}/files"))["data"] == []


@on_both_databases
async def test_a_file_that_is_gone_is_not_made_again_by_what_builds_on_it(gateway: Gateway, kestrel: Client) -> None:
    store = await kestrel.store()
    files = [await add_file(kestrel, store), await kestrel.file(b"The kettle.")]
    async with gateway.state.database.begin() as session:
        row = await session.get_one(StoreRow, store)
        expired, deleted = [await session.get_one(FileRow, file) for file in files]
        expired.expires_at = 1
        content = Content(deleted.filename, deleted.digest, deleted.bytes, deleted.id)
    # It has expired, and no worker has noticed yet.
    path = f"/v1/vector_stores/{store}/files/{files[0]}"
    error = await kestrel.fault(404, "POST", path, json={"attributes": {"area": "pots"}})
    assert error["param"] == "file_id"
    await kestrel.ok("DELETE", f"/v1/files/{files[1]}")  # while a long batch that has looked it up is being added
    async with gateway.state.database.begin() as session:
        with pytest.raises(NotFound):
            await put_version(session, row, files[1], content)
    await kestrel.fault(404, "GET", f"/v1/files/{files[1]}")


async def test_a_document_s_file_stays_where_another_store_has_it_too(
    kestrel: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "REPLAY_SECONDS", -1)
    store, other = await kestrel.store(), await kestrel.store()
    files: list[str] = []
    for text in (TEXT, "It is 24 months.", "It is 12 months."):
        await put_live(kestrel, store, text)
        files.append((await kestrel.get(store, "kettle.txt"))["file_id"])
        if len(files) != 2:
            await kestrel.ok("POST", f"/v1/vector_stores/{other}/files", json={"file_id": files[-1]})
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/kettle.txt")
    await kestrel.settle()
    await kestrel.fault(404, "GET", f"/v1/files/{files[1]}")
    for file in (files[0], files[2]):
        assert (await kestrel.ok("GET", f"/v1/files/{file}"))["id"] == file
        await kestrel.ok("DELETE", f"/v1/files/{file}")
    assert (await kestrel.ok("GET", f"/v1/vector_stores/{other}/files"))["data"] == []
