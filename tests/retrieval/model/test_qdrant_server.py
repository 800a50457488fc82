"""A Qdrant server's key, certificates, silence and refusals; a stub over real HTTP stands in for the server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ApiException

from retrieval.__main__ import main
from retrieval.backends import KeywordVector, Point
from retrieval.backends import qdrant_server as qdrant_server_module
from retrieval.backends import remote as remote_module
from retrieval.backends.qdrant_server import QdrantServer, QdrantUnusable
from retrieval.backends.remote import CHANGE_SECONDS, RemoteBackend
from retrieval.errors import IndexUnavailable, RetrieverFailed, RetrieverUnavailable
from retrieval.visibility import show_store

pytestmark = pytest.mark.model

KEY = "a-key-of-the-operator"
STORE = show_store("kestrel", "vs")


class Stub(ThreadingHTTPServer):
    """Answers every call of a client that has the key; `paths` are those called, `bodies` what was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.status = 200
        self.silent = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that gave up."""


class _Handler(BaseHTTPRequestHandler):
    server: Stub  # pyright: ignore[reportIncompatibleVariableOverride]  # it serves no other

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.paths.append(f"{self.command} {self.path.split('?')[0]}")
        self.server.bodies.append(body)
        if self.server.silent.is_set():
            threading.Event().wait(1.5)
        status = self.server.status if self.headers.get("api-key") == KEY else 401
        result: object = (
            {"exists": True} if self.path.endswith("/exists") else {"operation_id": 1, "status": "completed"}
        )
        data = json.dumps({"result": result, "status": "ok", "time": 0}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


async def open_backend(stub: Stub) -> tuple[AsyncQdrantClient, RemoteBackend]:
    client = QdrantServer(stub.url, KEY).make_client()
    return client, await RemoteBackend.open(client, "c", 3)


pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")]


async def test_calls_bring_the_key(stub: Stub) -> None:
    client, backend = await open_backend(stub)
    await backend.delete(STORE)
    assert stub.paths[-1] == "POST /collections/c/points/delete"
    await client.close()


@pytest.mark.parametrize(("key", "refused"), [(None, "calls without a key"), ("another", "the key that it was given")])
async def test_a_refused_key_is_called_that_at_the_start(stub: Stub, key: str | None, refused: str) -> None:
    server = QdrantServer(stub.url, key)
    client = server.make_client()
    with pytest.raises(ApiException) as caught:
        await RemoteBackend.open(client, "c", 3)
    await client.close()
    assert f"refuses {refused} (401)" in server.explain(caught.value)
    assert "BRAID_QDRANT_API_KEY" in server.explain(caught.value)
    assert "another" not in repr(server)


def test_the_process_says_that_its_key_is_refused(
    stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "another")
    arguments = ["--socket", str(tmp_path / "r.sock"), "--data", str(tmp_path), "--qdrant-url", stub.url]
    assert main(arguments) == 1
    assert "refuses the key that it was given (401)" in caplog.text
    assert "another" not in caplog.text.replace("another's", "")


@pytest.mark.parametrize("status", [200, 403, 404])
async def test_a_server_that_answers_anything_else_is_looked_at_when_it_is_used(stub: Stub, status: int) -> None:
    stub.status = status
    await QdrantServer(stub.url, KEY).look_at()
    assert stub.paths == ["GET /collections"]


async def test_a_server_that_says_nothing_is_given_up_at_the_start(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_server_module, "_LOOK_SECONDS", 0.2)
    stub.silent.set()
    with pytest.raises(QdrantUnusable, match=r"said nothing for 0\.2 s"):
        await QdrantServer(stub.url, KEY).look_at()


def test_a_key_never_goes_over_a_network_in_the_clear() -> None:
    with pytest.raises(QdrantUnusable, match="in the clear"):
        QdrantServer("http://qdrant.example.com:6333", KEY).make_client()
    with pytest.raises(QdrantUnusable, match="can't be used"):
        QdrantServer("https://qdrant.example.com:6333", KEY, Path(__file__)).make_client()


async def test_a_server_with_tls_is_known_by_the_certificates_that_are_given(tmp_path: Path) -> None:
    server = QdrantServer("https://localhost:9", KEY, Path(__import__("certifi").where()))
    client = server.make_client()
    with pytest.raises(ApiException) as caught:
        await RemoteBackend.open(client, "c", 3)
    await client.close()
    assert "BRAID_QDRANT_CA_FILE" in server.explain(caught.value)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (400, RetrieverFailed, "answered with 400"),
        (403, IndexUnavailable, "refuses the API key"),
        (429, IndexUnavailable, "429 Too Many Requests"),
        (500, IndexUnavailable, "can't answer now"),
        (503, IndexUnavailable, "can't answer now"),
    ],
)
async def test_a_refusal_is_an_error_that_says_which(
    stub: Stub, status: int, error: type[Exception], reason: str
) -> None:
    client, backend = await open_backend(stub)
    stub.status = status
    with pytest.raises(error, match=reason):
        await backend.delete(STORE)
    await client.close()


async def test_a_server_that_went_away_or_is_silent_is_unavailable(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    client, backend = await open_backend(stub)
    monkeypatch.setattr(remote_module, "_READ_SECONDS", 0.05)
    stub.silent.set()
    with pytest.raises(RetrieverUnavailable, match="didn't answer within"):
        await backend.search(STORE, STORE, [1, 0, 0], KeywordVector([], []), 1)
    await client.close()
    client = QdrantServer("http://127.0.0.1:9", KEY).make_client()
    with pytest.raises(RetrieverUnavailable, match="can't be reached"):
        await RemoteBackend(client, "c").delete(STORE)
    await client.close()
    assert CHANGE_SECONDS >= 60


async def test_each_attribute_gets_an_index_once(stub: Stub) -> None:
    client, backend = await open_backend(stub)
    stub.paths.clear()
    stub.bodies.clear()
    for number in range(2):
        payload = {"where": {"k61": "s:red", "k62": 1.5}}
        await backend.upsert(
            [Point(f"00000000-0000-0000-0000-00000000000{number}", [1, 0, 0], KeywordVector([], []), payload)]
        )
    indexes = [json.loads(body) for path, body in zip(stub.paths, stub.bodies, strict=True) if path.endswith("/index")]
    assert [(one["field_name"], one["field_schema"]) for one in indexes] == [
        ("where.k61", "keyword"),
        ("where.k62", "float"),
    ]
    await client.close()
