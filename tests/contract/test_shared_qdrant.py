"""Two retrievers on one Qdrant server: they have one index, also where its collection was deleted beneath them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qdrant_edge", reason="needs the model environment")

from retrieval.backends import remote
from retrieval.backends.qdrant_server import QdrantServer
from retrieval.backends.remote import RemoteBackend
from retrieval.errors import IndexChanged, IndexSilent, IndexUnavailable, StaleWriter
from retrieval.index import Index
from retrieval.messages import ContentRequest, IngestProgress, IngestResult, Passage, Writer
from tests.fakes.qdrant import FakeQdrant
from tests.retrieval.requests import ingest_request, search_query
from tests.retrieval.words import WordEmbedder

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]


@pytest.fixture
def server() -> Iterator[FakeQdrant]:
    with FakeQdrant().running() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_READ_SECONDS", 100)  # the machine may be busy


class Retrievers:
    """Opens indexes on one server, each with a connection of its own as in another process."""

    def __init__(self, server: FakeQdrant, stack: AsyncExitStack, folder: Path) -> None:
        self._server = server
        self._stack = stack
        self._folder = folder

    async def open(self) -> Index:
        client = QdrantServer(self._server.url).make_client()
        self._stack.push_async_callback(client.close)
        index = Index(await RemoteBackend.open(client, "words", WordEmbedder.dimensions), WordEmbedder())
        self._stack.push_async_callback(index.close)
        return index

    async def put(self, index: Index, index_epoch: int, fence: int) -> IngestResult:
        path = self._folder / "kettle.txt"
        path.write_text("The kettle has a warranty of 31 months.")

        async def report(_step: IngestProgress) -> None:
            pass

        writer = Writer((await index.describe()).index, fence)
        request = ingest_request(path=str(path), filename="kettle.txt", index_epoch=index_epoch, writer=writer)
        return await index.ingest(request, report)


@pytest.fixture
async def retrievers(server: FakeQdrant, tmp_path: Path) -> AsyncIterator[Retrievers]:
    async with AsyncExitStack() as stack:
        yield Retrievers(server, stack, tmp_path)


async def ask(index: Index, identity: str) -> list[Passage]:
    return await index.search(search_query(stores={"vs": 1}, text="warranty", indexes=[identity]))


async def test_retrievers_that_start_at_once_make_one_index(retrievers: Retrievers) -> None:
    for _ in range(3):
        indexes = await asyncio.gather(*(retrievers.open() for _ in range(3)), return_exceptions=False)
        assert len({str(one) for one in await asyncio.gather(*(index.identify() for index in indexes))}) == 1


async def test_an_index_that_another_retriever_made_anew_is_never_an_empty_one(
    server: FakeQdrant, retrievers: Retrievers
) -> None:
    restarted, living = await retrievers.open(), await retrievers.open()
    old = (await living.describe()).index
    await retrievers.put(restarted, 1, 1)
    assert [passage.filename for passage in await ask(living, old)] == ["kettle.txt"]
    server.lose_collections()
    with pytest.raises(IndexUnavailable, match="collection any more"):
        await ask(living, old)
    restarted = await retrievers.open()
    with pytest.raises(IndexChanged):
        await ask(living, old)
    new = (await restarted.describe()).index
    assert new != old
    assert (await living.describe()).index == new
    for number, index in enumerate((living, restarted), 2):  # the job of one was resumed by the other
        assert (await retrievers.put(index, 1, number)).chunks == 1
    for index in (living, restarted):
        assert (await index.describe()).points == 1, "the same points, not as many again"
        assert len(await ask(index, new)) == 1


async def test_nothing_found_in_an_index_that_was_made_anew_is_no_documents_end_and_no_stores(
    server: FakeQdrant, retrievers: Retrievers
) -> None:
    living = [await retrievers.open() for _ in range(2)]
    [old] = {(await index.describe()).index for index in living}
    await retrievers.put(living[0], 1, 1)
    server.lose_collections()
    await (await retrievers.open()).identify()
    with pytest.raises(IndexChanged):
        await living[0].read_content(
            ContentRequest(tenant="kestrel", store="vs", document="doc", index_epoch=1, indexes=[old])
        )
    with pytest.raises(IndexChanged):
        await living[1].rollback("kestrel", "vs", 1, Writer(old, 2))


async def test_a_writer_that_is_late_is_refused_whichever_retriever_it_asks(retrievers: Retrievers) -> None:
    one, other = await retrievers.open(), await retrievers.open()
    await retrievers.put(one, 1, 1)
    await retrievers.put(other, 1, 2)
    with pytest.raises(StaleWriter):
        await retrievers.put(one, 2, 1)


async def test_of_two_writers_at_the_same_moment_the_later_one_stays(
    retrievers: Retrievers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await retrievers.open(), await retrievers.open()
    identity = (await one.describe()).index
    add = RemoteBackend.add
    overtaken = False

    async def overtake(*arguments: Any) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            await other.rollback("kestrel", "vs", 0, Writer(identity, 2))
        await add(*arguments)

    monkeypatch.setattr(RemoteBackend, "add", overtake)
    with pytest.raises(StaleWriter):
        await one.rollback("kestrel", "vs", 0, Writer(identity, 1))
    with pytest.raises(StaleWriter):
        await other.rollback("kestrel", "vs", 0, Writer(identity, 1))


async def test_a_server_that_is_slow_is_said_to_be_before_the_caller_gives_up(
    server: FakeQdrant, retrievers: Retrievers, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = await retrievers.open()
    identity = (await index.describe()).index
    await retrievers.put(index, 1, 1)
    monkeypatch.setattr(remote, "_READ_SECONDS", 0.1)
    server.trouble = lambda request: time.sleep(0.5)
    for call in (index.describe(), ask(index, identity)):
        with pytest.raises(IndexSilent, match="didn't answer within"):
            await call
    server.trouble = lambda request: None
    monkeypatch.setattr(remote, "_READ_SECONDS", 100)
    assert len(await ask(index, identity)) == 1


async def test_the_reads_of_one_call_take_no_longer_than_one_may(
    server: FakeQdrant, retrievers: Retrievers, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = await retrievers.open()
    identity = (await index.describe()).index
    monkeypatch.setattr(remote, "_READ_SECONDS", 1.0)
    server.trouble = lambda request: time.sleep(0.6)
    for call in (index.describe(), ask(index, identity)):
        with pytest.raises(IndexSilent, match="didn't answer within"):
            await call
