"""The steps at which workers are killed, and readers that watch what a store answers meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.gateway.vector_stores.conftest import Client

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


class Reader:
    """Asks a store all the time; `seen` has the versions of its answers, one question after another."""

    def __init__(self, client: Client, store: str) -> None:
        self._client = client
        self._store = store
        self.seen: list[str] = []

    async def ask(self) -> str:
        """Return the version that answers, having made sure that it is one and whole."""
        passages = await self._client.search(self._store, "What is the kettle made of?", max_num_results=50)
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
