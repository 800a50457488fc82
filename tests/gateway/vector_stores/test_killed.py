"""Real worker processes, killed at each step of their jobs; the index is the one in memory."""

import pytest

from gateway.settings import Settings
from tests.fakes.retriever import FakeRetriever
from tests.gateway.vector_stores.conftest import Client
from tests.gateway.vector_stores.killing import INGEST_STEPS, Reader, text
from tests.gateway.worker import die_at, worker_process
from tests.waiting import until

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("crash_at", INGEST_STEPS)
async def test_a_worker_killed_during_an_ingest_leaves_the_old_version_to_readers(
    kestrel: Client, settings: Settings, crash_at: str
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "k.md", text("one"))
    await kestrel.settle()
    reader = Reader(kestrel, store)
    async with reader.asking():
        put = await kestrel.put(store, "k.md", text("two"))
        await die_at(settings, crash_at)
        published = INGEST_STEPS.index(crash_at) >= INGEST_STEPS.index("ingest-published")
        assert await reader.ask() == ("two" if published else "one")
        async with worker_process(settings):
            got = await kestrel.live(store, "k.md")
            # Published is live, and the job may still be another worker's to end.
            assert (got["status"], got["live_version"], got["job"]) == ("completed", 2, put["job"])
            await kestrel.live(store, "after.md", "The lane goes on.")
    assert await reader.ask() == "two"


@pytest.mark.parametrize("crash_at", ["claimed", "remove-points", "remove-rows", "done"])
async def test_a_worker_killed_while_removing_leaves_nothing_to_be_found(
    kestrel: Client, settings: Settings, index: FakeRetriever, crash_at: str
) -> None:
    store = await kestrel.store()
    put = await kestrel.put(store, "k.md", text("one"))
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/k.md")
    await die_at(settings, crash_at)
    assert await kestrel.search(store, "kettle") == []
    async with worker_process(settings):
        await kestrel.live(store, "after.md", "The lane goes on.")

        async def is_removed() -> bool:
            return (await kestrel.http.get(f"/v1/files/{put['file_id']}")).status_code == 404

        await until(is_removed, 60)
    assert [point.text for point in index.points] == ["The lane goes on."]


@pytest.mark.parametrize("crash_at", ["claimed", "drop-points", "drop-rows", "done"])
async def test_a_worker_killed_while_dropping_a_store_leaves_it_to_another(
    kestrel: Client, settings: Settings, index: FakeRetriever, crash_at: str
) -> None:
    store = await kestrel.store()
    put = await kestrel.put(store, "k.md", text("one"))
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    await die_at(settings, crash_at)
    await kestrel.fault(404, "GET", f"/v1/vector_stores/{store}")
    await kestrel.settle()
    assert index.points == []
    await kestrel.fault(404, "GET", f"/v1/files/{put['file_id']}")
