"""Every request has an id, a line and a count, whatever becomes of it."""

import asyncio
import gc
import json
import logging
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec
import pytest
import structlog
from starlette.types import Message, Scope
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gateway.app import create_app
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.terminal import configure_logs
from gateway.web.access_log import AccessLine, AccessLog
from gateway.web.request_log import RequestLog, RequestTrace
from tests.fakes import faults
from tests.fakes.passages import FakePassages
from tests.fakes.vllm import CHAT, HEALTH, FakeVllm
from tests.gateway.conftest import Gateway, running
from tests.waiting import until

DOCUMENTS = "/api/vector_stores/{vector_store_id}/documents"
ASK = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The access log's lines, without waiting for a batch."""
    written: list[dict[str, Any]] = []

    def put(_log: AccessLog, line: AccessLine) -> None:
        written.append(json.loads(msgspec.json.encode(line)))

    monkeypatch.setattr(AccessLog, "put", put)
    return written


def count(gateway: Gateway, **labels: str) -> float:
    value = gateway.state.metrics.registry.get_sample_value("braid_http_requests_total", labels)
    return value or 0.0


async def test_a_request_has_one_id_in_header_line_and_record(gateway: Gateway, lines: list[dict[str, Any]]) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json=ASK)
    id, tenant = answer.headers["x-request-id"], lines[-1].get("tenant", "")
    assert id.startswith("req_")
    record = (await client.get(f"/api/answers/{answer.json()['id']}")).json()
    assert record["request_id"] == id
    line = next(line for line in lines if line["request"] == id)
    assert line | {"ms": 0, "timestamp": ""} == {
        "event": "request",
        "level": "info",
        "request": id,
        "method": "POST",
        "route": CHAT,
        "status": 200,
        "ms": 0,
        "timestamp": "",
        "tenant": line["tenant"],
        "answer": answer.json()["id"],
    }
    assert line["tenant"].startswith("ten_")
    assert tenant
    assert line["ms"] > 0
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("own", ["abc-123", "0af7651916cd43dd8448eb211c80319c", "a" * 128, "svc/1:2@eu=+._-"])
async def test_a_well_formed_id_of_the_client_is_taken(gateway: Gateway, own: str) -> None:
    client = await gateway.tenant("kestrel")
    for path in ("/v1/models", "/v1/nowhere"):
        assert (await client.get(path, headers={"x-request-id": own})).headers["x-request-id"] == own


@pytest.mark.parametrize(
    ("own", "told"),
    [("svc/1:2@eu=+.-", "svc/1:2@eu=+.-"), ("a_b", "a_b"), ("1___decode_addr_h:1", "1_decode_addr_h:1")],
)
async def test_engine_and_retriever_are_told_a_request_s_id(
    gateway: Gateway, engine: FakeVllm, passages: FakePassages, own: str, told: str
) -> None:
    client = await gateway.tenant("kestrel")
    for _ in range(2):
        assert (await client.post(CHAT, json=ASK, headers={"x-request-id": own})).status_code == 200
    numbers = [request.headers["x-request-id"].removeprefix(f"{told}-") for request in engine.requests(CHAT)]
    assert all(number.isdigit() for number in numbers)
    assert len(set(numbers)) == 2  # an engine may refuse an id that is running
    assert "x-request-id" not in engine.requests(HEALTH)[-1].headers
    embedding = {"model": "fake", "input": "Hi"}
    assert (await client.post("/v1/embeddings", json=embedding, headers={"x-request-id": own})).status_code == 200
    assert passages.causes[-1] == own


@pytest.mark.parametrize("own", ["", "a b", "a" * 129, 'a"b', "a\tb", "{}", "é"])
async def test_any_other_id_is_replaced(gateway: Gateway, own: str) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.get("/v1/models", headers={"x-request-id": own.encode()})  # type: ignore[dict-item]
    assert answer.status_code == 200
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/v1/models", 401, "/v1/models"),
        ("GET", "/v1/nowhere", 404, "none"),
        ("DELETE", "/v1/files", 405, "/v1/files"),
        ("GET", "/v1/files/file-1", 401, "/v1/files/{file_id}"),
        (
            "PUT",
            "/api/vector_stores/vs_1/documents/a/b",
            401,
            "/api/vector_stores/{vector_store_id}/documents/{key:path}",
        ),
        ("POST", CHAT, 401, CHAT),
    ],
)
async def test_errors_have_an_id_and_are_counted_by_the_route_s_template(
    gateway: Gateway, lines: list[dict[str, Any]], method: str, path: str, status: int, route: str
) -> None:
    async with httpx2.AsyncClient(base_url=gateway.url) as anonymous:
        answer = await anonymous.request(method, path)
    assert answer.status_code == status
    await until(lambda: any(line["request"] == answer.headers["x-request-id"] for line in lines))
    line = lines[-1]
    assert (line["method"], line["route"], line["status"]) == (method, route, status)
    assert "tenant" not in line
    assert count(gateway, method=method, route=route, status="4xx") == 1
    assert path == route or path not in json.dumps(lines)


async def test_head_and_a_refused_encoding_are_counted(gateway: Gateway, lines: list[dict[str, Any]]) -> None:
    client = await gateway.tenant("kestrel")
    assert (await client.head("/v1/models")).headers["x-request-id"]
    assert count(gateway, method="HEAD", route="/v1/models", status="2xx") == 1
    refused = await client.post(CHAT, content=b"x", headers={"content-encoding": "gzip"})
    assert refused.headers["x-request-id"] == lines[-1]["request"]
    assert lines[-1]["status"] == 415


async def test_monitors_leave_no_lines_while_all_is_well(gateway: Gateway, lines: list[dict[str, Any]]) -> None:
    async with httpx2.AsyncClient(base_url=gateway.url) as anonymous:
        assert (await anonymous.get("/healthz")).headers["x-request-id"]
    assert not lines
    assert count(gateway, method="GET", route="/healthz", status="2xx") == 1


async def test_bytes_that_are_no_request_are_counted_too(gateway: Gateway, lines: list[dict[str, Any]]) -> None:
    def send() -> bytes:
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as connection:
            connection.sendall(b"NONSENSE\r\n\r\n")
            return connection.recv(4096)

    head = (await asyncio.to_thread(send)).decode()
    assert head.startswith("HTTP/1.1 400")
    assert f"x-request-id: {lines[-1]['request']}\r\n" in head
    assert (lines[-1]["route"], lines[-1]["code"]) == ("none", "invalid_http")
    assert count(gateway, method="other", route="none", status="4xx") == 1


async def test_a_stream_whose_client_leaves_is_noted_as_cut(
    gateway: Gateway, engine: FakeVllm, lines: list[dict[str, Any]]
) -> None:
    client = await gateway.tenant("kestrel")
    engine.script(faults.stall())
    async with client.stream("POST", CHAT, json={**ASK, "stream": True}) as answer:
        await anext(answer.aiter_bytes())
    await until(lambda: any(line.get("cut") for line in lines))
    assert lines[-1]["status"] == 200


@pytest.fixture
def logs() -> Iterator[None]:
    """Undo what `configure_logs` does to the whole process."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


async def test_an_unexpected_error_is_logged_with_the_id_and_closes_the_connection(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("a bug")

    client = await gateway.tenant("kestrel")
    monkeypatch.setattr("gateway.models.service.ModelService.__init__", fail)
    with capture_logs(processors=[merge_contextvars]) as written:
        answer = await client.get("/v1/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert answer.headers["connection"] == "close"
    monkeypatch.undo()
    assert (await client.get("/v1/models")).status_code == 200
    (error,) = [line for line in written if line["log_level"] == "error"]  # logged once
    assert error["event"] == "unexpected_error"
    assert error["request"] == answer.headers["x-request-id"]
    assert error["tenant"].startswith("ten_")
    assert str(error["exc_info"]) == "a bug"
    assert "ASGI" not in caplog.text


@pytest.mark.usefixtures("logs")
async def test_a_library_s_line_has_the_id_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    logging.root.handlers.clear()  # pytest's own
    configure_logs("info")
    structlog.contextvars.bind_contextvars(request="req_1")
    logging.getLogger("library").warning("Unsupported upgrade %s", "h2c")
    structlog.contextvars.clear_contextvars()
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["request"], line["logger"]) == ("Unsupported upgrade h2c", "req_1", "library")


async def test_requests_on_one_connection_do_not_share_a_tenant(gateway: Gateway, lines: list[dict[str, Any]]) -> None:
    key = (await gateway.admin.post("/api/keys", json={"name": "a", "scopes": ["chat"]})).json()["key"]
    host, port = "127.0.0.1", int(gateway.url.rpartition(":")[2])
    first = f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\r\n"
    second = f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection(host, port)
    writer.write((first + second).encode())
    await reader.read()
    writer.close()
    one, two = lines[-2:]
    assert (one["status"], two["status"]) == (200, 401)
    assert "tenant" in one
    assert "tenant" not in two


async def test_lines_are_written_in_batches_and_at_the_end(engine: FakeVllm, settings: Settings) -> None:
    written: list[str] = []
    log = AccessLog(written.append)
    line = AccessLine(request="r", method="GET", route="/", status=200, ms=1.0, level="info")
    log.put(line)
    log.put(line)
    assert not written
    await until(lambda: len(written) == 1)
    assert len(written[0].splitlines()) == 2
    log.put(line)
    log.flush()
    assert len(written) == 2


@pytest.mark.parametrize("change", [{"access_log": False}, {"log_level": "warning"}])
async def test_it_can_be_switched_off(settings: Settings, lines: list[dict[str, Any]], change: dict[str, Any]) -> None:
    async with running(settings.model_copy(update=change)) as gateway:
        await gateway.admin.get("/api/tenants")
        assert not lines
        assert count(gateway, method="GET", route="/api/tenants", status="2xx") == 1


def test_every_route_has_a_template_to_be_counted_by() -> None:
    def unopened() -> Any:
        raise AssertionError

    assert all(getattr(route, "path", "") or hasattr(route, "original_router") for route in create_app(unopened).routes)


async def test_nothing_of_a_request_is_left_for_the_garbage_collector() -> None:
    class Server:
        """As uvicorn's: it has the scope, and the trace has its `send`."""

        def __init__(self) -> None:
            self.scope: Scope = {"type": "http", "headers": []}

        async def send(self, message: Message) -> None:
            pass

    gc.disable()
    try:
        server = Server()
        RequestTrace(server.scope, server.send, "GET").end(RequestLog(Metrics()))
        freed = weakref.ref(server)
        del server
        assert freed() is None
    finally:
        gc.enable()
