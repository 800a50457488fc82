"""Worker processes that are killed, and readers that watch what a store answers meanwhile."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.gateway.vector_stores.conftest import Client

ROOT = Path(__file__).parents[3]
PARTS = 6
INGEST_STEPS = (
    "claimed",
    "ingest-found",
    "ingest-rolled-back",
    "ingest-written",
    "ingest-published",
    "ingest-collected",
    "done",
    "ended",
)
WORDS = {"one": "aluminium", "two": "porcelain"}


def text(version: str) -> str:
    """A document of `PARTS` chunks that all tell their version."""
    return "\n\n".join(
        f"# Part {part}\n\nIn part {part} the kettle of this document is made of {WORDS[version]} throughout."
        for part in range(PARTS)
    )


async def killed(home: Path, crash_at: str) -> None:
    """Run a worker until it dies at that step."""
    async with worker_process(home, crash_at) as process, asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


@asynccontextmanager
async def worker_process(home: Path, crash_at: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.gateway.vector_stores.worker_process", str(home)),
        cwd=ROOT,
        env=os.environ | {"BRAID_FAILPOINT": crash_at},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Reader:
    """Asks a store all the time; `seen` has the versions of its answers, one question after another."""

    def __init__(self, client: Client, store: str) -> None:
        self._client = client
        self._store = store
        self.seen: list[str] = []

    async def ask(self) -> str:
        """Return the version that answers, having made sure that it is one and whole."""
        passages = await self._client.found(self._store, "What is the kettle made of?", max_num_results=50)
        versions = {version for version, word in WORDS.items() for passage in passages if word in passage}
        assert len(versions) == 1, passages
        found = {part for part in range(PARTS) for passage in passages if f"part {part} the" in passage}
        assert found == set(range(PARTS)), passages
        return next(iter(versions))

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        stop = asyncio.Event()

        async def ask() -> None:
            while not stop.is_set():
                self.seen.append(await self.ask())
                await asyncio.sleep(0.01)

        task = asyncio.create_task(ask())
        try:
            yield
        finally:
            stop.set()
            await task
        assert self.seen == sorted(self.seen), "an old version came back"
