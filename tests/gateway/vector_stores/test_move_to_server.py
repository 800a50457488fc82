"""`braid docs move --to URL` with real retrievers: from an embedded index into a Qdrant server, under live reads.

Where no server can be had, the target is a real retriever on one over HTTP that holds each request to Qdrant's shapes.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.terminal import Exit
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.vector_stores.conftest import Client
from tests.gateway.worker import ROOT, wait_for_retriever, working

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(400)]

MODEL_PYTHON = ROOT / ".venv-model" / "bin" / "python"
TEXTS = {
    f"k{number}.md": f"# Kettle {number}\n\nThe warranty of kettle {number} is {number} months." for number in range(12)
}


@asynccontextmanager
async def retriever(socket: Path, data: Path, *options: str) -> AsyncGenerator[None]:
    socket.parent.mkdir(parents=True, exist_ok=True)
    module = "tests.retrieval.model.word_retriever"
    arguments = (str(MODEL_PYTHON), "-m", module, "--socket", str(socket), "--data", str(data), *options)
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT)
    try:
        await wait_for_retriever(socket, process)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        status = await process.wait()
    assert status == 0, "a request broke Qdrant's shapes"


async def test_documents_move_to_a_server_while_they_are_read(gateway: Gateway, settings: Settings) -> None:
    first = retriever(settings.retriever_socket, settings.home / "index")
    server = retriever(settings.second_retriever_socket, settings.home / "none", "--fake-qdrant")
    kestrel = Client(gateway, await gateway.tenant("kestrel"))
    stop, searches = asyncio.Event(), 0

    async def read(store: str) -> None:
        nonlocal searches
        while not stop.is_set():
            passages = await kestrel.search(store, "warranty of kettle 7", max_num_results=50)
            assert sum("kettle 7 is 7 months" in passage for passage in passages) == 1
            assert len(passages) == len(TEXTS)
            searches += 1
            await asyncio.sleep(0.05)

    async with first, server, working(settings):
        store = await kestrel.store()
        for key, text in TEXTS.items():
            await kestrel.put(store, key, text)
        for key in TEXTS:
            await kestrel.live(store, key)
        readers = [asyncio.create_task(read(store)) for _ in range(2)]
        command = ("docs", "move", "--to", "http://qdrant.example:6333", "--url", gateway.url, "--key", ADMIN_KEY)
        moved = await run(*command)
        assert moved.exit_code == Exit.OK, moved.output
        assert "BRAID_QDRANT_URL='http://qdrant.example:6333'" in moved.stderr
        before = searches
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*readers)
        assert searches > before > 0
        await kestrel.live(store, "k7.md", "# Kettle 7\n\nThe warranty of kettle 7 is now 70 months.")
        found = await kestrel.search(store, "warranty of kettle 7")
        assert any("now 70 months" in passage for passage in found)
        assert not any("is 7 months" in passage for passage in found)
        back = await run("docs", "migrate", "rollback", *command[4:])
        assert back.exit_code == Exit.OK, back.output
        assert any("now 70 months" in passage for passage in await kestrel.search(store, "warranty of kettle 7"))
