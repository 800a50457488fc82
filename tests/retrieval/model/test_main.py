"""The whole process: a real model, a real shard, a real socket, real signals."""

import asyncio
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket

import pytest

from retrieval.__main__ import main
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.client import DocumentUnreadable, InvalidFilter, InvalidVisibility, Retriever, RetrieverUnavailable
from retrieval.embedder import load_embedder
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.messages import IngestProgress, IngestRequest, IngestResult
from tests.retrieval.model.retriever_process import RetrieverProcess
from tests.retrieval.requests import ingest_request, search_query

pytestmark = pytest.mark.model


def write_manual(folder: Path, months: int, models: int = 3) -> Path:
    path = folder / f"manual-{months}-{models}.md"
    sections = (f"## Model {n}\n\nThe warranty of model {n} lasts {months + n} months.\n" for n in range(models))
    path.write_text("# Kestrel manual\n\n" + "\n".join(sections))
    return path


def version(path: Path, index_epoch: int) -> IngestRequest:
    return ingest_request(path=str(path), version=index_epoch, index_epoch=index_epoch)


async def ask(retriever: Retriever, index_epoch: int) -> list[str]:
    query = search_query(stores={"vs": index_epoch}, text="What is the warranty of model 1?", limit=50)
    return [passage.text for passage in await retriever.search(query)]


def begin_long_ingest(
    retriever: Retriever, folder: Path, index_epoch: int
) -> tuple[asyncio.Task[IngestResult], asyncio.Event]:
    begun = asyncio.Event()

    def note(step: IngestProgress) -> None:
        if step.stage == "embedded":
            begun.set()

    request = version(write_manual(folder, 50, models=2000), index_epoch)
    return asyncio.create_task(retriever.ingest(request, note)), begun


async def test_a_process_takes_documents_answers_meanwhile_and_ends_cleanly(
    retriever_process: RetrieverProcess, tmp_path: Path
) -> None:
    process = retriever_process
    assert stat.S_IMODE(process.socket.stat().st_mode) == 0o600
    async with Retriever(process.socket) as retriever:
        info = await retriever.describe()
        assert (info.dimensions, info.points) == (384, 0)
        steps: list[IngestProgress] = []
        done = await retriever.ingest(version(write_manual(tmp_path, 30), 1), steps.append)
        assert (done.chunks, done.embedded) == (3, 3)
        # Two batches, of two chunks and of one.
        assert [step.stage for step in steps] == ["parsed", "chunked", "embedded", "embedded", "written"]
        assert "31 months" in (await ask(retriever, 1))[0]

        with pytest.raises(DocumentUnreadable, match="is empty"):
            await retriever.ingest(version(Path("/dev/null"), 2))
        with pytest.raises(InvalidFilter):
            await retriever.search(search_query(filters={"type": "?"}))
        with pytest.raises(InvalidVisibility):
            await retriever.search(search_query(tenant=""))

        # Questions are answered during an ingest, which stops when its caller goes.
        ingest, begun = begin_long_ingest(retriever, tmp_path, 2)
        await begun.wait()
        for _ in range(5):
            assert len(await ask(retriever, 1)) == 3
        assert not ingest.done()
        ingest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ingest
        # Waits for its turn behind the ingest, and comes before its end.
        await retriever.rollback("kestrel", "vs", 1)
        assert "ingest stopped: its caller has gone" in process.log.read_text()
        assert (await retriever.describe()).points == 3

        # A stop doesn't wait for the end of an ingest either.
        ingest, begun = begin_long_ingest(retriever, tmp_path, 2)
        await begun.wait()
        assert await process.stop() == 0
        with pytest.raises(RetrieverUnavailable):
            await ingest
    assert not process.socket.exists()
    assert "Traceback" not in process.log.read_text()


async def test_a_process_killed_in_the_middle_of_an_ingest_loses_nothing_that_was_visible(
    retriever_process: RetrieverProcess, tmp_path: Path
) -> None:
    process = retriever_process
    async with Retriever(process.socket) as retriever:
        await retriever.ingest(version(write_manual(tmp_path, 30), 1))
        before = await ask(retriever, 1)

        def kill_once_written(step: IngestProgress) -> None:
            if step.stage == "written":
                process.kill()

        with pytest.raises(RetrieverUnavailable):
            await retriever.ingest(version(write_manual(tmp_path, 50, models=150), 2), kill_once_written)
        with pytest.raises(RetrieverUnavailable):
            await retriever.describe()

        await process.start()
        assert (await retriever.describe()).points == 3 + 64
        assert await ask(retriever, 1) == before
        await retriever.rollback("kestrel", "vs", 1)
        assert (await retriever.describe()).points == 3
        done = await retriever.ingest(version(write_manual(tmp_path, 50), 2))
        assert done.embedded == 3
        assert await ask(retriever, 1) == before
        assert "51 months" in (await ask(retriever, 2))[0]
        await retriever.collect_garbage("kestrel", "vs", 2)
        assert (await retriever.describe()).points == 3
        assert await process.stop(signal.SIGINT) == 0


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    return ["--socket", str(tmp_path / "r.sock"), "--data", str(tmp_path / "data")]


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[None]:
    """Answer at the socket, as another retriever does."""
    with socket(AF_UNIX, SOCK_STREAM) as other:
        other.bind(str(tmp_path / "r.sock"))
        other.listen()
        yield


@pytest.mark.usefixtures("answering")
def test_a_second_process_at_the_same_socket_does_not_start(
    arguments: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main(arguments) == 1
    assert "Another retriever answers" in caplog.text


def test_a_process_without_a_model_does_not_start(
    arguments: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    assert main([*arguments, "--embedder", str(tmp_path / "empty")]) == 1
    assert "Give a folder with a sentence-transformers model" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--qdrant-url", "http://127.0.0.1:9", "The Qdrant server at http://127.0.0.1:9 can't be used"),
        ("--embedder", "/missing/model", "The embedder '/missing/model' can't be loaded"),
    ],
)
def test_what_is_missing_is_told_before_a_model_is_loaded(
    arguments: list[str], option: str, value: str, words: str
) -> None:
    """A process of its own: in this one torch is loaded already."""
    program = (
        "import sys; from retrieval.__main__ import main; status = main(sys.argv[1:]); "
        "sys.exit(10 * status + ('torch' in sys.modules))"
    )
    command = [sys.executable, "-c", program, *arguments, option, value]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert words in ended.stderr
    assert ended.returncode == 10, ended.stderr


def test_a_process_whose_index_is_open_in_another_does_not_start(
    arguments: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = load_embedder(None)
    folder = tmp_path / "data" / f"braid-{embedder.identity}-{KeywordEncoder.identity}"
    other = EmbeddedBackend.open(folder, embedder.dimensions)
    assert main(arguments) == 1
    assert "is open in another process" in caplog.text
    asyncio.run(other.close())


@pytest.mark.filterwarnings("ignore:Failed to obtain server version")
def test_a_process_whose_qdrant_server_does_not_answer_does_not_start(
    arguments: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    assert main([*arguments, "--qdrant-url", "http://127.0.0.1:9"]) == 1
    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # The client asks for the server's version in a thread, and warns there.
    assert "The Qdrant server at http://127.0.0.1:9 can't be used" in caplog.text


def test_a_path_that_cannot_be_a_socket_ends_the_start(arguments: list[str], caplog: pytest.LogCaptureFixture) -> None:
    assert main([*arguments, "--socket", "/missing/r.sock"]) == 1
    assert "No socket can be opened at /missing/r.sock" in caplog.text
