"""Braid's processes for a benchmark: gateway, worker and retriever, as `braid up` starts them, and a fake engine.

The retriever has the packaged embedder, or the one of tests, which counts words: then what is measured is all but the
embedder.
"""

import asyncio
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from gateway.client import Client, ClientError
from gateway.processes import WORKER
from gateway.settings import Settings
from gateway.stack.children import make_child_environment
from retrieval.client import Retriever, RetrieverError
from tests.fakes.vllm import FakeVllm
from tests.gateway.worker import ROOT, prepare_home
from tests.ports import find_port

EMBEDDERS = {
    "packaged": "retrieval",
    "words": "tests.retrieval.model.word_retriever",
    "e5": "tests.bench.retrieval.e5_retriever",
}
"""Modules of the retriever's process by embedder."""

MODEL_PYTHON = ROOT / ".venv-model" / "bin" / "python"
_START_SECONDS = 300


class Stack:
    """A running Braid; `client()` asks it as a tenant of its own, and `processes` has what can be measured or killed.

    Processes that were killed are started again by `start`.
    """

    def __init__(self, home: Path, embedder: str, engine: FakeVllm, *, short_leases: bool = False) -> None:
        self.engine = engine
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self._admin_key = f"sk-bench-{secrets.token_hex(16)}"
        self.settings = Settings(
            home=home,
            port=find_port(),
            admin_port=find_port(),
            engine_urls=(engine.url,),
            model_python=MODEL_PYTHON,
            access_log=False,
            log_level="warning",
        )
        index = ("--socket", str(self.settings.retriever_socket), "--data", str(home / "index"))
        self._commands = {
            "retriever": (str(MODEL_PYTHON), "-m", EMBEDDERS[embedder], *index),
            "second": (
                *(str(MODEL_PYTHON), "-m", EMBEDDERS["e5"]),
                *("--socket", str(self.settings.second_retriever_socket), "--data", str(home / "second-index")),
            ),
            "gateway": (sys.executable, "-m", "gateway.cli", "serve"),
            "worker": (sys.executable, "-m", "tests.gateway.worker", str(home))
            if short_leases
            else (sys.executable, "-m", "gateway.cli", "worker"),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    async def start(self, name: str) -> None:
        """Start a process, and return when it answers."""
        environment = make_child_environment(self.settings, WORKER) | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        environment["BRAID_ADMIN_KEY"] = self._admin_key
        log = self.settings.home / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *self._commands[name], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        self.processes[name] = process
        async with asyncio.timeout(_START_SECONDS):
            while not await self._is_ready(name):
                assert process.returncode is None, log.read_text()[-2000:]
                await asyncio.sleep(0.05)

    async def _is_ready(self, name: str) -> bool:
        if name == "worker":
            return True
        try:
            if name in ("retriever", "second"):
                socket = (
                    self.settings.retriever_socket if name == "retriever" else self.settings.second_retriever_socket
                )
                async with Retriever(socket) as retriever:
                    await retriever.describe()
            else:
                async with Client(self.url, self._admin_key) as client:
                    await client.get("/v1/models")
        except (ClientError, RetrieverError):
            return False
        return True

    async def kill(self, name: str) -> None:
        """End a process by SIGKILL."""
        process = self.processes.pop(name)
        if process.returncode is None:
            process.kill()
        await process.wait()

    @asynccontextmanager
    async def administrator(self) -> AsyncGenerator[Client]:
        async with Client(self.url, self._admin_key, timeout=600) as admin:
            yield admin

    async def make_tenant(self, name: str) -> str:
        """Make a tenant, and return a key of it."""
        async with Client(self.url, self._admin_key) as admin:
            await admin.post("/api/tenants", {"name": name})
            key = await admin.post("/api/keys", {"tenant": name, "name": "bench", "scopes": ["chat", "manage"]})
        return key["key"]

    @asynccontextmanager
    async def client(self, tenant: str) -> AsyncGenerator[Client]:
        """Make a tenant and yield a client with its key."""
        async with Client(self.url, await self.make_tenant(tenant), timeout=600) as client:
            yield client


@asynccontextmanager
async def open_stack(home: Path, embedder: str, *, short_leases: bool = False) -> AsyncGenerator[Stack]:
    """Start all processes in an empty folder, and kill them in the end.

    With `short_leases` the worker is the one of tests that get killed: its jobs are another's after 3 s, not 15.
    """
    prepare_home(home)
    async with AsyncExitStack() as exits:
        stack = Stack(home, embedder, await exits.enter_async_context(FakeVllm()), short_leases=short_leases)
        try:
            for name in ("retriever", "gateway", "worker"):
                await stack.start(name)
            yield stack
        finally:
            for name in tuple(stack.processes):
                await stack.kill(name)
