"""The one place that opens things, and closes them in reverse."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from gateway.adapters.base_change import settle_base_change
from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.import_job import ImportHandler
from gateway.adapters.publish import AdapterPublisher
from gateway.adapters.trainer import Trainer
from gateway.adapters.verify import AdapterVerifier
from gateway.answering.service import AnsweringService
from gateway.answers.log import AnswerLog
from gateway.artifacts import Artifacts
from gateway.db import Database, open_database
from gateway.engines import Connections, EnginePool, Reconciler, Timeouts, VllmEngine
from gateway.engines.repository import announce_base, read_announced_base
from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.token_counter import TokenCounter
from gateway.files import FileRow
from gateway.files.garbage_collection import COLLECT, GarbageCollector
from gateway.files.service import FileUses
from gateway.fine_tuning import FineTuningJobRow
from gateway.fine_tuning.train_job import TrainHandler
from gateway.jobs import Handler, Worker, WorkerTimings
from gateway.metrics import Metrics
from gateway.migrations import migrate
from gateway.settings import Settings
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Authenticator
from gateway.vector_stores import DocumentVersionRow
from gateway.vector_stores.index_watch import IndexWatch
from gateway.vector_stores.ingest import IngestHandler
from gateway.vector_stores.reindex import REINDEX, ReindexHandler
from gateway.vector_stores.remove import REMOVE, DropHandler, RemoveHandler
from gateway.vector_stores.search import touch
from gateway.vector_stores.versions import DROP, INGEST, delete_documents_of
from gateway.web.state import State
from retrieval.client import Retriever

__all__ = ["DIGESTS", "open_handlers", "open_state", "open_worker"]

DIGESTS = (
    FileRow.digest,
    DocumentVersionRow.digest,
    FineTuningJobRow.rows_digest,
    FineTuningJobRow.validation_rows_digest,
)
"""Every column that refers to bytes in the artifacts: what none of them names is garbage."""


@asynccontextmanager
async def open_state(settings: Settings) -> AsyncGenerator[State]:
    """Open everything that a gateway process needs."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_open_database(settings))
        await migrate(database)
        base = await _settle_base(database, ServedBaseModel.find(settings))
        connections = await stack.enter_async_context(Connections(idle_seconds=settings.engine_idle_seconds))
        pool, reconciler = await stack.enter_async_context(_open_engines(settings, connections, database))
        retriever = await stack.enter_async_context(Retriever(settings.retriever_socket))
        drain, counter = Drain(), TokenCounter(pool)
        metrics = Metrics(running=lambda: drain.running)
        answers = AnswerLog(database, counter, partial(touch, database), metrics)
        await stack.enter_async_context(_running(answers.run()))
        stack.push_async_callback(answers.flush)
        answering = AnsweringService(
            database,
            pool,
            reconciler,
            retriever,
            counter,
            answers,
            metrics,
            drain,
            folds_system=base is not None and base.folds_system,
        )
        yield State(
            settings=settings,
            started=int(time.time()),
            base=base,
            database=database,
            artifacts=Artifacts(settings.artifacts),
            authenticator=Authenticator(database),
            pool=pool,
            reconciler=reconciler,
            retriever=retriever,
            metrics=metrics,
            drain=drain,
            parts={AnswerLog: answers, AnsweringService: answering, FileUses: FileUses(delete_documents_of)},
        )


@asynccontextmanager
async def open_worker(settings: Settings, timings: WorkerTimings | None = None) -> AsyncGenerator[Worker, None]:
    """Open everything that a worker process needs; `run` it until it is stopped."""
    async with _open_database(settings) as database:
        await migrate(database)
        async with open_handlers(settings, database) as handlers, _watch_index(settings, database):
            name = f"{socket.gethostname()}:{os.getpid()}"
            # One slot more than kinds that may take one for hours: a document never waits for those.
            yield Worker(database, handlers, name=name, slots=3, single=("train", "import"), timings=timings)


@asynccontextmanager
async def open_handlers(settings: Settings, database: Database) -> AsyncGenerator[Mapping[str, Handler], None]:
    """Open what the jobs of a worker need; the handlers are by kind of job."""
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(Connections(idle_seconds=settings.engine_idle_seconds))
        retriever = await stack.enter_async_context(Retriever(settings.retriever_socket))
        artifacts, base = Artifacts(settings.artifacts), ServedBaseModel.load(settings)
        await _settle_base(database, base)
        _, reconciler = await stack.enter_async_context(_open_engines(settings, connections, database))
        work, checks = settings.home.resolve() / "work", [AdapterVerifier(reconciler)]
        publisher = AdapterPublisher(artifacts, base, checks, work, max_rank=settings.max_lora_rank)
        trainer = Trainer(
            settings.model_python,
            settings.home.resolve() / "logs" / "training",
            device=settings.training_device,
            wait_seconds=settings.training_wait_seconds,
        )
        yield {
            INGEST: IngestHandler(artifacts, retriever),
            REINDEX: ReindexHandler(artifacts, retriever),
            REMOVE: RemoveHandler(retriever),
            DROP: DropHandler(retriever),
            COLLECT: GarbageCollector(database, artifacts, DIGESTS),
            "train": TrainHandler(artifacts, publisher, trainer),
            "import": ImportHandler(artifacts, publisher, trainer),
        }


async def _settle_base(database: Database, base: ServedBaseModel | None) -> ServedBaseModel | None:
    """Return the base model that engines serve, with the adapters in their states on it; None while nobody knows it.

    Args:
        database: Has what another process announced.
        base: The one whose files are here.
    """
    if base is None:
        async with database.read() as session:
            return await read_announced_base(session)
    async with database.begin() as session:
        await announce_base(session, base)
        await settle_base_change(session, base)
    return base


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_database(
        settings.database,
        connections=settings.database_connections,
        wait_seconds=settings.database_wait_seconds,
        statement_seconds=settings.database_statement_seconds,
    )


@asynccontextmanager
async def _open_engines(
    settings: Settings, connections: Connections, database: Database
) -> AsyncGenerator[tuple[EnginePool, Reconciler]]:
    """Watch the engines and keep on them what the database wants: gateways do it to route, workers for their jobs."""
    desired = DesiredAdapters(database, settings)
    timeouts = Timeouts(
        connect=settings.engine_connect_seconds,
        first_byte=settings.engine_first_byte_seconds,
        gap=min(settings.engine_gap_seconds, settings.engine_first_byte_seconds),
    )
    async with (
        EnginePool([VllmEngine(url, connections, timeouts) for url in settings.replica_urls]) as pool,
        Reconciler(pool, desired, folder=desired.folder, known=desired.known) as reconciler,
    ):
        yield pool, reconciler


@asynccontextmanager
async def _watch_index(settings: Settings, database: Database) -> AsyncGenerator[None]:
    async with Retriever(settings.retriever_socket) as retriever:
        async with _running(IndexWatch(database, retriever, automatic=settings.reindex_automatically).run()):
            yield


@asynccontextmanager
async def _running(loop: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
