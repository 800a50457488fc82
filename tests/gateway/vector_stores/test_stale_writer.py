"""A worker that was frozen beyond its lease and wakes up takes nothing away that another one has published since."""

import asyncio

import pytest

from gateway.composition import open_handlers
from gateway.jobs import JobDelayed, JobRow
from gateway.jobs.claim import claim_next
from gateway.jobs.repository import change
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client


async def test_what_a_frozen_worker_still_sends_is_refused(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "Number one.")
    database, frozen, awake = gateway.state.database, asyncio.Event(), asyncio.Event()

    async def freeze() -> None:
        del index.before["rollback"]  # only the first call, after all that its worker wrote to the database
        frozen.set()
        await awake.wait()

    index.before["rollback"] = freeze
    async with open_handlers(gateway.state.settings, database) as handlers:
        claim = await claim_next(database, kinds=["ingest"], worker="frozen", lease_seconds=60)
        assert claim is not None
        working = asyncio.create_task(handlers["ingest"].run(claim))
        await frozen.wait()
        async with database.begin() as session:
            assert await change(session, JobRow.id == claim.id, lease_until=0.0)
        await kestrel.settle()
        await kestrel.put(store, "b.md", "Number two.")
        await kestrel.settle()
        assert sorted(await kestrel.search(store, "number")) == ["Number one.", "Number two."]
        awake.set()
        with pytest.raises(JobDelayed, match="Another one has begun"):
            await working
    assert sorted(await kestrel.search(store, "number")) == ["Number one.", "Number two."]
