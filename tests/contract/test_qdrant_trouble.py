"""A Qdrant server in trouble: every call says that the index is away, none that nothing is there, and all is mended."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import UUID

import pytest

pytest.importorskip("qdrant_edge", reason="needs the model environment")

from qdrant_client import AsyncQdrantClient

from retrieval.backends import KeywordVector, Point
from retrieval.backends.qdrant_server import QdrantServer
from retrieval.backends.remote import RemoteBackend
from retrieval.errors import IndexUnavailable, RetrieverFailed
from retrieval.visibility import OPEN, show_store
from tests.fakes.qdrant import Answer, FakeQdrant

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

STORE = show_store("kestrel", "vs")
WORDS = KeywordVector([1, 2], [1.0, 1.0])
PAYLOAD = {"tenant": "kestrel", "store": "vs", "digest": "d", "from": 1, "to": OPEN, "text": "secret words"}
POINT = Point(str(UUID(int=1)), [1.0, 0.0, 0.0], WORDS, PAYLOAD)

TROUBLE = {
    "too much, and when to come again": Answer(429, headers={"retry-after": "7"}),
    "too much, until a date": Answer(429, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    "too much": Answer(429),
    "an error of its own": Answer(500),
    "none behind the proxy": Answer(502, b"<html>Bad Gateway</html>"),
    "no room": Answer(507),
    "another key": Answer(401),
    "no changes": Answer(403),
    "no collection": Answer(404),
    "moved": Answer(302, headers={"location": "/elsewhere"}),
    "a page": Answer(200, b"<html>Welcome</html>"),
    "nothing": Answer(200, b""),
    "another form": Answer(200, b'{"result": {"status": "secret words"}, "status": "ok", "time": 0.0}'),
}
CALLS: dict[str, Callable[[RemoteBackend], Awaitable[object]]] = {
    "search": lambda backend: backend.search(STORE, STORE, [1.0, 0.0, 0.0], WORDS, 3),
    "count": lambda backend: backend.count(),
    "read": lambda backend: backend.read(STORE, ["text"]),
    "find_vectors": lambda backend: backend.find_vectors(STORE, ["d"]),
    "upsert": lambda backend: backend.upsert([POINT]),
    "set_payload": lambda backend: backend.set_payload(STORE, {"to": 2}),
    "delete": lambda backend: backend.delete(STORE),
}


@pytest.fixture
def server() -> Iterator[FakeQdrant]:
    with FakeQdrant().running() as fake:
        yield fake


@pytest.fixture
async def client(server: FakeQdrant) -> AsyncIterator[AsyncQdrantClient]:
    client = QdrantServer(server.url).make_client()
    yield client
    await client.close()


@pytest.fixture
async def backend(client: AsyncQdrantClient) -> RemoteBackend:
    backend = await RemoteBackend.open(client, "chunks", 3)
    await backend.upsert([POINT])
    return backend


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_whatever_the_trouble_is_the_index_is_away_until_it_is_over(
    server: FakeQdrant, backend: RemoteBackend, trouble: str
) -> None:
    for call in CALLS.values():
        server.trouble = lambda _: TROUBLE[trouble]
        with pytest.raises(IndexUnavailable) as caught:
            await call(backend)
        assert "secret words" not in str(caught.value)
        server.trouble = lambda _: None
        assert await backend.count() == 1


async def test_what_the_server_holds_against_the_request_fails(server: FakeQdrant, backend: RemoteBackend) -> None:
    for status in (400, 413, 422):
        server.trouble = lambda _, status=status: Answer(status)
        with pytest.raises(RetrieverFailed, match=str(status)):
            await CALLS["upsert"](backend)


async def test_a_collection_that_has_vanished_is_no_empty_index(
    server: FakeQdrant, client: AsyncQdrantClient, backend: RemoteBackend
) -> None:
    server.lose_collections()
    for call in CALLS.values():
        with pytest.raises(IndexUnavailable, match=r"collection any more.*docs reindex"):
            await call(backend)
    again = await RemoteBackend.open(client, "chunks", 3)
    assert await again.count() == 0


@pytest.mark.parametrize("call", ["upsert", "set_payload", "delete"])
async def test_a_change_that_was_only_noted_is_none(server: FakeQdrant, backend: RemoteBackend, call: str) -> None:
    noted = b'{"result": {"operation_id": 1, "status": "wait_timeout"}, "status": "ok", "time": 0.0}'
    server.trouble = lambda _: Answer(200, noted)
    with pytest.raises(IndexUnavailable, match="in time"):
        await CALLS[call](backend)
