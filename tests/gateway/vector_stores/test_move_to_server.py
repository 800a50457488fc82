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
NUMBERS = range(8)


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


async def test_documents_move_to_a_server_while_they_are_read_and_written(gateway: Gateway, settings: Settings) -> None:
    """Two stores of each of two tenants, whose pages have the same names: the tenants' words tell them apart."""
    first = retriever(settings.retriever_socket, settings.home / "index")
    server = retriever(settings.second_retriever_socket, settings.home / "none", "--fake-qdrant")
    tenants = {name: Client(gateway, await gateway.tenant(name)) for name in ("kestrel", "harbor")}
    stop, searches, edits = asyncio.Event(), 0, 0

    async def read(name: str, store: str, place: str) -> None:
        nonlocal searches
        while not stop.is_set():
            passages = await tenants[name].search(store, "warranty of kettle 7", max_num_results=50)
            assert len(passages) == len(NUMBERS)
            assert all(f"{name} {place} says" in passage for passage in passages), "another store's, or tenant's"
            assert sum("kettle 7 is 7 months" in passage for passage in passages) == 1
            searches += 1
            await asyncio.sleep(0.05)

    async def write(name: str, store: str, place: str) -> None:
        """Edit one page again and again; each edit is found as soon as it is live."""
        nonlocal edits
        while not stop.is_set():
            text = _write_page(name, place, 3, 100 + edits)
            assert (await tenants[name].live(store, "k3.md", text))["status"] == "completed"
            passages = await tenants[name].search(store, "warranty of kettle 3", max_num_results=50)
            assert [passage for passage in passages if "kettle 3 is" in passage] == [text]
            edits += 1
            await asyncio.sleep(0.05)

    async with first, server, working(settings):
        stores = {(name, place): await tenants[name].store() for name in tenants for place in ("shop", "mill")}
        for (name, place), store in stores.items():
            for number in NUMBERS:
                await tenants[name].put(store, f"k{number}.md", _write_page(name, place, number, number))
        for (name, _), store in stores.items():
            for number in NUMBERS:
                await tenants[name].live(store, f"k{number}.md")
        tasks = [asyncio.create_task(read(name, store, place)) for (name, place), store in stores.items()]
        tasks += [asyncio.create_task(write(name, stores[name, "mill"], "mill")) for name in tenants]
        command = ("docs", "move", "--to", "http://qdrant.example:6333", "--url", gateway.url, "--key", ADMIN_KEY)
        moved = await run(*command)
        assert moved.exit_code == Exit.OK, moved.output
        assert "BRAID_QDRANT_URL='http://qdrant.example:6333'" in moved.stderr
        before = searches, edits
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*tasks)
        assert searches > before[0] > 0
        assert edits >= before[1] > 0
        kestrel, store = tenants["kestrel"], stores["kestrel", "shop"]
        await kestrel.live(store, "k7.md", "# Kettle 7\n\nThe warranty of kettle 7 is now 70 months.")
        found = await kestrel.search(store, "warranty of kettle 7")
        assert any("now 70 months" in passage for passage in found)
        assert not any("is 7 months" in passage for passage in found)
        back = await run("docs", "migrate", "rollback", *command[4:])
        assert back.exit_code == Exit.OK, back.output
        assert any("now 70 months" in passage for passage in await kestrel.search(store, "warranty of kettle 7"))
        for (name, place), store in stores.items():
            passages = await tenants[name].search(store, "warranty of kettle", max_num_results=50)
            own = [passage for passage in passages if f"{name} {place} says" in passage]
            assert len(own) == len(NUMBERS) - ((name, place) == ("kestrel", "shop"))
            assert len(passages) == len(NUMBERS), "nothing lost, nothing doubled"


def _write_page(name: str, place: str, number: int, months: int) -> str:
    return f"# Kettle {number}\n\nThe {name} {place} says that the warranty of kettle {number} is {months} months."
