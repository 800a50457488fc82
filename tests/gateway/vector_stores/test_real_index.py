"""The real retriever process: its own index and embedder, killed workers, and its own death."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.settings import Settings
from retrieval.client import Retriever
from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client
from tests.gateway.vector_stores.killing import INGEST_STEPS, Reader, text
from tests.gateway.worker import ROOT, die_at, wait_for_retriever, worker_process

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(300)]

BALLAST = "".join(f"\n\n# Extra {number}\n\nNothing but ballast, item {number}." for number in range(250))
MODEL_PYTHON = ROOT / ".venv-model" / "bin" / "python"


class RealRetriever:
    """The process; `kill` and `start` again as often as a test likes."""

    def __init__(self, home: Path, socket: Path) -> None:
        self._arguments = ("--socket", str(socket), "--data", str(home / "index"))
        self._socket = socket
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *(str(MODEL_PYTHON), "-m", "retrieval", *self._arguments),
            cwd=ROOT,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )
        await wait_for_retriever(self._socket, self._process)

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def until_writing(settings: Settings) -> None:
    """Return when the first points of a long ingest are in the index, and most are not."""
    async with asyncio.timeout(60), Retriever(settings.retriever_socket) as client:
        before = (await client.describe()).points
        while True:
            if (await client.describe()).points != before:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def real(settings: Settings) -> AsyncIterator[RealRetriever]:
    process = RealRetriever(settings.home, settings.retriever_socket)
    await process.start()
    yield process
    await process.kill()


@pytest.fixture
async def client(gateway: Gateway, real: RealRetriever) -> Client:
    return Client(gateway, await gateway.tenant("kestrel"))


async def test_workers_killed_at_each_step_of_an_ingest_leave_it_to_others(client: Client, settings: Settings) -> None:
    for crash_at in INGEST_STEPS:
        store = await client.store(name=crash_at)
        await client.put(store, "k.md", text("one"))
        await client.settle()
        reader = Reader(client, store)
        async with reader.asking():
            await client.put(store, "k.md", text("two"))
            await die_at(settings, crash_at)
            await reader.ask()
            async with worker_process(settings):
                got = await client.live(store, "k.md")
        assert (got["status"], got["live_version"]) == ("completed", 2), crash_at
        assert await reader.ask() == "two", crash_at


async def test_a_worker_killed_while_the_retriever_embeds_leaves_it_to_another(
    client: Client, settings: Settings
) -> None:
    store = await client.store()
    await client.put(store, "k.md", text("one"))
    await client.settle()
    long = text("two") + "".join(
        f"\n\n# Extra {number}\n\nNothing but ballast, item {number}." for number in range(150)
    )
    reader = Reader(client, store)
    async with reader.asking():
        async with worker_process(settings) as process:
            writing = asyncio.create_task(until_writing(settings))
            await client.put(store, "k.md", long)
            await writing
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert await reader.ask() == "one"
        async with worker_process(settings):
            got = await client.live(store, "k.md")
    assert (got["status"], got["live_version"]) == ("completed", 2)
    assert await reader.ask() == "two"


async def test_a_retriever_killed_during_an_ingest_goes_on_once_it_is_back(
    client: Client, settings: Settings, real: RealRetriever
) -> None:
    store = await client.store()
    await client.put(store, "k.md", text("one"))
    await client.settle()
    long = text("two") + "".join(
        f"\n\n# Extra {number}\n\nNothing but ballast, item {number}." for number in range(150)
    )
    async with worker_process(settings):
        writing = asyncio.create_task(until_writing(settings))
        await client.put(store, "k.md", long)
        await writing
        await real.kill()
        error = await client.fault(503, "POST", f"/v1/vector_stores/{store}/search", json={"query": "kettle"})
        assert error["code"] == "retriever_unavailable"
        await real.start()
        reader = Reader(client, store)
        async with reader.asking():
            got = await client.live(store, "k.md")
    assert (got["status"], got["live_version"]) == ("completed", 2)
    assert await reader.ask() == "two"


async def test_filters_and_formats_hold_on_the_real_index(client: Client, settings: Settings) -> None:
    store = await client.store()
    html = "<html><body><h1>Warranty</h1><p>The warranty of the K2 is <b>31 months</b>.</p></body></html>"
    headers = {"braid-attributes": '{"area": "kettles", "year": 2026}'}
    async with worker_process(settings):
        put = await client.put(store, "k2.html", html, headers=headers, params={"wait": 20})
        assert put["status"] == "completed", put
        bad = await client.put(store, "film.mp4", b"\0\0\0\x18ftypmp42" + bytes(range(256)), params={"wait": 20})
        assert (bad["status"], bad["error"]["code"]) == ("failed", "unsupported_file")
    years = {"type": "gte", "key": "year", "value": 2026}
    both = {"type": "and", "filters": [{"type": "eq", "key": "area", "value": "kettles"}, years]}
    assert "31 months" in (await client.search(store, "How long is the warranty?", filters=both))[0]
    assert await client.search(store, "warranty", filters={"type": "eq", "key": "area", "value": "pots"}) == []
    await client.fault(
        400, "POST", f"/v1/vector_stores/{store}/search", json={"query": "x", "filters": {"type": "odd"}}
    )
