"""A worker for documents as a process of its own: `python -m tests.gateway.vector_stores.worker_process HOME`."""

import asyncio
import signal
import sys
from pathlib import Path

from gateway.artifacts import Artifacts
from gateway.db import open_database
from gateway.jobs import Worker
from gateway.migrations import migrate
from gateway.settings import Settings
from gateway.vector_stores.ingest import IngestHandler
from gateway.vector_stores.remove import DropHandler, RemoveHandler
from retrieval.client import Retriever


async def main(home: str) -> None:
    settings = Settings(home=Path(home))
    async with open_database(settings.database) as database, Retriever(settings.retriever_socket) as retriever:
        await migrate(database)
        handlers = {
            "ingest": IngestHandler(Artifacts(settings.artifacts), retriever),
            "remove": RemoveHandler(retriever),
            "drop": DropHandler(retriever),
        }
        worker = Worker(database, handlers, name="w", lease_seconds=0.6, idle_seconds=0.02, pauses=(0.01, 0.01))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
