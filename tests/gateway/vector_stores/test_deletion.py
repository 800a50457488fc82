"""Many deleted documents: what a search is told of them, and how they are removed."""

import asyncio
import time

from sqlalchemy import func, select, update

from gateway.jobs import JobRow
from gateway.jobs.claim import claim_next
from gateway.vector_stores.repository import DocumentRepository
from gateway.vector_stores.tables import DocumentRow, StoreRow
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client

MANY = 10_000


async def bury(gateway: Gateway, store: str, number: int) -> None:
    """Put deleted documents into the database whose points nobody has removed."""
    async with gateway.state.database.begin() as session:
        tenant = (await session.get_one(StoreRow, store)).tenant_id
        rows = [
            {
                "id": f"doc_gone{n:06}",
                "created_at": 1,
                "store_id": store,
                "key": f"{n}.md",
                "live_key": None,
                "version": 1,
                "latest": 1,
                "status": "completed",
                "usage_bytes": 1,
                "deleted_at": 1,
            }
            for n in range(number)
        ]
        await DocumentRepository(session, tenant).add_rows(rows)


async def test_ten_thousand_deleted_documents_cost_a_search_nothing(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "The warranty is 19 months.")
    await kestrel.settle()

    async def measure() -> float:
        times: list[float] = []
        for _ in range(15):
            started = time.process_time()
            assert await kestrel.search(store, "warranty") == ["The warranty is 19 months."]
            times.append(time.process_time() - started)
        return min(times)

    before = await measure()
    await bury(gateway, store, MANY)
    index.queries.clear()
    after = await measure()
    assert {len(query.exclude) for query in index.queries} == {0}
    assert after < before * 2 + 0.02


async def test_a_few_deleted_documents_are_left_out_by_the_index(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "The warranty is 19 months.")
    await kestrel.settle()
    await bury(gateway, store, 100)
    await kestrel.search(store, "warranty")
    assert len(index.queries[-1].exclude) == 100


async def test_of_many_deleted_documents_none_answers(kestrel: Client, index: FakeRetriever, gateway: Gateway) -> None:
    store = await kestrel.store()
    for number in range(60):
        await kestrel.put(store, f"{number}.md", f"The old warranty number {number}.")
    await kestrel.put(store, "new.md", "The warranty.")
    await kestrel.settle()
    async with gateway.state.database.begin() as session:
        old = DocumentRow.store_id == store, DocumentRow.key != "new.md"
        await session.execute(update(DocumentRow).where(*old).values(deleted_at=1, live_key=None))
    await bury(gateway, store, 300)
    index.queries.clear()
    assert await kestrel.search(store, "the old warranty number", max_num_results=5) == ["The warranty."]
    assert [len(query.exclude) for query in index.queries] == [0, 5, 10, 375]
    index.queries.clear()
    assert (await kestrel.search(store, "new"))[:0] == []
    assert [len(query.exclude) for query in index.queries] == [0], "one that finds no deleted document is told of none"


async def test_one_job_removes_them_all(kestrel: Client, index: FakeRetriever, gateway: Gateway) -> None:
    store = await kestrel.store()
    for number in range(5):
        await kestrel.put(store, f"{number}.md", f"Number {number}.")
    await kestrel.settle()
    answers = [await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/{number}.md") for number in range(4)]
    assert len({answer["job"] for answer in answers}) == 1
    await bury(gateway, store, 1_200)
    await kestrel.settle()
    assert [point.text for point in index.points] == ["Number 4."]
    assert index.calls.count("remove_documents") == 3
    async with gateway.state.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(DocumentRow)) == 1


async def test_a_document_deleted_while_its_stores_removal_runs_is_removed_too(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    for key in ("a", "b"):
        await kestrel.put(store, f"{key}.md", f"Number {key}.")
    await kestrel.settle()
    first = await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/a.md")
    claim = await claim_next(gateway.state.database, kinds=["remove"], worker="w", lease_seconds=60)
    assert claim is not None
    second = await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/b.md")
    assert first["job"] != second["job"]
    await claim.release()
    await kestrel.settle()
    assert index.points == []


async def test_a_removal_that_fails_is_tried_again_later(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "Number one.")
    await kestrel.settle()
    index.fail("remove_documents", 3)
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/a.md")
    async with asyncio.timeout(30):
        while index.calls.count("remove_documents") < 3:
            await kestrel.settle()
    async with gateway.state.database.begin() as session:
        waiting = (await session.scalars(select(JobRow).where(JobRow.status == "queued"))).all()
        assert [job.kind for job in waiting] == ["remove"]
        waiting[0].not_before = None
    await kestrel.settle()
    assert index.points == []


async def test_a_stores_removal_that_fails_is_tried_again_later(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "Number one.")
    await kestrel.settle()
    index.fail("drop_store", 3)
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    async with asyncio.timeout(30):
        while index.calls.count("drop_store") < 4:  # the first of them was the ingest's
            await kestrel.settle()
    async with gateway.state.database.begin() as session:
        waiting = (await session.scalars(select(JobRow).where(JobRow.status == "queued"))).all()
        assert [job.kind for job in waiting] == ["drop"]
        waiting[0].not_before = None
    await kestrel.settle()
    assert index.points == []
    async with gateway.state.database.read() as session:
        assert [await session.scalar(select(func.count()).select_from(row)) for row in (DocumentRow, StoreRow)] == [
            0,
            0,
        ]


async def test_a_removal_does_not_wait_for_an_ingest_of_its_store(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "Number one.")
    await kestrel.settle()
    await kestrel.put(store, "b.md", "Number two.")
    ingest = await claim_next(gateway.state.database, kinds=["ingest"], worker="w", lease_seconds=60)
    assert ingest is not None
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/a.md")
    assert await claim_next(gateway.state.database, kinds=["remove"], worker="w", lease_seconds=60) is not None
