import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.jobs import JobDelayed, JobRow
from gateway.jobs.wait import _pollers
from gateway.settings import Settings
from gateway.vector_stores import document_service, indexing
from tests.fakes.retriever import ACCEPTED, FakeRetriever
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.vector_stores.conftest import Client
from tests.gateway.worker import TIMINGS, working
from tests.waiting import until


@on_both_databases
async def test_a_document_goes_live_and_its_next_version_replaces_it(kestrel: Client, settings: Settings) -> None:
    store = await kestrel.store(name="kettles")
    async with working(settings):
        first = await kestrel.put(store, "docs/k2.md", "The warranty is 24 months.", params={"wait": 20})
        assert (first["status"], first["version"], first["live_version"], first["index_epoch"]) == (
            "completed",
            1,
            1,
            1,
        )
        assert (first["filename"], first["chunks"], first["bytes"]) == ("k2.md", 1, 26)
        assert await kestrel.search(store, "warranty") == ["The warranty is 24 months."]
        second = await kestrel.put(store, "docs/k2.md", "The warranty is 31 months.", params={"wait": 20})
    assert (second["version"], second["index_epoch"], second["document_id"]) == (2, 2, first["document_id"])
    assert second["file_id"] != first["file_id"]
    assert await kestrel.search(store, "warranty") == ["The warranty is 31 months."]
    assert await kestrel.get(store, "docs/k2.md") == second


async def test_without_wait_the_answer_comes_at_once(kestrel: Client) -> None:
    store = await kestrel.store()
    put = await kestrel.put(store, "a.md", "One.")
    assert (put["status"], put["version"], put["live_version"], put["index_epoch"]) == ("in_progress", 1, 0, None)
    assert put["job"].startswith("job_")
    await kestrel.settle()
    got = await kestrel.get(store, "a.md")
    assert got == put | {"status": "completed", "live_version": 1, "index_epoch": 1, "chunks": 1, "embedded": 1}


async def test_the_same_again_is_no_new_version(kestrel: Client, index: FakeRetriever) -> None:
    store = await kestrel.store()
    queued = await kestrel.put(store, "a.md", "One.")
    assert await kestrel.put(store, "a.md", "One.") == queued
    await kestrel.settle()
    done = await kestrel.put(store, "a.md", "One.")
    assert (done["version"], done["status"], done["job"]) == (1, "completed", queued["job"])
    assert index.calls.count("ingest") == 1
    files = (await kestrel.ok("GET", "/v1/files"))["data"]
    assert [file["id"] for file in files] == [done["file_id"]]


async def test_attributes_come_in_a_header_and_stay(kestrel: Client) -> None:
    store = await kestrel.store()
    given = {"area": "kettles", "year": 2026, "new": True}
    headers = {"braid-attributes": json.dumps(given)}
    assert (await kestrel.put(store, "a.md", "One.", headers=headers))["attributes"] == given
    await kestrel.settle()
    changed = await kestrel.put(store, "a.md", "Number one.")
    assert (changed["version"], changed["attributes"]) == (2, given)
    other = await kestrel.put(store, "a.md", "Number one.", headers={"braid-attributes": '{"area": "pots"}'})
    assert (other["version"], other["attributes"]) == (3, {"area": "pots"})
    await kestrel.settle()
    assert await kestrel.search(store, "one", filters={"type": "eq", "key": "area", "value": "pots"}) == ["Number one."]
    assert await kestrel.search(store, "one", filters={"type": "eq", "key": "area", "value": "kettles"}) == []


async def test_the_newest_wins_over_those_that_wait(kestrel: Client, index: FakeRetriever) -> None:
    store = await kestrel.store()
    puts = [await kestrel.put(store, "a.md", f"Number {number}.") for number in range(4)]
    assert [put["version"] for put in puts] == [1, 2, 3, 4]
    await kestrel.settle()
    got = await kestrel.get(store, "a.md")
    assert (got["version"], got["live_version"], got["index_epoch"], got["status"]) == (4, 4, 1, "completed")
    assert index.calls.count("ingest") == 1
    assert await kestrel.search(store, "number") == ["Number 3."]


async def test_a_put_that_was_overtaken_says_so(kestrel: Client) -> None:
    store = await kestrel.store()
    waiting = asyncio.create_task(kestrel.put(store, "a.md", "Old.", params={"wait": 20}))

    async def is_stored() -> bool:
        return (await kestrel.http.get(f"/api/vector_stores/{store}/documents/a.md")).status_code == 200

    await until(is_stored)
    await kestrel.put(store, "a.md", "New.")
    overtaken = await waiting
    assert (overtaken["version"], overtaken["status"]) == (1, "cancelled")


async def test_a_version_that_cannot_be_read_leaves_the_old_one(kestrel: Client, settings: Settings) -> None:
    store = await kestrel.store()
    async with working(settings):
        await kestrel.put(store, "a.md", "The old text.", params={"wait": 20})
        bad = await kestrel.put(store, "a.md", b"\xff\xfe\x00", params={"wait": 20})
        assert (bad["status"], bad["version"], bad["live_version"], bad["index_epoch"]) == ("failed", 2, 1, None)
        assert bad["error"] == {"code": "unsupported_file", "message": f"Only text can be read here. {ACCEPTED}"}
        empty = await kestrel.put(store, "a.md", b" \n", params={"wait": 20})
        assert empty["error"]["code"] == "invalid_file"
        assert await kestrel.search(store, "text") == ["The old text."]
        again = await kestrel.put(store, "a.md", b" \n", params={"wait": 20})
        assert again["version"] == 4, "what failed is tried anew"
        good = await kestrel.put(store, "a.md", "The new text.", params={"wait": 20})
    assert (good["status"], good["error"], good["live_version"]) == ("completed", None, 5)
    assert await kestrel.search(store, "text") == ["The new text."]


async def test_a_retriever_that_is_away_is_waited_for(
    kestrel: Client, index: FakeRetriever, settings: Settings
) -> None:
    store = await kestrel.store()
    await index.stop()
    put = await kestrel.put(store, "a.md", "One.")
    async with working(settings):
        await asyncio.sleep(0.3)
        assert (await kestrel.get(store, "a.md"))["status"] == "in_progress"
        error = await kestrel.fault(503, "POST", f"/v1/vector_stores/{store}/search", json={"query": "one"})
        assert error["code"] == "retriever_unavailable"
        await index.start()
        got = await kestrel.ok("GET", f"/api/vector_stores/{store}/documents/a.md", params={"wait": 20})
    assert (got["status"], got["job"]) == ("completed", put["job"])


@pytest.mark.parametrize("call", ["describe", "rollback", "ingest"])
async def test_an_index_whose_server_is_in_trouble_is_waited_for(
    kestrel: Client, index: FakeRetriever, settings: Settings, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(JobDelayed.__init__, "__kwdefaults__", {"seconds": 0.05, "longest": None, "words": ""})
    store = await kestrel.store()
    index.fail(call, len(TIMINGS.pauses) + 2, "index_unavailable")
    async with working(settings):
        put = await kestrel.put(store, "a.md", "One.", params={"wait": 20})
    assert (put["status"], put["error"]) == ("completed", None)
    assert await kestrel.search(store, "one") == ["One."]


@on_both_databases
async def test_a_document_says_what_it_waits_for_and_goes_on_by_itself(
    kestrel: Client, index: FakeRetriever, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_TROUBLE_SECONDS", 0.3)
    monkeypatch.setattr(JobDelayed.__init__, "__kwdefaults__", {"seconds": 0.05, "longest": None, "words": ""})
    store = await kestrel.store()
    index.fail("ingest", 10**6, "index_full")
    async with working(settings):
        for key in ("a.md", "b.md"):
            assert (await kestrel.put(store, key, key))["waits_for"] is None, (
                "it waits for nothing, not for that either"
            )
        async with asyncio.timeout(60):
            listed: list[dict[str, Any]] = []
            waiting: set[str] = set()
            while waiting != {"a.md", "b.md"}:  # neither says so while the first is tried again
                listed = (await kestrel.ok("GET", f"/api/vector_stores/{store}/documents"))["data"]
                waiting = {one["key"] for one in listed if one["waits_for"]}
            while (second := await kestrel.get(store, "b.md"))["waits_for"] is None:
                pass
        assert {one["waits_for"] for one in [*listed, second]} == {"The index has no room for more now."}
        assert (second["status"], second["error"]) == ("in_progress", None)
        del index.before["ingest"]
        for key in ("a.md", "b.md"):
            got = await kestrel.ok("GET", f"/api/vector_stores/{store}/documents/{key}", params={"wait": 20})
            assert (got["status"], got["waits_for"]) == ("completed", None)


async def test_a_document_says_nothing_that_is_for_operators(
    kestrel: Client, index: FakeRetriever, settings: Settings, gateway: Gateway
) -> None:
    store = await kestrel.store()
    index.fail("ingest", 1, "stale_writer")
    put = await kestrel.put(store, "a.md", "One.")

    async def is_delayed() -> bool:
        async with gateway.state.database.read() as session:
            job = await session.get_one(JobRow, put["job"])
        return job.status == "queued" and job.error is not None and job.error["message"] == "odd"

    async with working(settings):
        await until(is_delayed)
        got = await kestrel.get(store, "a.md")
    assert (got["status"], got["waits_for"]) == ("in_progress", None)


async def test_a_put_that_waits_for_nothing_reads_nothing_after_it(
    kestrel: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(document_service, "find_delay", refuse)
    put = await kestrel.put(await kestrel.store(), "a.md", "One.")
    assert (put["status"], put["waits_for"]) == ("in_progress", None)


async def test_a_put_waits_as_long_as_it_is_told_to_where_the_retriever_hangs(
    kestrel: Client, index: FakeRetriever
) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "One.")
    index.before["describe"] = asyncio.Event().wait
    loop = asyncio.get_running_loop()
    for key, data, wait in (("a.md", "One.", 1), ("a.md", "Two.", 1), ("a.md", "Three.", 0), ("new.md", "Four.", 0)):
        begun = loop.time()
        put = await kestrel.put(store, key, data, params={"wait": wait})
        assert put["status"] == "in_progress"
        assert loop.time() - begun < 8, "the retriever itself is given up after ten"
    assert "describe" in index.calls


async def test_a_document_that_kills_the_retriever_fails_in_the_end(
    kestrel: Client, index: FakeRetriever, settings: Settings
) -> None:
    store = await kestrel.store()

    async def die() -> None:
        await index.stop()
        await index.start()

    index.before["ingest"] = die
    async with working(settings):
        put = await kestrel.put(store, "a.md", "Deadly.", params={"wait": 30})
    assert put["status"] == "failed"
    assert put["error"]["code"] == "server_error"
    assert "went away while it read" in put["error"]["message"]
    assert index.calls.count("ingest") == 3


async def test_a_fault_of_the_retriever_is_tried_again(
    kestrel: Client, index: FakeRetriever, settings: Settings
) -> None:
    store = await kestrel.store()
    index.fail("ingest", 2)
    async with working(settings):
        put = await kestrel.put(store, "a.md", "One.", params={"wait": 20})
    assert put["status"] == "completed"
    assert index.calls.count("ingest") == 3


async def test_readers_never_see_a_mix_or_nothing(kestrel: Client, settings: Settings) -> None:
    store = await kestrel.store()
    texts = ["\n\n".join(f"fact {version} part {part}" for part in range(5)) for version in range(8)]
    seen: list[set[str]] = []

    async def read() -> None:
        while True:
            passages = await kestrel.search(store, "fact", max_num_results=50)
            assert len(passages) == 5
            seen.append({text.split()[1] for text in passages})

    async with working(settings):
        await kestrel.put(store, "a.md", texts[0], params={"wait": 20})
        reading = asyncio.create_task(read())
        for text in texts[1:]:
            await kestrel.put(store, "a.md", text, params={"wait": 20})
        await asyncio.sleep(0.1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert all(len(versions) == 1 for versions in seen)
    assert seen[-1] == {"7"}


@on_both_databases
async def test_a_deleted_document_is_gone_at_once_and_then_for_good(
    kestrel: Client, index: FakeRetriever, gateway: Gateway
) -> None:
    store = await kestrel.store()
    put = await kestrel.put(store, "dir/a.md", "One.")
    await kestrel.put(store, "b.md", "Number one.")
    await kestrel.settle()
    path = f"/api/vector_stores/{store}/documents/dir/a.md"
    gone = await kestrel.ok("DELETE", path)
    assert (gone["document_id"], gone["deleted"]) == (put["document_id"], True)
    assert await kestrel.search(store, "one") == ["Number one."], "its points are still there, but excluded"
    assert len(index.points) == 2
    await kestrel.fault(404, "GET", path)
    await kestrel.fault(404, "DELETE", path)
    assert [row["key"] for row in (await kestrel.ok("GET", f"/api/vector_stores/{store}/documents"))["data"]] == [
        "b.md"
    ]
    await kestrel.settle()
    assert len(index.points) == 1
    assert await kestrel.search(store, "one") == ["Number one."]
    await kestrel.fault(404, "GET", f"/v1/files/{put['file_id']}")


async def test_a_key_can_be_used_again_while_its_old_document_is_removed(kestrel: Client) -> None:
    store = await kestrel.store()
    old = await kestrel.put(store, "a.md", "One.")
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/a.md")
    new = await kestrel.put(store, "a.md", "Number one.")
    assert (new["version"], new["document_id"] != old["document_id"]) == (1, True)
    assert await kestrel.search(store, "one") == []
    await kestrel.settle()
    assert await kestrel.search(store, "one") == ["Number one."]


async def test_a_document_deleted_during_its_ingest_never_appears(
    kestrel: Client, index: FakeRetriever, settings: Settings
) -> None:
    store = await kestrel.store()
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await go.wait()

    index.before["ingest"] = wait
    async with working(settings):
        await kestrel.put(store, "a.md", "One.")
        await begun.wait()
        await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/a.md")
        go.set()
        del index.before["ingest"]
        await kestrel.put(store, "b.md", "Number one.", params={"wait": 20})
        assert await kestrel.search(store, "one") == ["Number one."]
    assert [point.text for point in index.points] == ["Number one."]


async def test_old_index_epochs_can_be_read_for_an_hour_and_then_go(
    kestrel: Client, index: FakeRetriever, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await kestrel.store()
    now = 1_800_000_000
    monkeypatch.setattr(indexing, "time", SimpleNamespace(time=lambda: now))
    async with working(settings):
        for number in range(20):
            await kestrel.put(store, "a.md", f"Number {number}.", params={"wait": 20})
        assert len(index.points) == 20, "a bulk upload uses up no time"
        for number, minutes in ((20, 30), (21, 60), (22, 90)):
            now = 1_800_000_000 + 60 * minutes
            await kestrel.put(store, "a.md", f"Number {number}.", params={"wait": 20})
    await kestrel.settle()
    # An hour before the last put the store was at the index epoch of the 21st.
    assert [point.text for point in index.points] == ["Number 20.", "Number 21.", "Number 22."]
    files = (await kestrel.ok("GET", "/v1/files"))["data"]
    assert len(files) == 3, "the files of versions that can't be read any more are gone too"


@on_both_databases
async def test_lists_go_page_by_page(kestrel: Client) -> None:
    store = await kestrel.store()
    ids = [(await kestrel.put(store, f"{name}.md", name))["document_id"] for name in "abc"]
    path = f"/api/vector_stores/{store}/documents"
    page = await kestrel.ok("GET", path, params={"limit": 2, "order": "asc"})
    assert ([row["key"] for row in page["data"]], page["has_more"]) == (["a.md", "b.md"], True)
    rest = await kestrel.ok("GET", path, params={"after": page["last_id"], "order": "asc"})
    assert ([row["document_id"] for row in rest["data"]], rest["has_more"]) == (ids[2:], False)


async def test_what_was_left_out_of_a_document_is_told(kestrel: Client) -> None:
    store = await kestrel.store()
    assert (await kestrel.put(store, "a.md", "It costs 49 euros."))["warnings"] == []
    put = await kestrel.put(store, "a.md", "It costs \u200b59 euros.")
    await kestrel.settle()
    document = await kestrel.ok("GET", f"/api/vector_stores/{store}/documents/a.md")
    file = await kestrel.ok("GET", f"/v1/vector_stores/{store}/files/{put['file_id']}")
    assert document["warnings"] == file["warnings"] == ["Hidden text was left out."]


@pytest.mark.case("doc-same-bytes-odd-names")
async def test_keys_are_paths_with_any_characters(kestrel: Client) -> None:
    store = await kestrel.store()
    put = await kestrel.put(store, "%C3%BCber%20uns/a%3Fb%23c.md", "One.")
    assert (put["key"], put["filename"]) == ("über uns/a?b#c.md", "a?b#c.md")


@pytest.mark.case("doc-same-bytes-odd-names")
async def test_equal_bytes_under_two_keys_are_two_documents(kestrel: Client) -> None:
    store = await kestrel.store()
    one, other = [await kestrel.put(store, key, "It costs 49 euros.") for key in ("a/价格%25.md", "b/价格%25.md")]
    await kestrel.settle()
    assert one["document_id"] != other["document_id"]
    assert await kestrel.search(store, "euros") == ["It costs 49 euros."] * 2
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/a/价格%25.md")
    assert await kestrel.search(store, "euros") == ["It costs 49 euros."]


@pytest.mark.parametrize(
    ("key", "data", "headers", "param"),
    [
        ("a.md", b"", {}, "file"),
        ("dir/", b"x", {}, "key"),
        ("a%00b.md", b"x", {}, "key"),
        ("%E9.md", b"x", {}, "key"),  # "é" in Latin-1; read as UTF-8 it is the same key as every other such letter
        ("x" * 600, b"x", {}, "key"),
        ("a.md", b"x", {"braid-attributes": "no"}, "braid-attributes"),
        ("a.md", b"x", {"braid-attributes": '{"a": [1]}'}, "braid-attributes"),
        ("a.md", b"x", {"braid-attributes": '{"a": 9223372036854775808}'}, "braid-attributes"),
        ("a.md", b"x", {"braid-attributes": json.dumps({str(n): n for n in range(17)})}, "braid-attributes"),
        ("a.md", b"x", {"braid-attributes": json.dumps({"a": "x" * 513})}, "braid-attributes"),
    ],
)
async def test_a_document_with_a_bad_key_content_or_attributes_is_refused(
    kestrel: Client, key: str, data: bytes, headers: dict[str, str], param: str
) -> None:
    store = await kestrel.store()
    path = f"/api/vector_stores/{store}/documents"
    error = await kestrel.fault(400, "PUT", f"{path}/{key}", content=data, headers=headers)
    assert error["param"] == param
    assert "constrained" not in error["message"]
    assert (await kestrel.ok("GET", path))["data"] == []


async def test_documents_of_another_tenant_do_not_exist(kestrel: Client, harbor: Client) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.md", "One.")
    path = f"/api/vector_stores/{store}/documents"
    await harbor.fault(404, "PUT", f"{path}/a.md", content=b"Mine.")
    await harbor.fault(404, "GET", f"{path}/a.md")
    await harbor.fault(404, "DELETE", f"{path}/a.md")
    await harbor.fault(404, "GET", path)
    assert (await kestrel.get(store, "a.md"))["version"] == 1


@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_nobody_waits_for_a_client_that_left(kestrel: Client, gateway: Gateway, method: str) -> None:
    store = await kestrel.store()
    await kestrel.put(store, "a.txt", "One.")  # no worker runs, so it stays in the queue
    path = f"/api/vector_stores/{store}/documents/a.txt"
    content = b"Two." if method == "PUT" else None
    asking = asyncio.create_task(kestrel.http.request(method, path, params={"wait": 60}, content=content))
    await until(lambda: gateway.state.database in _pollers and _pollers[gateway.state.database]._waiting)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: not _pollers[gateway.state.database]._waiting)
