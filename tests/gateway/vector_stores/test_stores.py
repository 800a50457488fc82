import time
from typing import Any

import openai
import pytest

from gateway.vector_stores.repository import StoreRepository
from retrieval.answer_probability import estimate_generally
from retrieval.messages import FULL_MATCH, MatchFeatures
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.vector_stores.conftest import Client


async def test_a_store_is_made_changed_and_deleted(kestrel: Client) -> None:
    made = await kestrel.ok(
        "POST",
        "/v1/vector_stores",
        json={
            "name": "kettles",
            "description": "All about them",
            "metadata": {"a": "b"},
            "expires_after": {"anchor": "last_active_at", "days": 7},
        },
    )
    assert made["expires_at"] == made["last_active_at"] + 7 * 86_400
    assert (made["name"], made["metadata"], made["status"]) == ("kettles", {"a": "b"}, "completed")
    path = f"/v1/vector_stores/{made['id']}"
    assert await kestrel.ok("GET", path) == made
    changed = await kestrel.ok("POST", path, json={"name": "pots"})
    assert (changed["name"], changed["metadata"], changed["expires_after"]["days"]) == ("pots", {"a": "b"}, 7)
    cleared = await kestrel.ok("POST", path, json={"metadata": None, "expires_after": None})
    assert (cleared["name"], cleared["metadata"], cleared["expires_at"]) == ("pots", {}, None)
    assert await kestrel.ok("DELETE", path) == {"id": made["id"], "object": "vector_store.deleted", "deleted": True}
    await kestrel.fault(404, "GET", path)


async def test_lists_go_both_ways(kestrel: Client) -> None:
    ids = [await kestrel.store(name=str(number)) for number in range(5)]

    async def list_page(**params: Any) -> tuple[list[int], bool]:
        page = await kestrel.ok("GET", "/v1/vector_stores", params=params)
        assert [page["first_id"], page["last_id"]] == [page["data"][0]["id"], page["data"][-1]["id"]]
        return [int(store["name"]) for store in page["data"]], page["has_more"]

    assert await list_page() == ([4, 3, 2, 1, 0], False)
    assert await list_page(limit=2) == ([4, 3], True)
    assert await list_page(limit=2, after=ids[3]) == ([2, 1], True)
    assert await list_page(limit=2, before=ids[1]) == ([3, 2], True)
    assert await list_page(order="asc", after=ids[2]) == ([3, 4], False)


@on_both_databases
async def test_files_in_a_store_are_indexed_or_say_why_not(kestrel: Client, index: FakeRetriever) -> None:
    store = await kestrel.store()
    good, bad = await kestrel.file(b"One.\n\nTwo."), await kestrel.file(b"\x00\x01\xff\x02", "picture.bin")
    path = f"/v1/vector_stores/{store}/files"
    attributes = {"area": "kettles", "year": 2026, "weight": 1.5, "new": False}
    sizes = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    added = await kestrel.ok("POST", path, json={"file_id": good, "attributes": attributes, "chunking_strategy": sizes})
    assert (added["id"], added["status"], added["attributes"]) == (good, "in_progress", attributes)
    assert added["chunking_strategy"] == sizes
    other = await kestrel.ok("POST", path, json={"file_id": bad})
    assert other["chunking_strategy"]["static"] == {"max_chunk_size_tokens": 160, "chunk_overlap_tokens": 0}
    counts = (await kestrel.ok("GET", f"/v1/vector_stores/{store}"))["file_counts"]
    assert counts == {"in_progress": 2, "completed": 0, "failed": 0, "cancelled": 0, "total": 2}
    await kestrel.settle()
    assert (index.points[0].request.max_chunk_tokens, index.points[0].request.overlap_tokens) == (100, 50)
    shown = await kestrel.ok("GET", f"/v1/vector_stores/{store}")
    assert (shown["status"], shown["usage_bytes"]) == ("completed", 10)
    assert shown["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 1, "cancelled": 0, "total": 2}
    assert (await kestrel.ok("GET", f"{path}/{good}"))["status"] == "completed"
    failed = await kestrel.ok("GET", path, params={"filter": "failed"})
    assert [file["id"] for file in failed["data"]] == [bad]
    assert failed["data"][0]["last_error"]["code"] == "unsupported_file"
    first = await kestrel.ok("GET", path, params={"limit": 1, "order": "asc"})
    assert (first["last_id"], first["has_more"]) == (good, True)
    rest = await kestrel.ok("GET", path, params={"order": "asc", "after": good})
    assert [file["id"] for file in rest["data"]] == [bad]


@pytest.mark.case("file-delete-leaves-stores")
async def test_a_deleted_file_leaves_every_store_at_once(kestrel: Client, index: FakeRetriever) -> None:
    file = await kestrel.file(b"One.")
    stores = [await kestrel.store(), await kestrel.store()]
    for store in stores:
        await kestrel.ok("POST", f"/v1/vector_stores/{store}/files", json={"file_id": file})
    await kestrel.put(stores[0], "other", "Another one.")
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/v1/files/{file}")
    for store in stores:
        path = f"/v1/vector_stores/{store}/files"
        assert await kestrel.search(store, "one") == (["Another one."] if store is stores[0] else [])
        await kestrel.fault(404, "GET", f"{path}/{file}")
        await kestrel.fault(404, "POST", path, json={"file_id": file})
    await kestrel.settle()
    assert [point.text for point in index.points] == ["Another one."]


async def test_a_document_put_under_a_key_goes_with_its_file_too(kestrel: Client) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "tariff", "One.")
    await kestrel.settle()
    (listed,) = (await kestrel.ok("GET", f"/v1/vector_stores/{store}/files"))["data"]
    await kestrel.ok("DELETE", f"/v1/files/{listed['id']}")
    await kestrel.fault(404, "GET", f"/api/vector_stores/{store}/documents/tariff")


async def test_a_file_stays_when_it_is_taken_out_of_a_store(kestrel: Client, index: FakeRetriever) -> None:
    store, file = await kestrel.store(), await kestrel.file(b"Number one.")
    path = f"/v1/vector_stores/{store}/files"
    await kestrel.ok("POST", path, json={"file_id": file})
    deleted = await kestrel.ok("DELETE", f"{path}/{file}")
    assert deleted == {"id": file, "object": "vector_store.file.deleted", "deleted": True}
    await kestrel.settle()
    assert index.points == []
    assert (await kestrel.ok("GET", f"/v1/files/{file}"))["id"] == file


async def test_a_documents_own_file_can_be_added_to_its_store_and_taken_out(kestrel: Client) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "tariff", "One.")
    path = f"/v1/vector_stores/{store}/files"
    (listed,) = (await kestrel.ok("GET", path))["data"]
    await kestrel.ok("POST", path, json={"file_id": listed["id"]})
    assert (await kestrel.ok("GET", f"{path}/{listed['id']}"))["id"] == listed["id"]
    await kestrel.ok("DELETE", f"{path}/{listed['id']}")
    assert (await kestrel.get(store, "tariff"))["key"] == "tariff"
    await kestrel.ok("DELETE", f"{path}/{listed['id']}")
    await kestrel.fault(404, "GET", f"/api/vector_stores/{store}/documents/tariff")


async def test_a_store_may_be_made_with_files(kestrel: Client) -> None:
    files = [await kestrel.file(f"Number {number}.".encode()) for number in range(3)]
    sizes = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    made = await kestrel.ok("POST", "/v1/vector_stores", json={"file_ids": files, "chunking_strategy": sizes})
    assert (made["status"], made["file_counts"]["total"]) == ("in_progress", 3)
    await kestrel.settle()
    assert sorted(await kestrel.search(made["id"], "number")) == ["Number 0.", "Number 1.", "Number 2."]
    await kestrel.fault(404, "POST", "/v1/vector_stores", json={"name": "half", "file_ids": [files[0], "file-none"]})
    assert [store["name"] for store in (await kestrel.ok("GET", "/v1/vector_stores"))["data"]] == [""]


async def test_a_file_added_again_has_the_new_attributes(kestrel: Client) -> None:
    store, file = await kestrel.store(), await kestrel.file(b"One.")
    path = f"/v1/vector_stores/{store}/files"
    for area in ("kettles", "pots"):
        await kestrel.ok("POST", path, json={"file_id": file, "attributes": {"area": area}})
        await kestrel.settle()
    assert len((await kestrel.ok("GET", path))["data"]) == 1
    assert await kestrel.search(store, "one", filters={"type": "eq", "key": "area", "value": "pots"}) == ["One."]
    assert await kestrel.search(store, "one", filters={"type": "eq", "key": "area", "value": "kettles"}) == []


async def test_a_search_says_how_likely_the_passages_that_an_assistant_shows_are_to_answer(
    kestrel: Client, index: FakeRetriever
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "\n\n".join([*(f"red pears {number}" for number in range(5)), "red apples"]))
    await kestrel.settle()
    for pears, apples, likely in ((MatchFeatures(), FULL_MATCH, False), (FULL_MATCH, MatchFeatures(), True)):
        index.match = lambda score, pears=pears, apples=apples: pears if score > 0.9 else apples
        body = {"query": "red pears", "max_num_results": 50}
        answer = await kestrel.http.post(f"/v1/vector_stores/{store}/search", json=body)
        assert len(answer.json()["data"]) == 6
        probability = float(answer.headers["braid-answer-probability"])
        assert probability == pytest.approx(estimate_generally([FULL_MATCH if likely else MatchFeatures()]), abs=1e-4)


async def test_a_search_has_the_form_of_openais(kestrel: Client) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "red apples\n\ngreen pears\n\nred pears")
    await kestrel.settle()
    path = f"/v1/vector_stores/{store}/search"
    page = await kestrel.ok("POST", path, json={"query": "red pears"})
    assert page["object"] == "vector_store.search_results.page"
    assert (page["search_query"], page["has_more"], page["next_page"]) == (["red pears"], False, None)
    assert page["data"][0]["content"] == [{"type": "text", "text": "red pears"}]
    assert (page["data"][0]["filename"], page["data"][0]["score"]) == ("a.md", 1.0)
    assert await kestrel.search(store, "red pears", max_num_results=1) == ["red pears"]
    assert await kestrel.search(store, "red pears", ranking_options={"score_threshold": 0.9}) == ["red pears"]
    several = await kestrel.search(store, ["red apples", "green pears"])
    assert set(several) == {"red apples", "green pears", "red pears"}
    assert len(several) == 3
    error = await kestrel.fault(400, "POST", path, json={"query": "x", "filters": {"type": "odd"}})
    assert error["param"] == "filters"


@on_both_databases
async def test_a_deleted_store_is_gone_at_once_and_then_for_good(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store, other = await kestrel.store(), await kestrel.store()
    kept = await kestrel.file(b"One.")
    await kestrel.ok("POST", f"/v1/vector_stores/{store}/files", json={"file_id": kept})
    put = await kestrel.put(store, "a.md", "Number one.")
    await kestrel.put(other, "a.md", "Another one.")
    await kestrel.settle()
    waiting = await kestrel.put(store, "b.md", "One more.")
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    for method, path, body in (
        ("POST", f"/v1/vector_stores/{store}/search", {"query": "one"}),
        ("GET", f"/v1/vector_stores/{store}/files", None),
        ("GET", f"/api/vector_stores/{store}/documents/a.md", None),
        ("POST", f"/v1/vector_stores/{store}/files", {"file_id": kept}),
    ):
        await kestrel.fault(404, method, path, json=body)
    await kestrel.settle()
    assert [point.text for point in index.points] == ["Another one."]
    assert {file["id"] for file in (await kestrel.ok("GET", "/v1/files"))["data"]} >= {kept}
    for gone in (put, waiting):
        await kestrel.fault(404, "GET", f"/v1/files/{gone['file_id']}")


async def test_a_store_that_was_not_used_expires(kestrel: Client, gateway: Gateway) -> None:
    store = await kestrel.store(expires_after={"anchor": "last_active_at", "days": 1})
    tenant = (await gateway.admin.get("/api/tenants")).json()["data"][-1]["id"]

    async def last_used(seconds: float) -> None:
        async with gateway.state.database.begin() as session:
            (await StoreRepository(session, tenant).get(store)).last_active_at = int(time.time() - seconds)

    await last_used(80_000)
    assert await kestrel.search(store, "one") == []
    shown = await kestrel.ok("GET", f"/v1/vector_stores/{store}")
    assert shown["last_active_at"] > time.time() - 60, "a search counts as use"
    await last_used(-365 * 86_400)  # by a clock that was a year ahead, which would keep it for that year
    assert await kestrel.search(store, "one") == []
    shown = await kestrel.ok("GET", f"/v1/vector_stores/{store}")
    assert shown["last_active_at"] < time.time() + 60
    await last_used(90_000)
    assert (await kestrel.ok("GET", f"/v1/vector_stores/{store}"))["status"] == "expired"
    error = await kestrel.fault(400, "POST", f"/v1/vector_stores/{store}/search", json={"query": "one"})
    assert error["code"] == "vector_store_expired"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"metadata": {str(number): "x" for number in range(17)}}),
        ("", {"metadata": {"k" * 65: "x"}}),
        ("", {"metadata": {"k": "x" * 513}}),
        ("", {"metadata": {"k": 1}}),
        ("", {"nonsense": 1}),
        ("", {"expires_after": {"anchor": "last_active_at", "days": 366}}),
        ("", {"expires_after": {"anchor": "created_at", "days": 3}}),
        ("", {"chunking_strategy": {"type": "other"}}),
        ("", {"file_ids": ["file-1"] * 501}),
        *(
            (
                "",
                {
                    "chunking_strategy": {
                        "type": "static",
                        "static": {"max_chunk_size_tokens": a, "chunk_overlap_tokens": b},
                    }
                },
            )
            for a, b in ((99, 0), (4097, 0), (100, 51), (100, -1))
        ),
        ("/{store}/files", {}),
        ("/{store}/files", {"file_id": "file-1", "attributes": {"a": None}}),
        ("/{store}/files", {"file_id": "file-1", "attributes": {"a": ["x"]}}),
        ("/{store}/search", {}),
        ("/{store}/search", {"query": ""}),
        ("/{store}/search", {"query": []}),
        ("/{store}/search", {"query": "x", "max_num_results": 51}),
        ("/{store}/search", {"query": "x", "max_num_results": 0}),
        ("/{store}/search", {"query": "x", "ranking_options": {"score_threshold": 1.1}}),
        ("/{store}/search", {"query": "x", "filters": "all"}),
    ],
)
async def test_bad_requests_are_refused(kestrel: Client, path: str, body: dict[str, Any]) -> None:
    store = await kestrel.store()
    error = await kestrel.fault(400, "POST", "/v1/vector_stores" + path.format(store=store), json=body)
    assert error["type"] == "invalid_request_error"


async def test_stores_of_another_tenant_do_not_exist(kestrel: Client, harbor: Client) -> None:
    store, file = await kestrel.store(), await kestrel.file(b"One.")
    await kestrel.ok("POST", f"/v1/vector_stores/{store}/files", json={"file_id": file})
    await kestrel.settle()
    path = f"/v1/vector_stores/{store}"
    for method, url, body in (
        ("GET", path, None),
        ("POST", path, {"name": "mine"}),
        ("DELETE", path, None),
        ("POST", f"{path}/search", {"query": "one"}),
        ("GET", f"{path}/files", None),
        ("POST", f"{path}/files", {"file_id": file}),
        ("GET", f"{path}/files/{file}", None),
        ("DELETE", f"{path}/files/{file}", None),
    ):
        await harbor.fault(404, method, url, json=body)
    own = await harbor.store()
    await harbor.fault(404, "POST", f"/v1/vector_stores/{own}/files", json={"file_id": file})
    await harbor.fault(404, "GET", f"/v1/vector_stores/{own}/files/{file}")
    assert (await harbor.ok("GET", "/v1/vector_stores"))["data"][0]["id"] == own
    assert await kestrel.search(store, "one") == ["One."]


async def test_the_openai_client_can_do_it_all(gateway: Gateway, kestrel: Client) -> None:
    key = kestrel.http.headers["authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:
        store = await client.vector_stores.create(name="kettles", chunking_strategy={"type": "auto"})
        file = await client.files.create(file=("a.txt", b"One."), purpose="assistants")
        await client.vector_stores.files.create(file_id=file.id, vector_store_id=store.id, attributes={"a": "b"})
        await kestrel.settle()
        done = await client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)
        assert done.status == "completed"
        found = await client.vector_stores.search(store.id, query="one")
        assert [item.content[0].text for item in found.data] == ["One."]
        assert [each.id async for each in client.vector_stores.files.list(store.id)] == [file.id]
        assert (await client.vector_stores.files.delete(file.id, vector_store_id=store.id)).deleted
        assert (await client.vector_stores.delete(store.id)).deleted
