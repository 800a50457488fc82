"""The server over a real socket, with a real index in this process and an embedder that tests can hold or break."""

import asyncio
import io
import logging
import socket
import stat
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from qdrant_client import AsyncQdrantClient

from retrieval import frames, socket_server
from retrieval.backends.remote import RemoteBackend
from retrieval.client import Retriever, RetrieverBusy, RetrieverFailed, RetrieverUnavailable
from retrieval.client_connection import ClientConnection
from retrieval.frames import Call, encode_frame
from retrieval.index import Index
from retrieval.log_lines import CauseFormatter
from retrieval.messages import EmbedRequest, IngestProgress, IngestResult, Queues
from retrieval.socket_server import SocketUnusable, claim_socket, serve
from tests.retrieval.requests import ingest_request, search_query
from tests.retrieval.words import WordEmbedder
from tests.waiting import until

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]


class StoppableEmbedder(WordEmbedder):
    """Waits before each text while `gate` is closed; breaks while `fault` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.waits = 0
        self.questions = 0
        self.warns = False
        self.fault: Exception | None = None

    def embed_questions(self, texts: Sequence[str]) -> list[list[float]]:
        self.questions += len(texts)
        if self.warns:
            logging.getLogger("retrieval").warning("a text of %d characters", len(texts[0]))
        if self.fault is not None:
            raise self.fault
        if not self.gate.is_set():
            self.waits += 1
            self.gate.wait(60)
        return super().embed_questions(texts)


class Server:
    def __init__(self, path: Path, index: Index, embedder: StoppableEmbedder) -> None:
        self.path = path
        self.index = index
        self.embedder = embedder
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(serve(self.index, self.path, self._stop))
        await until(self.path.exists)

    async def stop(self) -> None:
        assert self._task is not None
        self._stop.set()
        await self._task

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    client = AsyncQdrantClient(":memory:")
    embedder = StoppableEmbedder()
    index = Index(await RemoteBackend.open(client, "c", embedder.dimensions), embedder)
    server = Server(tmp_path / "r.sock", index, embedder)
    await server.start()
    yield server
    embedder.gate.set()
    await server.stop()
    await index.close()
    await client.close()


@pytest.fixture
async def retriever(server: Server) -> AsyncIterator[Retriever]:
    async with Retriever(server.path) as retriever:
        yield retriever


def write_manual(folder: Path, models: int) -> Path:
    path = folder / f"manual-{models}.md"
    path.write_text("# Manual\n\n" + "\n\n".join(f"## Model {n}\n\nModel {n} costs {n} euros." for n in range(models)))
    return path


async def hold_an_ingest(server: Server, retriever: Retriever, folder: Path) -> asyncio.Task[IngestResult]:
    """Begin an ingest that waits for the embedder."""
    server.embedder.gate.clear()
    request = ingest_request(path=str(write_manual(folder, 30)))
    task = asyncio.create_task(retriever.ingest(request))
    await until(lambda: server.embedder.waits == 1)
    return task


async def test_only_the_owner_can_connect(server: Server) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600


async def test_a_document_goes_in_and_its_passages_come_out(
    server: Server, retriever: Retriever, tmp_path: Path
) -> None:
    steps: list[IngestProgress] = []
    await retriever.ingest(ingest_request(path=str(write_manual(tmp_path, 3))), steps.append)
    assert [step.stage for step in steps] == ["parsed", "chunked", "embedded", "written"]
    passages = await retriever.search(search_query(text="What does model 2 cost?", limit=1))
    assert [passage.text.splitlines()[-1] for passage in passages] == ["Model 2 costs 2 euros."]
    assert (await retriever.describe()).points == 3


async def test_every_change_reaches_the_index(server: Server, retriever: Retriever, tmp_path: Path) -> None:
    path = str(write_manual(tmp_path, 1))
    for document, index_epoch in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        await retriever.ingest(ingest_request(document=document, path=path, index_epoch=index_epoch))

    async def documents(index_epoch: int) -> set[str]:
        return {passage.document for passage in await retriever.search(search_query(stores={"vs": index_epoch}))}

    await retriever.rollback("kestrel", "vs", 3)
    assert await documents(9) == {"a", "b", "c"}
    await retriever.ingest(ingest_request(document="a", path=path, index_epoch=4))
    assert (await retriever.describe()).points == 4
    await retriever.collect_garbage("kestrel", "vs", 4)
    assert (await documents(3), await documents(4)) == ({"b", "c"}, {"a", "b", "c"})
    await retriever.remove_documents("kestrel", "vs", ["a"])
    await retriever.remove_documents("kestrel", "vs", ["b"])
    assert await documents(3) == {"c"}
    await retriever.drop_store("kestrel", "vs")
    assert (await retriever.describe()).points == 0


async def test_a_method_of_another_version_is_a_failure_that_says_so(server: Server) -> None:
    connection = ClientConnection(*await server.connect())
    with pytest.raises(RetrieverFailed, match="knows no 'tomorrow': its caller is of another version"):
        await connection.call("tomorrow", None, silence=10)
    await connection.close()


async def test_a_body_of_another_version_is_a_failure_and_the_connection_goes_on(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    connection = ClientConnection(*await server.connect())
    with pytest.raises(RetrieverFailed, match="The retriever failed at 'search': ValidationError"):
        await connection.call("search", {"tenant": 7}, silence=10)
    assert "search failed" in caplog.text
    await connection.call("describe", None, silence=10)
    await connection.close()


async def test_a_fault_of_the_index_is_a_failure_and_the_next_call_succeeds(
    server: Server, retriever: Retriever
) -> None:
    server.embedder.fault = RuntimeError("no more memory on the card")
    with pytest.raises(RetrieverFailed, match=r"'search': RuntimeError: no more memory on the card\. Its log has more"):
        await retriever.search(search_query())
    server.embedder.fault = None
    assert await retriever.search(search_query()) == []


async def test_an_answer_over_the_limit_of_a_frame_is_a_failure(
    server: Server, retriever: Retriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await retriever.ingest(ingest_request(path=str(write_manual(tmp_path, 30))))
    monkeypatch.setattr(frames, "FRAME_LIMIT", 2_000)
    with pytest.raises(RetrieverFailed, match="over the limit of 2000; ask for less at once"):
        await retriever.search(search_query(text="What does model 2 cost?", limit=30))
    assert len(await retriever.search(search_query(text="What does model 2 cost?", limit=1))) == 1


async def test_the_lines_of_a_call_name_what_it_is_for_also_those_of_the_embedder_s_thread(
    server: Server, tmp_path: Path
) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(CauseFormatter())
    logging.getLogger().addHandler(handler)
    try:
        async with Retriever(server.path, cause=lambda: "req_1") as retriever:
            server.embedder.fault = RuntimeError("broken")
            with pytest.raises(RetrieverFailed):
                await retriever.search(search_query())
            server.embedder.fault = None
            server.embedder.warns = True
            await retriever.ingest(ingest_request(path=str(write_manual(tmp_path, 1))))
        async with Retriever(server.path) as nameless:
            await nameless.search(search_query())
    finally:
        logging.getLogger().removeHandler(handler)
    written = [line for line in lines.getvalue().splitlines() if "search failed" in line or "a text of" in line]
    assert [" [req_1] " in line for line in written] == [True, True, False]
    assert written[0].endswith("retrieval.socket_server ERROR [req_1] search failed")


async def test_what_a_retriever_has_to_do_is_told_while_its_embedder_is_busy(
    server: Server, retriever: Retriever, tmp_path: Path
) -> None:
    ingest = await hold_an_ingest(server, retriever, tmp_path)
    searches = [asyncio.create_task(retriever.search(search_query(text=f"model {n}"))) for n in range(3)]
    embedding = asyncio.create_task(retriever.embed(EmbedRequest(["kettle"])))
    expected = Queues(searches=3, questions=3, ingests=1, embeddings=1, batches=1, ahead=0)
    for _ in range(1000):
        if (await retriever.read_queues()) == {"first": expected}:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the queues were never as expected")
    server.embedder.gate.set()
    await asyncio.gather(ingest, embedding, *searches)
    idle = Queues(searches=0, questions=0, ingests=0, embeddings=0, batches=0, ahead=0)
    assert await retriever.read_queues() == {"first": idle}


@pytest.mark.parametrize(
    "babble",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        (frames.FRAME_LIMIT + 1).to_bytes(4, "big"),
        b"\0\0\0\x05hello",
        encode_frame(Call(1, "search", Raw(msgspec.msgpack.encode(None))))[:-1] + b"\xc1",
    ],
    ids=["another protocol", "a frame over the limit", "no call", "no MessagePack"],
)
async def test_a_client_that_speaks_something_else_loses_its_connection_alone(
    server: Server, retriever: Retriever, caplog: pytest.LogCaptureFixture, babble: bytes
) -> None:
    await retriever.describe()
    caplog.set_level(logging.WARNING)
    reader, writer = await server.connect()
    writer.write(babble)
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert "doesn't speak this protocol" in caplog.text
    assert (await retriever.describe()).points == 0


async def test_an_ingest_whose_caller_leaves_ends_at_its_next_step(
    server: Server, retriever: Retriever, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Retriever(server.path) as other:
        ingest = await hold_an_ingest(server, other, tmp_path)
    with pytest.raises(RetrieverUnavailable):
        await ingest
    server.embedder.gate.set()
    # Waits for its turn behind the ingest.
    await retriever.rollback("kestrel", "vs", 0)
    assert "ingest stopped: its caller has gone" in caplog.text
    assert (await retriever.describe()).points == 0


async def test_an_ingest_that_is_cancelled_ends_at_its_next_step(
    server: Server, retriever: Retriever, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ingest = await hold_an_ingest(server, retriever, tmp_path)
    ingest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingest
    assert (await retriever.describe()).points == 0  # The same connection, so the cancellation has come before it.
    server.embedder.gate.set()
    await retriever.rollback("kestrel", "vs", 0)
    assert "ingest stopped: its caller has gone" in caplog.text
    assert (await retriever.describe()).points == 0


async def test_cancelling_a_call_that_has_ended_harms_nothing(server: Server, retriever: Retriever) -> None:
    reader, writer = await server.connect()
    writer.write(encode_frame(Call(7, frames.CANCEL, Raw(msgspec.msgpack.encode(None)))))
    writer.write(encode_frame(Call(7, "describe", Raw(msgspec.msgpack.encode(None)))))
    reply = msgspec.msgpack.decode(await frames.read_frame(reader) or b"", type=frames.Reply)
    assert (reply.id, reply.kind) == (7, "result")
    writer.close()


async def test_a_reply_to_a_client_that_has_left_is_dropped(server: Server, retriever: Retriever) -> None:
    server.embedder.gate.clear()
    async with Retriever(server.path) as other:
        search = asyncio.create_task(other.search(search_query()))
        await until(lambda: server.embedder.waits == 1)
    with pytest.raises(RetrieverUnavailable):
        await search
    server.embedder.gate.set()
    assert await retriever.search(search_query()) == []


async def test_a_flood_of_searches_is_bounded_and_over_when_its_callers_leave(
    server: Server, retriever: Retriever
) -> None:
    server.embedder.gate.clear()
    async with Retriever(server.path) as other:
        flood = [asyncio.create_task(other.search(search_query(text=f"number {n}"))) for n in range(140)]
        # The first is in the embedder, the others wait; whoever comes then is told to come again.
        refused, _ = await asyncio.wait(flood, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        await until(lambda: sum(task.done() for task in flood) == 12)
        for task in refused:
            with pytest.raises(RetrieverBusy, match="128 searches are under way"):
                await task
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        await other.describe()  # comes behind all that was taken back
        embedded = server.embedder.questions
        server.embedder.gate.set()
        assert await retriever.search(search_query()) == []
        assert server.embedder.questions == embedded + 1, "no question of those who left was embedded"


async def test_a_stop_answers_the_search_that_runs_and_takes_no_client_more(
    server: Server, retriever: Retriever
) -> None:
    server.embedder.gate.clear()
    search = asyncio.create_task(retriever.search(search_query()))
    await until(lambda: server.embedder.waits == 1)
    stop = asyncio.create_task(server.stop())
    await until(lambda: not server.path.exists())
    with pytest.raises(OSError, match="No such file"):
        await server.connect()
    assert not stop.done()
    server.embedder.gate.set()
    assert await search == []
    await stop


async def test_a_stop_does_not_wait_for_an_ingest_to_end(server: Server, retriever: Retriever, tmp_path: Path) -> None:
    ingest = await hold_an_ingest(server, retriever, tmp_path)
    stop = asyncio.create_task(server.stop())
    await until(lambda: not server.path.exists())
    server.embedder.gate.set()
    await stop
    with pytest.raises(RetrieverUnavailable):
        await ingest
    assert (await server.index.describe()).points == 0


async def test_a_stop_waits_only_so_long_for_a_call_that_hangs(
    server: Server, retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_server, "_DRAIN_SECONDS", 0.05)
    server.embedder.gate.clear()
    search = asyncio.create_task(retriever.search(search_query()))
    await until(lambda: server.embedder.waits == 1)
    await server.stop()
    with pytest.raises(RetrieverUnavailable, match="went away"):
        await search


def test_the_socket_of_a_killed_retriever_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(path))
    assert path.exists()
    claim_socket(path)
    assert not path.exists()
    claim_socket(path)


async def test_the_socket_of_a_retriever_that_answers_is_left_alone(server: Server, retriever: Retriever) -> None:
    with pytest.raises(SocketUnusable, match="Another retriever answers"):
        await serve(server.index, server.path, asyncio.Event())
    assert (await retriever.describe()).points == 0


@pytest.mark.parametrize("name", ["x" * 120, "missing/r.sock", "a-file"])
async def test_a_path_that_cannot_be_a_socket_is_refused(server: Server, tmp_path: Path, name: str) -> None:
    (tmp_path / "a-file").write_text("somebody's")
    with pytest.raises(SocketUnusable, match="No socket can be opened"):
        await serve(server.index, tmp_path / name, asyncio.Event())
    assert (tmp_path / "a-file").read_text() == "somebody's"
