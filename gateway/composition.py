"""The one place that opens things, and closes them in reverse."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from gateway.adapters.admission import Admission
from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.take_in import ImportHandler
from gateway.adapters.trainer import Trainer
from gateway.adapters.trial import Trial
from gateway.answering.service import AnsweringService
from gateway.answers.log import AnswerLog
from gateway.artifacts import Artifacts
from gateway.db import open_database
from gateway.engines import Connections, EnginePool, Reconciler, VllmEngine
from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.token_counter import TokenCounter
from gateway.files import FileRow
from gateway.files.garbage_collection import GarbageCollector
from gateway.fine_tuning.train import TrainHandler
from gateway.jobs import Handler, Worker
from gateway.metrics import Metrics
from gateway.migrations import migrate
from gateway.settings import Settings
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Authenticator
from gateway.vector_stores import DocumentVersionRow
from gateway.vector_stores.ingest import IngestHandler
from gateway.vector_stores.remove import DropHandler, RemoveHandler
from gateway.vector_stores.search import touch
from gateway.web.state import State
from retrieval.client import Retriever

__all__ = ["open_state", "open_worker"]


@asynccontextmanager
async def open_state(settings: Settings) -> AsyncGenerator[State]:
    """Open everything that a gateway process needs."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database))
        await migrate(database)
        connections = await stack.enter_async_context(Connections())
        engines = [VllmEngine(url, connections) for url in settings.replica_urls]
        pool = await stack.enter_async_context(EnginePool(engines))
        reconciler = await stack.enter_async_context(Reconciler(pool, DesiredAdapters(database, settings)))
        retriever = await stack.enter_async_context(Retriever(settings.retriever_socket))
        drain, counter = Drain(), TokenCounter(pool)
        metrics = Metrics(running=lambda: drain.running)
        answers = AnswerLog(database, counter, partial(touch, database), metrics)
        await stack.enter_async_context(_running(answers.run()))
        stack.push_async_callback(answers.flush)
        answering = AnsweringService(database, pool, reconciler, retriever, counter, answers, metrics, drain)
        yield State(
            settings=settings,
            started=int(time.time()),
            base=ServedBaseModel.find(settings),
            database=database,
            artifacts=Artifacts(settings.artifacts),
            authenticator=Authenticator(database),
            pool=pool,
            reconciler=reconciler,
            retriever=retriever,
            metrics=metrics,
            drain=drain,
            parts={AnswerLog: answers, AnsweringService: answering},
        )


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncGenerator[Worker, None]:
    """Open everything that a worker process needs; `run` it until it is stopped."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database))
        await migrate(database)
        connections = await stack.enter_async_context(Connections())
        retriever = await stack.enter_async_context(Retriever(settings.retriever_socket))
        artifacts, base = Artifacts(settings.artifacts), ServedBaseModel.load(settings)
        trial = Trial([VllmEngine(url, connections) for url in settings.replica_urls])
        wanted = DesiredAdapters(database, settings)
        admission = Admission(artifacts, base, wanted, trial, max_rank=settings.max_lora_rank)
        trainer, work = Trainer(settings.model_python), settings.home.resolve() / "work"
        handlers: dict[str, Handler] = {
            "ingest": IngestHandler(artifacts, retriever),
            "remove": RemoveHandler(retriever),
            "drop": DropHandler(retriever),
            "forget": GarbageCollector(database, artifacts, [FileRow.digest, DocumentVersionRow.digest]),
            "train": TrainHandler(artifacts, admission, trainer, work),
            "import": ImportHandler(artifacts, admission, trainer, work),
        }
        yield Worker(database, handlers, name=f"{socket.gethostname()}:{os.getpid()}", single=("train", "import"))


@asynccontextmanager
async def _running(loop: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
