"""A real `braid serve` across SIGTERM: every request finishes within the grace time, or is told why it doesn't."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from gateway.settings import Settings
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import ADMIN_KEY
from tests.waiting import until

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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {
        **os.environ,
        "BRAID_GRACE_SECONDS": str(grace),
        "BRAID_DATABASE_URL": settings.database_url or "",
        "BRAID_ENGINE_URLS": ",".join(settings.engine_urls),
        "BRAID_ADMIN_PORT": "0",
    }
    command = [sys.executable, "-m", "gateway.cli", "serve", "--home", str(settings.home), "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx2.TransportError:
                    return False

            await until(answers, 30)
            client.headers["authorization"] = f"Bearer {ADMIN_KEY}"
            await client.post("/api/tenants", json={"name": "kestrel"})
            key = {"tenant": "kestrel", "name": "test", "scopes": ["chat", "manage"]}
            answer = await client.post("/api/keys", json=key)
            client.headers["authorization"] = f"Bearer {answer.json()['key']}"
            yield client, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(("grace", "seconds", "status"), [(30, 6.5, 200), (0.5, 20, 503)])
async def test_sigterm_waits_for_every_request_within_the_grace_time(
    settings: Settings, tmp_path: Path, grace: float, seconds: float, status: int
) -> None:
    async with FakeRetriever(settings.retriever_socket) as retriever, _serving(settings, grace) as (client, process):

        async def think() -> None:
            await asyncio.sleep(seconds)

        retriever.before["embed"] = think
        kind = {"content-type": "multipart/form-data; boundary=b"}
        upload = asyncio.create_task(client.post("/v1/files", content=_upload(seconds), headers=kind))
        question = {"model": "fake", "input": "words"}
        embedding = asyncio.create_task(client.post("/v1/embeddings", json=question))
        await until(lambda: "embed" in retriever.calls or embedding.done())
        await asyncio.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        answer = await embedding
        assert answer.status_code == status, answer.text
        if status == 200:
            assert (await upload).status_code == 200
        else:
            assert answer.json()["error"]["code"] == "stopping"
            upload.cancel()  # this client reads nothing before it has sent everything
        async with asyncio.timeout(10):
            assert await process.wait() == 0
