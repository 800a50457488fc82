"""A real `braid serve` across SIGTERM: every request finishes within the grace time, or is told why it doesn't."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest

from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.gateway_process import gateway_process, make_tenant
from tests.gateway.tuning import settings
from tests.gateway.worker import working
from tests.ports import find_port
from tests.waiting import until

__all__ = ["settings"]

ORIGIN = "https://app.example"
CHAT = "/v1/chat/completions"
QUESTION = {"model": "base", "messages": [{"role": "user", "content": "words " * 20}], "stream": True}
BYTES = 16 * 1024**2  # more than sockets' buffers hold
_HEAD = (
    b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
)


async def _upload(seconds: float) -> AsyncIterator[bytes]:
    yield _HEAD
    for _ in range(10):
        await asyncio.sleep(seconds / 10)
        yield b"words "
    yield b"\r\n--b--\r\n"


@asynccontextmanager
async def _serving(
    settings: Settings, grace: float
) -> AsyncGenerator[tuple[httpx2.AsyncClient, asyncio.subprocess.Process]]:
    process = gateway_process(settings, find_port(), grace=grace, BRAID_CORS_ORIGINS=ORIGIN)
    async with process as (client, started):
        client.headers["authorization"] = f"Bearer {await make_tenant(client, 'kestrel')}"
        yield client, started


class Requests:
    """A request of every kind that takes its time, under way at once."""

    def __init__(self, client: httpx2.AsyncClient, store: str, file: str, seconds: float) -> None:
        kind = {"content-type": "multipart/form-data; boundary=b"}
        question = {"model": "fake", "input": "words"}
        place = f"/api/vector_stores/{store}/documents/b.txt"
        self.tasks = {
            "upload": asyncio.create_task(client.post("/v1/files", content=_upload(seconds), headers=kind)),
            "embedding": asyncio.create_task(client.post("/v1/embeddings", json=question, headers={"origin": ORIGIN})),
            "search": asyncio.create_task(
                client.post(f"/v1/vector_stores/{store}/search", json={"query": "warranty months"})
            ),
            "wait": asyncio.create_task(client.put(place, params={"wait": seconds}, content=b"31 months.")),
            "stream": asyncio.create_task(_read_slowly(client, CHAT, seconds, json=QUESTION)),
            "download": asyncio.create_task(_read_slowly(client, f"/v1/files/{file}/content", seconds)),
        }


async def _read_slowly(client: httpx2.AsyncClient, path: str, seconds: float, **more: Any) -> bytes:
    """Begin to read an answer, read on after so many seconds, and return as much of it as there was."""
    read = b""
    method = "POST" if more else "GET"
    async with client.stream(method, path, **more) as answer:
        assert answer.status_code == 200
        with suppress(httpx2.RemoteProtocolError, httpx2.ReadError):
            async for piece in answer.aiter_raw(65_536):
                if not read:
                    await asyncio.sleep(seconds)
                read += piece
    return read


async def _prepare(client: httpx2.AsyncClient, settings: Settings) -> tuple[str, str]:
    """Make a store with a live document, and a large file; return their ids."""
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    async with working(settings):
        place = f"/api/vector_stores/{store}/documents/a.txt"
        assert (await client.put(place, content=b"The warranty has 31 months.")).is_success

        async def is_live() -> bool:
            return (await client.get(place)).json()["live_version"] == 1

        await until(is_live)
    form = {"file": ("large.txt", b"b" * BYTES), "purpose": (None, "user_data")}
    return store, (await client.post("/v1/files", files=form)).json()["id"]


@asynccontextmanager
async def _requests(
    settings: Settings, engine: FakeVllm, grace: float, seconds: float
) -> AsyncGenerator[tuple[httpx2.AsyncClient, asyncio.subprocess.Process, dict[str, asyncio.Task[Any]]]]:
    """Serve, with requests under way that take so many seconds, each."""
    async with FakeRetriever(settings.retriever_socket) as retriever, _serving(settings, grace) as (client, process):
        store, file = await _prepare(client, settings)

        async def think() -> None:
            await asyncio.sleep(seconds)

        retriever.before["embed"] = retriever.before["search"] = think
        engine.gap = seconds / 25
        tasks = Requests(client, store, file, seconds).tasks
        try:
            await until(lambda: {"embed", "search"} <= set(retriever.calls) or any(t.done() for t in tasks.values()))
            await asyncio.sleep(0.3)
            yield client, process, tasks
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_within_the_grace_time_every_request_finishes_and_no_new_one_begins(
    settings: Settings, engine: FakeVllm
) -> None:
    async with _requests(settings, engine, 120, 6.5) as (client, process, tasks):
        began = asyncio.get_running_loop().time()
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/embeddings"), ("POST", CHAT), ("GET", "/nowhere")):
            refused = await client.request(method, path, json={} if method == "POST" else None)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping"), path
            assert (refused.headers["connection"], refused.headers["retry-after"]) == ("close", "1")
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, "process" in ready.json()["degraded"]) == (503, True)
        for name in ("upload", "embedding", "search", "wait"):
            answer = await tasks[name]
            assert answer.status_code == 200, (name, answer.text)
        assert (await tasks["search"]).json()["data"]
        assert (await tasks["wait"]).json()["status"] == "in_progress"  # no worker runs
        assert (await tasks["stream"]).endswith(b"data: [DONE]\n\n")
        assert len(await tasks["download"]) == BYTES
        assert asyncio.get_running_loop().time() - began > 5
        async with asyncio.timeout(40):
            assert await process.wait() == 0


@pytest.mark.parametrize(("grace", "signals"), [(0.5, 1), (60, 2)])
async def test_after_the_grace_time_or_a_second_signal_each_client_is_told(
    settings: Settings, engine: FakeVllm, grace: float, signals: int
) -> None:
    async with _requests(settings, engine, grace, 20) as (_, process, tasks):
        for number in range(signals):
            await asyncio.sleep(0.5 * number)
            assert not tasks["search"].done()
            process.send_signal(signal.SIGTERM)
        for name in ("embedding", "search", "wait"):
            answer = await asyncio.wait_for(tasks[name], 15)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping"), name
            assert answer.headers["connection"] == "close"
        assert (await tasks["embedding"]).headers["access-control-allow-origin"] == ORIGIN
        async with asyncio.timeout(40):
            assert await process.wait() == 0
        assert not tasks["download"].done()  # it reads on when there is nobody anymore


async def test_a_second_signal_leaves_who_only_reads_slowly(settings: Settings, engine: FakeVllm) -> None:
    async with FakeRetriever(settings.retriever_socket), _serving(settings, 60) as (client, process):
        _, file = await _prepare(client, settings)
        download = asyncio.create_task(_read_slowly(client, f"/v1/files/{file}/content", 2))
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            assert await process.wait() == 0
        assert len(await download) < BYTES


async def test_a_second_signal_leaves_an_answer_that_is_whole_and_unread(settings: Settings, engine: FakeVllm) -> None:
    async with _serving(settings, 60) as (client, process):
        message = {"role": "assistant", "content": "words " * (BYTES // 6)}
        answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": None}
        engine.script(faults.body(json.dumps({"id": "a", "created": 1, "model": "base", **answer}).encode()))
        body = json.dumps({**QUESTION, "stream": False}).encode()
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port, limit=1024)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            + f"authorization: {client.headers['authorization']}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert await reader.readexactly(12) == b"HTTP/1.1 200"  # all of it is sent in one: there is nothing to finish
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            assert await process.wait() == 0
        size = 0
        with suppress(ConnectionResetError):
            while piece := await reader.read(2**20):
                size += len(piece)
        assert size < BYTES
        writer.close()
