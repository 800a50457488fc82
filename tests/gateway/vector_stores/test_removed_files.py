"""A file whose document the worker has removed is a list's cursor all the same."""

import pytest
from sqlalchemy import func, select, update

from gateway.vector_stores.tables import DocumentRow, RemovedFileRow
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.vector_stores.conftest import Client


@on_both_databases
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_list_is_walked_to_its_end_while_the_worker_removes_what_was_seen(
    kestrel: Client, gateway: Gateway, order: str
) -> None:
    store = await kestrel.store()
    path = f"/v1/vector_stores/{store}/files"
    files = [await kestrel.file(b"31 months.") for _ in range(4)]
    for file in files:
        await kestrel.ok("POST", path, json={"file_id": file})
    await kestrel.put(store, "a.md", "19 months.")  # is known by a file that goes with its document
    await kestrel.settle()
    seen, page = list[str](), {"limit": 1, "order": order}
    while True:
        part = await kestrel.ok("GET", path, params=page)
        seen += [file["id"] for file in part["data"]]
        if not part["has_more"]:
            break
        page["after"] = part["last_id"]
        await kestrel.ok("DELETE", f"{path}/{part['last_id']}")
        await kestrel.settle()
        async with gateway.state.database.read() as session:
            assert await session.scalar(select(func.count(DocumentRow.id))) == 5 - len(seen)
    assert len(set(seen)) == len(seen) == 5
    assert [file for file in seen if file in files] == (files if order == "asc" else files[::-1])


async def test_a_file_that_came_back_is_where_it_is_now(kestrel: Client) -> None:
    store = await kestrel.store()
    path = f"/v1/vector_stores/{store}/files"
    first, second = [await kestrel.file(b"31 months.") for _ in range(2)]
    for _ in range(2):
        await kestrel.ok("POST", path, json={"file_id": first})
        await kestrel.settle()
        await kestrel.ok("DELETE", f"{path}/{first}")
        await kestrel.settle()
    await kestrel.ok("POST", path, json={"file_id": second})
    await kestrel.ok("POST", path, json={"file_id": first})
    page = {"after": first, "order": "desc"}
    assert [file["id"] for file in (await kestrel.ok("GET", path, params=page))["data"]] == [second]


async def test_a_place_is_kept_for_a_day_and_until_the_next_removal(kestrel: Client, gateway: Gateway) -> None:
    store = await kestrel.store()
    path = f"/v1/vector_stores/{store}/files"
    first, second = [await kestrel.file(b"31 months.") for _ in range(2)]
    for file in (first, second):
        await kestrel.ok("POST", path, json={"file_id": file})
    await kestrel.ok("DELETE", f"{path}/{first}")
    await kestrel.settle()
    async with gateway.state.database.begin() as session:
        await session.execute(update(RemovedFileRow).values(removed_at=1))
    await kestrel.ok("GET", path, params={"after": first})
    await kestrel.ok("DELETE", f"{path}/{second}")
    await kestrel.settle()
    await kestrel.ok("GET", path, params={"after": second})
    assert "no file of the vector store" in (await kestrel.fault(404, "GET", path, params={"after": first}))["message"]
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    await kestrel.settle()
    async with gateway.state.database.read() as session:
        assert await session.scalar(select(func.count(RemovedFileRow.id))) == 0
