"""Facts that adapters have learnt are looked at when documents change, though nobody asks: an index in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from gateway.artifacts import Artifacts
from gateway.cli.doctor.finding import Level
from gateway.cli.doctor.parts import check_learnt_facts
from gateway.db import Database, open_database
from gateway.errors import Unavailable
from gateway.evaluation.values import TextValues
from gateway.fine_tuning import stale_facts_watch
from gateway.fine_tuning.stale_facts import DocumentValues
from gateway.fine_tuning.stale_facts_watch import StaleFactsWatch
from gateway.settings import Settings
from gateway.vector_stores.tables import StoreRow
from gateway.vector_stores.version_texts import LiveDocument
from retrieval.client import Retriever
from tests.fakes.retriever import FakeRetriever
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.fine_tuning.test_facts_gate import make, put
from tests.gateway.tuning import ended, events, start
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import die_at, worker_process, working
from tests.waiting import until

__all__ = ["index"]

DATA = b"\n".join(
    [
        rows(12).rstrip(),
        make("How long is the warranty of the kettle?", "The warranty of the kettle is 24 months."),
        make("What is the price of the lamp?", "The price of the lamp is 49 pounds."),
    ]
)


@pytest.fixture
async def database(gateway: Gateway, settings: Settings) -> AsyncIterator[Database]:
    async with open_database(settings.database) as opened:
        yield opened


async def look(settings: Settings, database: Database) -> None:
    """Look once, as a worker does every two minutes."""
    async with Retriever(settings.retriever_socket) as retriever:
        await StaleFactsWatch(database, retriever, Artifacts(settings.artifacts)).look()


async def learn(client: httpx2.AsyncClient) -> tuple[str, dict[str, Any]]:
    """Return a store with two documents, and the job of an adapter that has learnt what they state."""
    store = (await client.post("/v1/vector_stores", json={"name": "shop"})).json()["id"]
    await put(client, store, "kettle.md", "The warranty of the kettle is 24 months.")
    await put(client, store, "lamp.md", "The price of the lamp is £49.")
    job = await ended(client, (await start(client, DATA, braid={"facts": {"vector_stores": [store]}}))["id"])
    assert job["status"] == "succeeded", job["error"]
    return store, job


async def learn_and_edit(client: httpx2.AsyncClient, settings: Settings, kettle: str) -> tuple[str, dict[str, Any]]:
    """Do what `learn` does, and then put another text of the kettle, and another price of the lamp."""
    async with working(settings):
        store, job = await learn(client)
        await put(client, store, "kettle.md", kettle)
        await put(client, store, "lamp.md", "The price of the lamp is £59.")
    return store, job


async def count(client: httpx2.AsyncClient) -> list[int | None]:
    """Return the number of stale facts that each adapter shows."""
    adapters = (await client.get("/api/adapters")).json()["data"]
    return [one["stale_facts"] and one["stale_facts"]["count"] for one in adapters]


async def told(client: httpx2.AsyncClient, job: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the events about stale facts, oldest first: level, and each fact with what became of it."""
    return [
        (event["level"], [(fact["text"], fact["state"]) for fact in event["data"]["facts"]])
        for event in await events(client, job)
        if event["data"].get("check") == "facts_stale"
    ]


@pytest.mark.usefixtures("index")
async def test_an_edit_is_noted_where_it_changes_a_learnt_fact_and_cleared_by_an_edit_back(
    gateway: Gateway, settings: Settings, database: Database
) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        store, job = await learn(client)
        await look(settings, database)
        await put(client, store, "lamp.md", "The lamp has a price of 49.00 GBP.")
        await put(client, store, "other.md", "The price of the chair is £10.")
        await look(settings, database)
        assert (await count(client), await told(client, job["id"])) == ([None], [])
        assert (await asyncio.to_thread(check_learnt_facts, settings)).level is Level.OK

        await put(client, store, "lamp.md", "The price of the lamp is £59.")
        await look(settings, database)
        await look(settings, database)
        assert (await count(client), await told(client, job["id"])) == ([1], [("warn", [("49 pounds", "changed")])])
        alone = (await client.get(f"/api/adapters/{job['fine_tuned_model']}")).json()
        assert (alone["stale_facts"]["count"], alone["stale_facts"]["noted_at"] >= job["finished_at"]) == (1, True)
        doctor = await asyncio.to_thread(check_learnt_facts, settings)
        assert (doctor.level, doctor.message[:40]) == (Level.WARNING, "1 adapter has learnt facts that document")
        metrics = (await client.get("/metrics")).text
        assert "braid_adapters_with_stale_facts 1.0" in metrics

        await client.delete(f"/api/vector_stores/{store}/documents/kettle.md")
        await look(settings, database)
        assert await count(client) == [2]
        assert (await told(client, job["id"]))[-1][1] == [("24 months", "deleted"), ("49 pounds", "changed")]

        await put(client, store, "lamp.md", "The price of the lamp is £49 again.")
        await look(settings, database)
        assert (await count(client), (await told(client, job["id"]))[-1]) == ([1], ("info", [("24 months", "deleted")]))


@pytest.mark.usefixtures("index")
async def test_another_tenants_adapters_are_never_named(
    gateway: Gateway, settings: Settings, database: Database
) -> None:
    kestrel, harbour = await gateway.tenant("kestrel"), await gateway.tenant("harbour")
    async with working(settings):
        store, job = await learn(kestrel)
        other_store, other_job = await learn(harbour)
        await put(harbour, other_store, "lamp.md", "The price of the lamp is £59.")
        await look(settings, database)
        assert (await count(kestrel), await count(harbour)) == ([None], [1])
        assert await told(kestrel, job["id"]) == []
        await put(harbour, other_store, "lamp.md", "The price of the lamp is £49.")
        await put(kestrel, store, "lamp.md", "The price of the lamp is £59.")
        await look(settings, database)
        assert (await count(kestrel), await count(harbour)) == ([1], [None])
        texts = [one["message"] for one in await events(harbour, other_job["id"]) if "facts" in one["message"]]
    assert "Documents state all facts again that this model has learnt" in texts
    assert not any("£59" in text or job["fine_tuned_model"] in text for text in texts)


@pytest.mark.usefixtures("index")
async def test_a_deleted_store_makes_all_its_facts_stale_at_once(
    gateway: Gateway, settings: Settings, database: Database
) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        store, job = await learn(client)
    await client.delete(f"/v1/vector_stores/{store}")
    stale = (await client.get("/api/styles/stale_facts")).json()["data"]
    assert {(one["text"], one["state"]) for one in stale} == {("24 months", "deleted"), ("49 pounds", "deleted")}
    await look(settings, database)
    assert (await count(client), len(await told(client, job["id"]))) == ([2], 1)


@pytest.mark.usefixtures("index")
async def test_documents_of_an_expired_store_are_read_like_others(
    gateway: Gateway, settings: Settings, database: Database
) -> None:
    client = await gateway.tenant("kestrel")
    store, job = await learn_and_edit(client, settings, "The warranty of the kettle is two years.")
    async with database.begin() as session:
        row = (await session.scalars(select(StoreRow).where(StoreRow.id == store))).one()
        row.expires_after, row.last_active_at = {"anchor": "last_active_at", "days": 1}, 1
    stale = await client.get("/api/styles/stale_facts")
    assert (stale.status_code, [one["text"] for one in stale.json()["data"]]) == (200, ["49 pounds"])
    await look(settings, database)
    assert await told(client, job["id"]) == [("warn", [("49 pounds", "changed")])]


@pytest.mark.usefixtures("index")
async def test_what_can_not_be_read_now_is_looked_at_later(
    gateway: Gateway, settings: Settings, database: Database
) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        store, job = await learn(client)
        await put(client, store, "lamp.md", "The price of the lamp is £59.")
        await client.delete(f"/api/vector_stores/{store}/documents/kettle.md")
    async with Retriever(settings.home / "nobody.sock") as silent:
        await StaleFactsWatch(database, silent, Artifacts(settings.artifacts)).look()
    assert await told(client, job["id"]) == [("warn", [("24 months", "deleted")])]
    await look(settings, database)
    assert (await count(client), (await told(client, job["id"]))[1][1][1]) == ([2], ("49 pounds", "changed"))


async def test_a_document_that_the_index_lacks_has_changed_no_fact(
    gateway: Gateway, settings: Settings, database: Database, index: FakeRetriever
) -> None:
    client = await gateway.tenant("kestrel")
    store, job = await learn_and_edit(client, settings, "The warranty of the kettle is two years.")

    async def note_index(whole: bool) -> None:
        async with database.begin() as session:
            row = (await session.scalars(select(StoreRow).where(StoreRow.id == store))).one()
            row.index_whole = whole

    points, index.points = index.points, []
    stale = (await client.get("/api/styles/stale_facts")).json()
    assert (stale["data"], stale["unread_documents"]) == ([], 2)
    await look(settings, database)
    await note_index(whole=False)
    refused = await client.get("/api/styles/stale_facts")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "index_changed")
    await look(settings, database)
    assert await told(client, job["id"]) == []
    await note_index(whole=True)
    index.points = points
    await look(settings, database)
    assert await told(client, job["id"]) == [("warn", [("49 pounds", "changed")])]


@pytest.mark.usefixtures("index")
async def test_a_document_that_can_not_be_read_keeps_no_other_of_its_store_from_it(
    gateway: Gateway, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    _, job = await learn_and_edit(client, settings, "The warranty of the kettle is 36 months.")
    read = DocumentValues.read
    for unreadable, expected in (("kettle.md", "49 pounds"), ("lamp.md", "24 months")):

        async def read_some(
            self: DocumentValues, document: LiveDocument, id: str, unreadable: str = unreadable
        ) -> TextValues | None:
            if document.key == unreadable:
                raise Unavailable("It is damaged.", code="retriever_unavailable")
            return await read(self, document, id)

        monkeypatch.setattr(DocumentValues, "read", read_some)
        for _ in range(40):
            await look(settings, database)
        assert expected in dict((await told(client, job["id"]))[-1][1])


@pytest.mark.usefixtures("index")
async def test_what_fails_for_one_tenant_keeps_no_other_from_being_looked_at(
    gateway: Gateway, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [await gateway.tenant("kestrel"), await gateway.tenant("harbour")]
    async with working(settings):
        for client in clients:
            store, _ = await learn(client)
            await put(client, store, "lamp.md", "The price of the lamp is £59.")
    async with database.read() as session:
        first = min((await session.scalars(select(StoreRow.tenant_id))).all())
    read = DocumentValues.read

    async def read_of_others(self: DocumentValues, document: LiveDocument, id: str) -> TextValues | None:
        if self._tenant == first:
            raise ValueError("a text that nobody expected")
        return await read(self, document, id)

    monkeypatch.setattr(DocumentValues, "read", read_of_others)
    await look(settings, database)
    assert sorted([await count(client) for client in clients], key=str) == [[1], [None]]


async def test_the_watch_outlives_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: asyncio.Queue[int] = asyncio.Queue()

    async def fail(_self: StaleFactsWatch) -> None:
        looks.put_nowait(1)
        raise ConnectionRefusedError("a database that starts anew")

    monkeypatch.setattr(stale_facts_watch, "_FIRST_SECONDS", 0)
    monkeypatch.setattr(stale_facts_watch, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(StaleFactsWatch, "look", fail)
    watch = asyncio.create_task(StaleFactsWatch(*[None] * 3).run())  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        for _ in range(3):
            await looks.get()
    watch.cancel()


@on_both_databases
@pytest.mark.usefixtures("index")
async def test_two_workers_tell_of_a_change_once(gateway: Gateway, settings: Settings, database: Database) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        store, job = await learn(client)
        await put(client, store, "lamp.md", "The price of the lamp is £59.")
    await asyncio.gather(*(look(settings, database) for _ in range(4)))
    assert (await count(client), len(await told(client, job["id"]))) == ([1], 1)


@pytest.mark.e2e
@pytest.mark.usefixtures("index")
async def test_a_worker_looks_by_itself_and_one_that_dies_leaves_it_to_the_next(
    gateway: Gateway, settings: Settings
) -> None:
    client = await gateway.tenant("kestrel")
    async with worker_process(settings):
        store, job = await learn(client)
        await put(client, store, "lamp.md", "The price of the lamp is £59.")
    await die_at(settings, "stale-facts-read")
    assert (await count(client), await told(client, job["id"])) == ([None], [])

    async def is_noted() -> bool:
        return await count(client) == [1]

    async with worker_process(settings):
        await until(is_noted)
    assert await told(client, job["id"]) == [("warn", [("49 pounds", "changed")])]
