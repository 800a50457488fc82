"""A changed or lost index is seen, said and repaired; no search is answered from a part of the documents."""

import asyncio
from typing import Any

import pytest

from gateway.answering.retrieve import retrieve
from gateway.assistants.release import RetrievalSpec
from gateway.cli.doctor.documents import check_documents, check_index_folders
from gateway.cli.doctor.finding import CheckResult, Level
from gateway.errors import Unavailable
from gateway.settings import Settings
from gateway.vector_stores.index_watch import IndexWatch
from gateway.vector_stores.repository import StoreRepository
from gateway.vector_stores.search import read_states, search
from gateway.vector_stores.tables import StoreRow
from tests.fakes.retriever import FakeRetriever, Fault
from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client
from tests.gateway.worker import die_at, worker_process
from tests.waiting import until

TEXTS = {f"{name}.md": f"The warranty of the {name} is {months} months." for name, months in (("k2", 19), ("k7", 31))}


async def fill(client: Client, **more: Any) -> str:
    store = await client.store(**more)
    for key, text in TEXTS.items():
        await client.put(store, key, text)
    await client.settle()
    return store


async def read_refusal(client: Client, store: str) -> str:
    error = await client.fault(503, "POST", f"/v1/vector_stores/{store}/search", json={"query": "warranty"})
    assert error["code"] == "index_changed"
    assert "braid docs reindex" in error["message"]
    return error["message"]


async def state(client: Client, store: str, method: str = "GET") -> dict[str, Any]:
    return await client.ok(method, f"/api/vector_stores/{store}/index")


@pytest.mark.parametrize("identity", ["fake/other/2", "other/words/2", "fake/words/2"])
async def test_a_changed_index_is_refused_and_repaired_by_a_reindex(
    kestrel: Client, index: FakeRetriever, identity: str
) -> None:
    store = await fill(kestrel)
    assert (await state(kestrel, store))["state"] == "current"
    index.lose(identity)
    await read_refusal(kestrel, store)
    found = await state(kestrel, store)
    assert (found["state"], found["documents"], found["missing"]) == ("missing", 2, 2)
    asked = await state(kestrel, store, "POST")
    assert asked["job"].startswith("job_")
    assert (await state(kestrel, store, "POST"))["job"] == asked["job"], "one job does for all who ask"
    await read_refusal(kestrel, store)
    await kestrel.settle()
    assert sorted(await kestrel.search(store, "warranty")) == sorted(TEXTS.values())
    assert (await state(kestrel, store))["state"] == "current"
    assert (await kestrel.get(store, "k2.md"))["version"] == 1, "it is the same version"


async def test_a_put_with_a_short_wait_hears_of_a_lost_index_all_the_same(
    kestrel: Client, index: FakeRetriever
) -> None:
    store = await fill(kestrel)
    index.lose("fake/words/2")
    index.before["describe"] = lambda: asyncio.sleep(0.3)
    put = await kestrel.put(store, "k2.md", TEXTS["k2.md"], params={"wait": 0.05})
    assert (put["version"], put["status"]) == (2, "in_progress"), "these bytes aren't indexed any more"


@pytest.mark.parametrize("route", ["files", "file_batches"])
async def test_a_file_that_is_added_again_is_indexed_again_where_its_index_is_lost(
    kestrel: Client, index: FakeRetriever, route: str
) -> None:
    store = await kestrel.store()
    files = [await kestrel.file(text.encode(), key) for key, text in TEXTS.items()]
    path = f"/v1/vector_stores/{store}/{route}"

    async def add() -> None:
        for file in files:
            await kestrel.ok("POST", path, json={"file_id": file} if route == "files" else {"file_ids": files})
        await kestrel.settle()

    await add()
    await add()
    assert {point.first for point in index.points} == {1, 2}, "the same again changes nothing"
    index.lose("fake/words/2")
    await read_refusal(kestrel, store)
    await add()
    assert sorted(await kestrel.search(store, "warranty")) == sorted(TEXTS.values())
    index.before["describe"] = lambda: asyncio.sleep(5)
    await add()  # no addition waits for a retriever that says nothing


@pytest.mark.parametrize(("identity", "same"), [("fake/words/2", True), ("other/words/2", False)])
async def test_answers_from_an_index_of_another_embedder_bear_another_fingerprint(
    kestrel: Client, index: FakeRetriever, identity: str, same: bool
) -> None:
    store = await fill(kestrel)
    await kestrel.http.post("/api/assistants", json={"name": "support"})
    release = {"retrieval": {"vector_stores": [store]}}
    made = (await kestrel.http.post("/api/assistants/support/releases", json=release)).json()

    async def ask(text: str) -> dict[str, Any]:
        body = {"model": "support@1", "messages": [{"role": "user", "content": text}]}
        return await kestrel.ok("POST", "/v1/chat/completions", json=body)

    question = "How long is the warranty of the k2?"
    assert (await ask(question))["system_fingerprint"] == made["fingerprint"]
    index.lose(identity)
    await state(kestrel, store, "POST")
    await kestrel.settle()
    answer = await ask(question)
    assert (answer["system_fingerprint"] == made["fingerprint"]) == same
    record = await kestrel.ok("GET", f"/api/answers/{answer['id']}")
    assert record["fingerprint"] == answer["system_fingerprint"]
    assert (await ask(question))["system_fingerprint"] == answer["system_fingerprint"]
    assert (await ask("Thanks!"))["system_fingerprint"] == made["fingerprint"], "nothing was searched"


async def test_a_part_of_the_documents_never_answers(kestrel: Client, index: FakeRetriever) -> None:
    store = await fill(kestrel)
    index.lose("fake/words/2")
    await kestrel.put(store, "new.md", "The warranty of the new one is 7 months.")
    await kestrel.settle()
    assert "Not all documents" in await read_refusal(kestrel, store)
    assert (await state(kestrel, store))["missing"] == 2


async def test_putting_every_document_again_repairs_it(kestrel: Client, index: FakeRetriever) -> None:
    store = await fill(kestrel)
    index.lose("fake/words/2")
    for number, (key, text) in enumerate(TEXTS.items(), 1):
        put = await kestrel.put(store, key, text)
        assert (put["version"], put["status"]) == (2, "in_progress")
        await kestrel.settle()
        if number < len(TEXTS):
            await read_refusal(kestrel, store)
    assert sorted(await kestrel.search(store, "warranty")) == sorted(TEXTS.values())
    assert (await kestrel.put(store, "k2.md", TEXTS["k2.md"]))["version"] == 2, "and now it is the same again"


async def test_an_older_chunker_answers_until_it_is_replaced(kestrel: Client, index: FakeRetriever) -> None:
    store = await fill(kestrel)
    index.chunker = "paragraphs-2"
    assert len(await kestrel.search(store, "warranty")) == 2
    found = await state(kestrel, store)
    assert (found["state"], found["missing"], found["outdated"]) == ("outdated", 0, 2)
    assert (await kestrel.put(store, "k2.md", TEXTS["k2.md"]))["version"] == 2
    await kestrel.settle()
    assert (await state(kestrel, store))["outdated"] == 1
    await state(kestrel, store, "POST")
    searched: list[int] = []

    async def look() -> None:
        searched.append(len(await kestrel.search(store, "warranty")))

    index.before["ingest"] = look
    await kestrel.settle()
    assert searched == [2], "the old points answer meanwhile"
    assert (await state(kestrel, store))["state"] == "current"
    assert len(await kestrel.search(store, "warranty")) == 2
    assert (await state(kestrel, store, "POST"))["job"] is None, "there is nothing to do"


async def test_a_document_that_cannot_be_read_again_is_left_out_by_name(kestrel: Client, index: FakeRetriever) -> None:
    store = await fill(kestrel)
    index.lose("fake/words/2")
    faults = ["unsupported_file"]

    async def refuse() -> None:
        if faults:
            raise Fault(faults.pop(), "It isn't read any more.")

    index.before["ingest"] = refuse
    await state(kestrel, store, "POST")
    await kestrel.settle()
    documents = [await kestrel.get(store, key) for key in TEXTS]
    assert sorted(row["status"] for row in documents) == ["completed", "failed"]
    assert [row["error"]["message"] for row in documents if row["error"]] == ["It isn't read any more."]
    used = sum(row["bytes"] for row in documents if not row["error"])
    assert (await kestrel.ok("GET", f"/v1/vector_stores/{store}"))["usage_bytes"] == used
    assert len(await kestrel.search(store, "warranty")) == 1


async def test_a_document_at_which_every_attempt_fails_does_not_stop_the_others(
    kestrel: Client, index: FakeRetriever
) -> None:
    store = await fill(kestrel)
    index.lose("fake/words/2")
    index.fail("ingest", 3)
    await state(kestrel, store, "POST")
    async with asyncio.timeout(30):
        while (await state(kestrel, store))["state"] != "current":
            await kestrel.settle()
    assert len(await kestrel.search(store, "warranty")) == 1


async def test_a_deleted_document_does_not_come_back_with_an_index(kestrel: Client, index: FakeRetriever) -> None:
    store = await fill(kestrel)
    first, points = index.index, list(index.points)
    index.lose("fake/words/2")
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/k2.md")
    await kestrel.settle()
    index.index, index.points = first, points  # the operator gives the old embedder again
    assert await kestrel.search(store, "warranty") == [TEXTS["k7.md"]]

    index.lose("fake/words/2")
    await state(kestrel, store, "POST")
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/k7.md")
    await kestrel.settle()
    index.lose(first)
    index.points = list(points)
    await state(kestrel, store, "POST")
    await kestrel.put(store, "k9.md", "The warranty of the k9 is 1 month.")
    await kestrel.settle()
    assert await kestrel.search(store, "warranty") == ["The warranty of the k9 is 1 month."]


async def test_a_worker_looks_at_its_start_and_repairs_by_itself_where_it_may(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await fill(kestrel)
    database, retriever = gateway.state.database, gateway.state.retriever
    index.lose("fake/words/2")
    await IndexWatch(database, retriever, automatic=False).compare(await retriever.describe_all())
    await kestrel.settle()
    await read_refusal(kestrel, store)
    await IndexWatch(database, retriever, automatic=True).compare(await retriever.describe_all())
    await kestrel.settle()
    assert len(await kestrel.search(store, "warranty")) == 2


@pytest.mark.parametrize("lost", [False, True])
async def test_a_store_from_before_identities_is_taken_as_it_is_unless_it_is_lost(
    kestrel: Client, index: FakeRetriever, gateway: Gateway, lost: bool
) -> None:
    store = await fill(kestrel)
    database, retriever = gateway.state.database, gateway.state.retriever
    async with database.begin() as session:
        tenant = (await session.get_one(StoreRow, store)).tenant_id
        await StoreRepository(session, tenant).update_rows(StoreRow.id == store, index_identity=None)
    assert "isn't known yet" in await read_refusal(kestrel, store)
    if lost:
        index.points.clear()
    await IndexWatch(database, retriever, automatic=False).compare(await retriever.describe_all())
    if lost:
        await read_refusal(kestrel, store)
    else:
        assert len(await kestrel.search(store, "warranty")) == 2


async def test_an_answer_from_documents_is_refused_or_says_that_it_has_none(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await fill(kestrel)
    index.lose("other/words/2")
    database, retriever = gateway.state.database, gateway.state.retriever
    async with database.read() as session:
        tenant = (await session.get_one(StoreRow, store)).tenant_id
        states = await read_states(session, tenant, [store])
    spec = RetrievalSpec((store,), 3, 0.0, "degrade", "fake")
    assert (await retrieve(database, retriever, tenant, spec, states, ["warranty"])).status == "unavailable"
    spec = RetrievalSpec((store,), 3, 0.0, "required", "fake")
    with pytest.raises(Unavailable, match="braid docs reindex") as caught:
        await retrieve(database, retriever, tenant, spec, states, ["warranty"])
    assert caught.value.code == "retrieval_unavailable"


async def test_a_parser_s_new_version_is_for_documents_of_its_format(kestrel: Client, index: FakeRetriever) -> None:
    index.parsers = {".md": 1, ".html": 1}
    store = await fill(kestrel)
    await kestrel.put(store, "k9.html", "The warranty of the K9 lasts 9 months.")
    await kestrel.settle()
    assert (await state(kestrel, store))["state"] == "current"
    index.parsers[".html"] = 2
    assert (await kestrel.put(store, "k2.md", TEXTS["k2.md"]))["version"] == 1, "it is the same, and as it would be now"
    outdated = await state(kestrel, store, "POST")
    assert (outdated["state"], outdated["outdated"], outdated["missing"]) == ("outdated", 1, 0)
    before = index.calls.count("ingest")
    await kestrel.settle()
    assert index.calls.count("ingest") - before == 1
    assert (await state(kestrel, store))["state"] == "current"


async def test_the_doctor_names_the_stores_that_are_not_in_the_index(
    kestrel: Client, index: FakeRetriever, settings: Settings
) -> None:
    store = await fill(kestrel)

    async def examine() -> CheckResult:
        return await asyncio.to_thread(check_documents, settings)

    assert (await examine()).level is Level.OK
    index.chunker = "paragraphs-2"
    found = await examine()
    assert (found.level, store in found.message, "reindex" in found.fix) == (Level.WARNING, True, True)
    assert found.message.startswith("2 documents of 1 stores")
    index.lose("fake/words/2")
    found = await examine()
    assert (found.level, store in found.message, "refused" in found.message) == (Level.BROKEN, True, True)
    assert found.message.startswith("2 documents of 1 stores")
    await state(kestrel, store, "POST")
    await kestrel.settle()
    assert (await examine()).level is Level.OK
    await index.stop()
    assert (await examine()).level is Level.OK, "what can't be compared is no fault"


async def test_the_doctor_names_index_folders_that_belong_to_no_store(
    kestrel: Client, index: FakeRetriever, settings: Settings
) -> None:
    await fill(kestrel)

    async def examine(changed: Settings = settings) -> CheckResult:
        return await asyncio.to_thread(check_index_folders, changed)

    used, former = settings.home / "index" / "braid-fake-words", settings.home / "index" / "braid-old-words"
    used.mkdir(parents=True)
    assert (await examine()).level is Level.OK
    former.mkdir()
    (former / "segment").write_bytes(b"x" * 3_000_000)
    found = await examine()
    assert (found.level, "(3 MB)" in found.message, "braid-old-words" in found.message) == (Level.WARNING, True, True)
    assert used.name not in found.message
    moved = settings.model_copy(update={"qdrant_url": "http://127.0.0.1:1"})
    assert used.name in (await examine(moved)).message, "the server has all points"
    await index.stop()
    assert (await examine()).level is Level.OK, "what can't be compared is no fault"


async def test_a_question_is_cut_before_it_is_sent(kestrel: Client, index: FakeRetriever, gateway: Gateway) -> None:
    store = await fill(kestrel)
    database, retriever = gateway.state.database, gateway.state.retriever
    async with database.read() as session:
        tenant = (await session.get_one(StoreRow, store)).tenant_id
        states = await read_states(session, tenant, [store])
    long = "warranty " + "x" * 10_000_000 + " k7"
    passages = await search(database, retriever, tenant, states, [long], limit=5)
    assert len(passages) == 2
    assert len(index.queries[-1].text) <= 32_768
    assert (index.queries[-1].text[:8], index.queries[-1].text[-2:]) == ("warranty", "k7")


async def test_a_search_that_comes_when_too_many_run_is_told_when_to_come_again(
    kestrel: Client, index: FakeRetriever
) -> None:
    store = await fill(kestrel)

    async def refuse() -> None:
        raise Fault("retriever_busy", "Too many.")

    index.before["search"] = refuse
    answer = await kestrel.http.post(f"/v1/vector_stores/{store}/search", json={"query": "warranty"})
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["retry-after"]) == (
        503,
        "retriever_busy",
        "1",
    )


REINDEX_STEPS = (
    "claimed",
    "reindex-dropped",
    "reindex-found",
    "reindex-rolled-back",
    "reindex-written",
    "reindex-published",
    "reindex-collected",
    "done",
    "ended",
)


@pytest.mark.e2e
@pytest.mark.parametrize("crash_at", REINDEX_STEPS)
async def test_a_worker_killed_during_a_reindex_leaves_one_that_another_finishes(
    kestrel: Client, index: FakeRetriever, settings: Settings, crash_at: str
) -> None:
    store = await fill(kestrel)
    index.lose("fake/words/2")
    await state(kestrel, store, "POST")
    await die_at(settings, crash_at)
    async with worker_process(settings):

        async def is_current() -> bool:
            return (await state(kestrel, store))["state"] == "current"

        await until(is_current, 60)
        assert sorted(await kestrel.search(store, "warranty")) == sorted(TEXTS.values())
        await kestrel.live(store, "after.md", "The queue goes on.")
    assert sorted(point.text for point in index.points) == sorted([*TEXTS.values(), "The queue goes on."])
