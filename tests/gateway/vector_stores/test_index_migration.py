"""All documents move to another index while they are read and written: no search fails, and nothing is lost."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.vector_stores.index_migration_watch import IndexMigrationWatch
from gateway.vector_stores.tables import StoreRow
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client
from tests.gateway.worker import die_at, worker_process, working
from tests.waiting import until

MOVES = "/api/index_migrations"
TEXTS = {f"{name}.md": f"The warranty of the {name} is {months} months." for name, months in (("k2", 19), ("k7", 31))}


@pytest.fixture
async def second(settings: Settings) -> AsyncIterator[FakeRetriever]:
    async with FakeRetriever(settings.second_retriever_socket) as fake:
        fake.index = "other/words/2"
        yield fake


class Move:
    """The operator's way through one move."""

    def __init__(self, gateway: Gateway, id: str) -> None:
        self._gateway = gateway
        self.id = id

    @classmethod
    async def begin(cls, gateway: Gateway) -> "Move":
        answer = await gateway.admin.post(MOVES, json={"embedder": "another"})
        assert answer.status_code == 201, answer.text
        return cls(gateway, answer.json()["id"])

    async def get(self) -> dict[str, Any]:
        return (await self._gateway.admin.get(f"{MOVES}/{self.id}")).json()

    async def do(self, verb: str, status: int = 200, **body: Any) -> dict[str, Any]:
        answer = await self._gateway.admin.post(f"{MOVES}/{self.id}/{verb}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["error"]

    async def reach(self, verb: str, **body: Any) -> None:
        """Do a step as soon as it can be done."""
        async with asyncio.timeout(200):
            while True:
                answer = await self._gateway.admin.post(f"{MOVES}/{self.id}/{verb}", json=body)
                if answer.status_code == 200:
                    return
                assert answer.json()["error"]["code"] == "not_ready", answer.text
                await asyncio.sleep(0.3)

    async def has_ended(self) -> bool:
        return (await self.get())["ended_at"] is not None


async def fill(client: Client) -> str:
    store = await client.store()
    for key, text in TEXTS.items():
        await client.put(store, key, text)
    await client.settle()
    return store


async def settle(gateway: Gateway, client: Client) -> None:
    """Do what a worker does until the move has nothing more to do of its own."""
    watch = IndexMigrationWatch(gateway.state.database, gateway.state.retriever)
    for _ in range(3):
        await watch.step()
        await client.settle()


async def test_a_move_goes_by_copying_swapping_and_finishing(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store = await fill(kestrel)
    move = await Move.begin(gateway)
    assert (await move.get())["phase"] == "copying"
    assert (await move.do("swap", 409))["code"] == "not_ready"
    await settle(gateway, kestrel)
    state = await move.get()
    assert (state["ready"], state["documents"], state["missing"]) == (True, 2, 0)
    assert state["target"]["index"] == second.index
    assert sorted(point.text for point in second.points) == sorted(TEXTS.values())

    second.calls.clear()
    await kestrel.search(store, "warranty")
    assert "search" not in second.calls
    assert (await move.do("swap"))["phase"] == "swapped"
    assert sorted(await kestrel.search(store, "warranty")) == sorted(TEXTS.values())
    assert "search" in second.calls
    state = await kestrel.ok("GET", f"/api/vector_stores/{store}/index")
    assert state["state"] == "current"
    assert (await kestrel.put(store, "k2.md", TEXTS["k2.md"]))["version"] == 1, "nothing is lost, so nothing is new"

    assert (await move.do("finish", 409))["code"] == "not_configured"
    first, index.index, second.index = index.index, second.index, index.index  # restarted with the target's settings
    index.points, second.points = second.points, index.points
    gateway.state.retriever._index = None  # pyright: ignore[reportPrivateUsage]  # as after a restart
    await move.do("finish")
    await settle(gateway, kestrel)
    assert (await move.get())["phase"] == "finished"
    assert second.points == [], f"what was in {first} is gone"
    assert sorted(await kestrel.search(store, "warranty")) == sorted(TEXTS.values())


async def test_an_expired_store_is_evaluated_and_holds_up_no_swap(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store = await fill(kestrel)
    await kestrel.ok(
        "POST", f"/v1/vector_stores/{store}", json={"expires_after": {"anchor": "last_active_at", "days": 1}}
    )
    async with gateway.state.database.begin() as session:
        (await session.get_one(StoreRow, store)).last_active_at = 1
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    questions = [{"question": "The warranty of the k2", "documents": ["k2.md"]}]
    assert (await move.do("evaluate", vector_store_id=store, questions=questions))["ndcg_target"] == 1.0
    assert (await move.do("evaluate", vector_store_id=store))["generated"]
    assert (await move.do("swap", least_difference=-0.5))["phase"] == "swapped"
    error = await kestrel.fault(400, "POST", f"/v1/vector_stores/{store}/search", json={"query": "warranty"})
    assert error["code"] == "vector_store_expired"


async def test_what_is_written_while_two_indexes_are_kept_is_in_both(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store = await fill(kestrel)
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    await kestrel.put(store, "k2.md", "The warranty of the k2 is 20 months.")
    young = await kestrel.store()
    await kestrel.put(young, "new.md", "The warranty of the new one is 7 months.")
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/k7.md")
    await kestrel.settle()
    assert (await move.get())["ready"], "a store that is made meanwhile begins in both"
    await move.do("swap")
    assert await kestrel.search(store, "warranty") == ["The warranty of the k2 is 20 months."]
    assert await kestrel.search(young, "warranty") == ["The warranty of the new one is 7 months."]
    await kestrel.put(young, "new.md", "The warranty of the new one is 8 months.")
    await kestrel.settle()
    await move.do("rollback")
    assert await kestrel.search(young, "warranty") == ["The warranty of the new one is 8 months."]
    await move.do("cancel")
    await settle(gateway, kestrel)
    assert (await move.get())["phase"] == "cancelled"
    assert second.points == []
    assert await kestrel.search(store, "warranty") == ["The warranty of the k2 is 20 months."]


async def test_a_second_index_that_was_away_is_brought_back_into_step(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store = await fill(kestrel)
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    await second.stop()
    await kestrel.put(store, "k2.md", "The warranty of the k2 is 20 months.")
    await kestrel.settle()
    assert (await kestrel.get(store, "k2.md"))["status"] == "completed", "a document never waits for it"
    state = await move.get()
    assert (state["ready"], state["missing"], state["stores_behind"]) == (False, 1, 1)
    assert (await move.do("swap", 409))["code"] == "not_ready"
    await second.start()
    await settle(gateway, kestrel)
    await move.reach("swap")
    expected = ["The warranty of the k2 is 20 months.", TEXTS["k7.md"]]
    assert sorted(await kestrel.search(store, "warranty")) == sorted(expected)


@pytest.mark.parametrize("call", ["describe", "rollback", "ingest"])
async def test_a_document_never_waits_for_the_server_of_the_second_index(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever, call: str
) -> None:
    store = await fill(kestrel)
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    second.fail(call, 10**6, "index_unavailable")
    await kestrel.put(store, "k2.md", "The warranty of the k2 is 20 months.")
    await kestrel.settle()
    assert (await kestrel.get(store, "k2.md"))["status"] == "completed"
    del second.before[call]
    await settle(gateway, kestrel)
    await move.reach("swap")


async def test_a_document_that_the_target_cannot_read_stops_the_swap_until_it_is_replaced(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store = await fill(kestrel)
    second.fail("ingest", 3)
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    state = await move.get()
    assert (state["ready"], state["missing"], state["failed"]) == (False, 1, 1)
    for key in TEXTS:
        await kestrel.put(store, key, TEXTS[key] + " As of now.")
    await kestrel.settle()
    await move.do("swap")


async def test_labelled_questions_compare_both_indexes_and_stop_a_swap_for_the_worse(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store = await fill(kestrel)
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    asked = [{"question": f"warranty {name}", "documents": [f"{name}.md"]} for name in ("k2", "k7")] * 5
    result = await move.do("evaluate", vector_store_id=store, questions=asked)
    assert (result["ndcg_source"], result["ndcg_target"], result["worse"]) == (1.0, 1.0, False)
    second.points = [point for point in second.points if "k7" not in point.text]
    result = await move.do("evaluate", vector_store_id=store, questions=asked)
    assert (result["questions"], result["ndcg_target"], result["worse"]) == (10, 0.5, True)
    assert (await move.do("swap", 409))["code"] == "evaluation_worse"
    assert [one["worse"] for one in (await move.get())["evaluations"]] == [True]
    await move.do("swap", force=True)


async def test_every_move_can_be_evaluated_by_questions_from_the_documents_and_has_a_limit(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store, other = await fill(kestrel), await kestrel.store()
    await kestrel.put(other, "other.md", "Another page about boats.")
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    assert (await move.get())["vector_stores"] == sorted([store, other])
    result = await move.do("evaluate", vector_store_id=store)
    assert (result["generated"], result["questions"], result["ndcg_source"]) == (True, len(TEXTS), 1.0)
    refused = await move.do("swap", 409, least_difference=-0.02)
    assert (refused["code"], other in refused["message"]) == ("not_evaluated", True)
    await move.do("evaluate", vector_store_id=other)
    second.points = [point for point in second.points if "k7" not in point.text]
    assert not (await move.do("evaluate", vector_store_id=store))["worse"], "so few questions show nothing for sure"
    assert (await move.do("swap", 409, least_difference=-0.02))["code"] == "evaluation_worse"
    await move.do("swap", least_difference=-0.9)


async def test_what_users_asked_is_asked_again_with_the_documents_that_their_answers_cited(
    gateway: Gateway, kestrel: Client, engine: FakeVllm, index: FakeRetriever, second: FakeRetriever
) -> None:
    store, other = await fill(kestrel), await fill(kestrel)
    await kestrel.http.post("/api/assistants", json={"name": "help"})
    release = {"retrieval": {"vector_stores": [store], "top_k": 1}}
    assert (await kestrel.http.post("/api/assistants/help/releases", json=release)).status_code == 201
    engine.reply = lambda _chat: "So it is [1]."

    async def ask(words: str) -> None:
        body = {"model": "help@1", "messages": [{"role": "user", "content": words}]}
        answer = await kestrel.ok("POST", "/v1/chat/completions", json=body)
        await kestrel.ok("GET", f"/api/answers/{answer['id']}")  # which waits for its record

    for number in range(3):
        await ask(f"How long is the warranty of the k7, form {number + 100}?")
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    few = await move.do("evaluate", vector_store_id=store)
    assert (few["past_questions"], few["generated"], few["questions"]) == (3, True, 3 + len(TEXTS))
    for number in range(30):
        await ask(f"How long is the warranty of the k7, form {number + 100}?")
    await ask("How long is the warranty of the k2?")
    second.points = [point for point in second.points if "k7" not in point.text]
    result = await move.do("evaluate", vector_store_id=store)
    assert (result["past_questions"], result["generated"], result["questions"]) == (31, False, 31)
    assert (result["recall_source"], round(result["recall_target"], 3)) == (1.0, round(1 / 31, 3))
    assert (await move.do("evaluate", vector_store_id=other))["past_questions"] == 0
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/k7.md")
    await kestrel.settle()
    assert (await move.do("evaluate", vector_store_id=store))["past_questions"] == 1


async def test_one_move_goes_on_at_a_time_and_only_an_administrator_sees_it(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    same = await gateway.admin.post(MOVES, json={})
    assert same.status_code == 400
    move = await Move.begin(gateway)
    assert (await gateway.admin.post(MOVES, json={"embedder": "third"})).status_code == 409
    assert (await kestrel.http.get(MOVES)).status_code == 403
    assert [one["id"] for one in (await gateway.admin.get(MOVES)).json()["data"]] == [move.id]
    assert (await gateway.admin.get(f"{MOVES}/im_none")).status_code == 404
    await move.do("cancel")
    await settle(gateway, kestrel)
    assert await move.has_ended()
    assert (await move.do("swap", 409))["code"] == "conflict"


async def test_a_restarted_second_retriever_is_no_reason_to_leave_its_index(
    gateway: Gateway, kestrel: Client, index: FakeRetriever, second: FakeRetriever
) -> None:
    store = await fill(kestrel)
    move = await Move.begin(gateway)
    await settle(gateway, kestrel)
    await move.do("swap")
    await second.stop()
    await kestrel.put(store, "k2.md", "The warranty of the k2 is 20 months.")
    await kestrel.settle()
    assert (await kestrel.get(store, "k2.md"))["status"] == "in_progress"
    await second.start()
    async with working(gateway.state.settings):
        await kestrel.live(store, "k2.md")
    assert "The warranty of the k2 is 20 months." in await kestrel.search(store, "warranty")
    async with gateway.state.database.read() as session:
        assert (await session.get_one(StoreRow, store)).index_identity == second.index


class Traffic:
    """Readers and writers of one store for as long as a block lasts; a failed or mixed answer fails the test."""

    def __init__(self, client: Client, stores: list[str]) -> None:
        self._client = client
        self._stores = stores
        self._stop = asyncio.Event()
        self.versions = {store: 0 for store in stores}
        self.searches = 0

    @asynccontextmanager
    async def flowing(self) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(self._write(store)) for store in self._stores]
        tasks += [asyncio.create_task(self._read(self._stores[number % 2])) for number in range(4)]
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.gather(*tasks)

    async def _write(self, store: str) -> None:
        while not self._stop.is_set():
            version = self.versions[store] + 1
            await self._client.put(store, "both.md", "\n\n".join(f"The size {part} is {version}." for part in range(3)))
            self.versions[store] = version
            await asyncio.sleep(random.uniform(0.2, 0.5))

    async def _read(self, store: str) -> None:
        newest = 0
        while not self._stop.is_set():
            passages = await self._client.search(store, "size", max_num_results=50)
            seen = {int(passage.rstrip(".").rsplit(" ", 1)[1]) for passage in passages if "size" in passage}
            assert len(seen) == 1, passages
            assert len(passages) == 3, passages
            assert max(seen) >= newest, "an old version came back"
            newest = max(seen)
            self.searches += 1
            await asyncio.sleep(0.05)


STEPS = ("mirror-emptied", "mirror-settled", "mirror-rolled-back", "mirror-written", "mirror-published")


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize("crash_at", [*STEPS, "ingest-written", "ingest-mirrored", "ingest-published"])
async def test_a_worker_killed_during_a_move_with_writers_and_readers_loses_nothing(
    gateway: Gateway, kestrel: Client, settings: Settings, index: FakeRetriever, second: FakeRetriever, crash_at: str
) -> None:
    stores = [await kestrel.store(), await kestrel.store()]
    for store in stores:
        await kestrel.put(store, "both.md", "\n\n".join(f"The size {part} is 0." for part in range(3)))
        await kestrel.put(store, "other.md", "Nothing else.")
    await kestrel.settle()
    traffic = Traffic(kestrel, stores)
    async with traffic.flowing():
        move = await Move.begin(gateway)
        await die_at(settings, crash_at)
        async with worker_process(settings):
            await move.reach("swap")
            for store in stores:
                await kestrel.live(store, "after.md", "The queue goes on.")
            await move.reach("rollback")
            await move.reach("swap")
        await asyncio.sleep(0.1)
    assert traffic.searches > 20
    async with working(settings):
        for store in stores:
            await kestrel.live(store, "both.md", f"The size is {traffic.versions[store] + 1}.")
            assert await kestrel.search(store, "size") == [f"The size is {traffic.versions[store] + 1}."]
        await move.reach("rollback")
        for store in stores:
            assert await kestrel.search(store, "size") == [f"The size is {traffic.versions[store] + 1}."]
            assert await kestrel.search(store, "else") == ["Nothing else."]
        await move.do("cancel")
        await until(move.has_ended, 60)
    assert second.points == []
