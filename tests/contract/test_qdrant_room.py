"""A Qdrant server without room: documents wait, one of them looks, and none is read or embedded for nothing."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("qdrant_edge", reason="needs the model environment")

from retrieval.backends import shortage
from retrieval.backends.qdrant_server import QdrantServer
from retrieval.backends.remote import RemoteBackend
from retrieval.errors import IndexFull, IndexUnavailable
from retrieval.index import Index
from retrieval.messages import IngestProgress, IngestRequest, IngestResult, Writer
from tests.fakes.qdrant import Answer, FakeQdrant, Recorded
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import WordEmbedder

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

FULL = {
    "insufficient storage": Answer(507),
    "the system's words": Answer(500, b'{"status":{"error":"Service internal error: No space left on device"}}'),
}


@pytest.fixture
def server() -> Iterator[FakeQdrant]:
    with FakeQdrant().running() as fake:
        yield fake


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
async def index(server: FakeQdrant, embedder: WordEmbedder) -> AsyncIterator[Index]:
    client = QdrantServer(server.url).make_client()
    index = Index(await RemoteBackend.open(client, "words", embedder.dimensions), embedder)
    yield index
    await index.close()
    await client.close()


def is_of_document(request: Recorded) -> bool:
    return request.path.endswith("/points") and request.body["points"][0]["payload"]["digest"] != ""


def request(folder: Path, document: str) -> IngestRequest:
    path = folder / document
    path.write_text(f"The {document} has a warranty of 31 months.")
    return ingest_request(document=document, path=str(path), filename=f"{document}.txt")


async def ingest(index: Index, wanted: IngestRequest) -> IngestResult:
    async def report(_step: IngestProgress) -> None:
        pass

    return await index.ingest(wanted, report)


@pytest.mark.parametrize("full", FULL)
async def test_a_server_without_room_is_told_apart_and_goes_on_when_it_has_some(
    server: FakeQdrant,
    index: Index,
    embedder: WordEmbedder,
    tmp_path: Path,
    full: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(shortage, "time", SimpleNamespace(monotonic=lambda: now))
    await index.identify()
    server.trouble = lambda request: FULL[full] if is_of_document(request) else None
    kettle, pot = request(tmp_path, "kettle"), request(tmp_path, "pot")
    with pytest.raises(IndexFull, match="no room"):
        await ingest(index, kettle)
    assert "no room" in (await index.describe()).problem
    assert len(embedder.texts) == 1
    changes = len(server.requests)
    for one in (kettle, pot):
        with pytest.raises(IndexFull):
            await ingest(index, one)
    await index.read_ahead(pot)
    assert len(server.requests) == changes, "one has found out for all"
    now += 6
    with pytest.raises(IndexFull):
        await ingest(index, kettle)
    now += 6
    with pytest.raises(IndexFull):
        await ingest(index, pot)
    assert len(embedder.texts) == 1, "the next pause is longer, and nothing is embedded twice"
    server.trouble = lambda _: None
    now += 6
    assert (await ingest(index, kettle)).chunks == 1
    assert (await ingest(index, pot)).chunks == 1
    assert (await index.describe()).problem == ""
    assert len(embedder.texts) == 2


async def test_a_refused_turn_finds_out_for_all_documents_before_any_is_read(
    server: FakeQdrant, index: Index, embedder: WordEmbedder, tmp_path: Path
) -> None:
    writer = Writer(str(await index.identify()), 1)
    server.trouble = lambda request: Answer(507) if request.path.endswith("/points") else None
    with pytest.raises(IndexFull):
        await index.rollback("kestrel", "vs", 0, writer)
    changes = len(server.requests)
    with pytest.raises(IndexFull):
        await ingest(index, request(tmp_path, "kettle"))
    assert len(server.requests) == changes
    assert not embedder.texts


async def test_what_was_said_of_room_long_ago_is_no_problem_any_more(
    server: FakeQdrant, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(shortage, "time", SimpleNamespace(monotonic=lambda: now))
    server.trouble = lambda request: Answer(507) if is_of_document(request) else None
    with pytest.raises(IndexUnavailable):
        await ingest(index, request(tmp_path, "kettle"))
    now += 200
    assert (await index.describe()).problem == ""
