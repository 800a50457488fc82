import pytest
from sqlalchemy import text

from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.vector_stores.conftest import Client

BATCHES = "/v1/vector_stores/{}/file_batches"


@on_both_databases
async def test_a_batch_adds_its_files_each_with_what_holds_for_it(kestrel: Client) -> None:
    store = await kestrel.store()
    files = [await kestrel.file(f"The kettle {number}.".encode(), f"{number}.txt") for number in range(3)]
    sizes = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 20}}
    each = [
        {"file_id": files[0], "attributes": {"area": "pots"}},
        {"file_id": files[1], "chunking_strategy": sizes},
        {"file_id": files[2]},
    ]
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"files": each})
    assert (batch["status"], batch["file_counts"]["in_progress"], batch["file_counts"]["total"]) == (
        "in_progress",
        3,
        3,
    )
    await kestrel.settle()
    path = f"{BATCHES.format(store)}/{batch['id']}"
    done = await kestrel.ok("GET", path)
    assert (done["status"], done["file_counts"]["completed"]) == ("completed", 3)
    listed = (await kestrel.ok("GET", f"{path}/files", params={"order": "asc"}))["data"]
    assert [file["id"] for file in listed] == files
    assert listed[0]["attributes"] == {"area": "pots"}
    assert listed[1]["chunking_strategy"] == sizes
    assert await kestrel.search(store, "kettle", filters={"type": "eq", "key": "area", "value": "pots"}) == [
        "The kettle 0."
    ]


async def test_what_holds_for_all_is_given_once(kestrel: Client) -> None:
    store = await kestrel.store()
    files = [await kestrel.file(f"The kettle {number}.".encode()) for number in range(2)]
    batch = {"file_ids": files, "attributes": {"area": "pots"}}
    made = await kestrel.ok("POST", BATCHES.format(store), json=batch)
    listed = await kestrel.ok("GET", f"{BATCHES.format(store)}/{made['id']}/files")
    assert [file["attributes"] for file in listed["data"]] == [{"area": "pots"}] * 2


@on_both_databases
async def test_a_cancelled_batch_gives_up_what_waits_and_nothing_else(kestrel: Client) -> None:
    store = await kestrel.store()
    before = await kestrel.file(b"The kettle from before.")
    await kestrel.ok("POST", f"/v1/vector_stores/{store}/files", json={"file_id": before})
    await kestrel.settle()
    files = [before, *[await kestrel.file(f"The kettle {number}.".encode()) for number in range(60)]]
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": files})
    path = f"{BATCHES.format(store)}/{batch['id']}"
    cancelled = await kestrel.ok("POST", f"{path}/cancel")
    assert cancelled["status"] == "cancelled"
    assert cancelled["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 60, "total": 61}
    assert (await kestrel.ok("POST", f"{path}/cancel")) == cancelled
    await kestrel.settle()
    assert await kestrel.search(store, "kettle") == ["The kettle from before."]
    page = await kestrel.ok("GET", f"{path}/files", params={"filter": "completed"})
    assert [file["id"] for file in page["data"]] == [before]
    waiting = await kestrel.ok("GET", f"{path}/files", params={"filter": "in_progress"})
    assert waiting["data"] == []
    # One that was given up can be added again.
    await kestrel.ok("POST", f"/v1/vector_stores/{store}/files", json={"file_id": files[1]})
    await kestrel.settle()
    assert len(await kestrel.search(store, "kettle")) == 2


async def test_a_file_that_cannot_be_read_fails_alone(kestrel: Client) -> None:
    store = await kestrel.store()
    files = [await kestrel.file(b"\x00\x01\xffbad\x02"), await kestrel.file(b"The kettle.")]
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": files})
    bad = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": files[:1]})
    await kestrel.settle()
    done = await kestrel.ok("GET", f"{BATCHES.format(store)}/{batch['id']}")
    assert (done["status"], done["file_counts"]["failed"], done["file_counts"]["completed"]) == ("completed", 1, 1)
    assert (await kestrel.ok("GET", f"{BATCHES.format(store)}/{bad['id']}"))["status"] == "failed"


@on_both_databases
async def test_what_is_put_after_a_batch_does_not_change_its_counts(kestrel: Client) -> None:
    store = await kestrel.store()
    file = await kestrel.file(b"The kettle.")
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": [file]})
    path = f"{BATCHES.format(store)}/{batch['id']}"
    await kestrel.settle()
    done = await kestrel.ok("GET", path)
    assert (done["status"], done["file_counts"]["completed"]) == ("completed", 1)
    await kestrel.put(store, file, b"\x00\x01\xffbad\x02")
    assert await kestrel.ok("GET", path) == done
    await kestrel.settle()
    assert (await kestrel.get(store, file))["status"] == "failed"
    assert await kestrel.ok("GET", path) == done
    await kestrel.put(store, file, b"The newer kettle.")
    again = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": [file]})
    assert again["file_counts"]["in_progress"] == 1
    assert await kestrel.ok("GET", path) == done


@on_both_databases
async def test_a_batch_that_is_done_stays_as_it_is_whatever_becomes_of_its_files(
    kestrel: Client, gateway: Gateway
) -> None:
    store = await kestrel.store()
    bad = await kestrel.file(b"\x00\x01\xffbad\x02")
    files = [bad, *[await kestrel.file(f"The kettle {number}.".encode()) for number in range(4)]]
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": files})
    path = f"{BATCHES.format(store)}/{batch['id']}"
    await kestrel.settle()
    done = await kestrel.ok("GET", path)
    assert done["file_counts"] == {"in_progress": 0, "completed": 4, "failed": 1, "cancelled": 0, "total": 5}

    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}/files/{files[1]}")
    await kestrel.ok("DELETE", f"/v1/files/{files[2]}")
    assert await kestrel.ok("GET", path) == done
    await kestrel.settle()
    assert await kestrel.ok("GET", path) == done
    await kestrel.ok("DELETE", f"/v1/files/{bad}")
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/{files[3]}")
    await kestrel.settle()
    assert await kestrel.ok("GET", path) == done
    assert await kestrel.ok("POST", f"{path}/cancel") == done
    async with gateway.state.database.begin() as session:  # as a reindex leaves it that can't read it any more
        await session.execute(text("UPDATE document_versions SET status = 'failed'"))
    assert await kestrel.ok("GET", path) == done
    assert [file["id"] for file in (await kestrel.ok("GET", f"{path}/files"))["data"]] == [files[4]]


async def test_files_that_are_deleted_before_they_are_read_count_as_cancelled(kestrel: Client) -> None:
    store = await kestrel.store()
    files = [await kestrel.file(f"The kettle {number}.".encode()) for number in range(2)]
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": files})
    path = f"{BATCHES.format(store)}/{batch['id']}"
    await kestrel.ok("DELETE", f"/v1/files/{files[0]}")
    waiting = await kestrel.ok("GET", path)
    assert (waiting["status"], waiting["file_counts"]["cancelled"], waiting["file_counts"]["total"]) == (
        "in_progress",
        1,
        2,
    )
    await kestrel.settle()
    done = await kestrel.ok("GET", path)
    assert done["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 1, "total": 2}


async def test_a_batch_goes_with_its_store(kestrel: Client) -> None:
    store = await kestrel.store()
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": [await kestrel.file(b"The kettle.")]})
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    await kestrel.settle()
    await kestrel.fault(404, "GET", f"{BATCHES.format(store)}/{batch['id']}")


async def test_a_batch_is_found_in_its_own_store_only(kestrel: Client) -> None:
    store, other = await kestrel.store(), await kestrel.store()
    batch = await kestrel.ok("POST", BATCHES.format(store), json={"file_ids": [await kestrel.file(b"The kettle.")]})
    for call in (("GET", ""), ("GET", "/files"), ("POST", "/cancel")):
        error = await kestrel.fault(404, call[0], f"{BATCHES.format(other)}/{batch['id']}{call[1]}")
        assert error["param"] == "batch_id"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"file_ids": []},
        {"file_ids": ["a"], "files": [{"file_id": "a"}]},
        {"files": [{"file_id": "a"}], "attributes": {"area": "pots"}},
        {"file_ids": ["a", "a"]},
        {"file_ids": [f"file-{number}" for number in range(2001)]},
    ],
)
async def test_a_batch_that_says_two_things_is_refused(kestrel: Client, wrong: dict[str, object]) -> None:
    await kestrel.fault(400, "POST", BATCHES.format(await kestrel.store()), json=wrong)


async def test_one_file_that_is_not_there_keeps_all_out(kestrel: Client, index: FakeRetriever) -> None:
    store = await kestrel.store()
    batch = {"file_ids": [await kestrel.file(b"The kettle."), "file-none"]}
    error = await kestrel.fault(404, "POST", BATCHES.format(store), json=batch)
    assert error["param"] == "file_ids"
    assert (await kestrel.ok("GET", f"/v1/vector_stores/{store}"))["file_counts"]["total"] == 0
