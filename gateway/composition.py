"""The one place that opens things, and closes them in reverse."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from gateway.adapters.base_change import settle_base_change
from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.import_job import ImportHandler
from gateway.adapters.lifecycle import GONE
from gateway.adapters.publish import AdapterPublisher
from gateway.adapters.service import list_stored
from gateway.adapters.tables import AdapterRow
from gateway.adapters.trainer import Trainer
from gateway.adapters.verify import AdapterVerifier
from gateway.answering.search_decision import SearchDecider
from gateway.answering.service import AnsweringService
from gateway.answering.turn import TurnClassifier
from gateway.answering.turn_words import load_turn_words
from gateway.answers.counts import AnswerCounts
from gateway.answers.log import AnswerLog
from gateway.answers.service import CitedDocuments, delete_old_answers
from gateway.artifacts import Artifacts
from gateway.chat.in_process import InProcessChat
from gateway.db import Database, open_database
from gateway.engines import Connections, EnginePool, Reconciler, Timeouts, VllmEngine
from gateway.engines.base_traits import BaseTraits
from gateway.engines.repository import announce_base, read_announced_base
from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.token_counter import TokenCounter
from gateway.evals import EvalRunRow
from gateway.evals.run_job import EvalRunHandler
from gateway.evals.run_service import EVAL_RUN, delete_old_runs
from gateway.evaluation_jobs import EvaluationRow
from gateway.evaluation_jobs.calibrator import Calibrator
from gateway.evaluation_jobs.evaluate_job import EvaluateHandler
from gateway.evaluation_jobs.question_writer import QuestionWriter
from gateway.evaluation_jobs.service import EVALUATE
from gateway.files import FileRow, UploadPartRow, UploadRow
from gateway.files.expiry import Expiry
from gateway.files.garbage_collection import COLLECT, GarbageCollector
from gateway.files.orphans import OrphanSweep
from gateway.files.service import FileUses
from gateway.fine_tuning import FineTuningJobRow
from gateway.fine_tuning.estimate import read_price
from gateway.fine_tuning.event_log import delete_old_events
from gateway.fine_tuning.event_stream import EventStreams
from gateway.fine_tuning.facts_gate import FactsGate
from gateway.fine_tuning.train_job import TrainHandler
from gateway.gates import GateRow
from gateway.gates.gate_job import GateHandler
from gateway.gates.service import GATE
from gateway.health.admin import AdminApp, serve_admin
from gateway.health.figures import Figures
from gateway.health.readiness import RemoteParts, check_readiness, check_worker
from gateway.jobs import Chore, Handler, Housekeeper, Worker, WorkerTimings, delete_ended, delete_older
from gateway.metrics import Metrics
from gateway.migrations import migrate
from gateway.settings import Settings
from gateway.shutdown import Drain
from gateway.sources.kinds import SourceOpener
from gateway.sources.schedule import FolderWatch, SyncSchedule
from gateway.sources.sync_job import SYNC, SyncHandler
from gateway.tenants.authenticator import Authenticator
from gateway.tenants.repository import sum_by_tenant
from gateway.tenants.storage import SumBytes, TenantStorage
from gateway.vector_stores import DocumentVersionRow
from gateway.vector_stores.index_migration_watch import IndexMigrationWatch
from gateway.vector_stores.index_watch import IndexWatch
from gateway.vector_stores.ingest import IngestHandler
from gateway.vector_stores.mirror import MIRROR, MirrorHandler
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.vector_stores.reindex import REINDEX, ReindexHandler
from gateway.vector_stores.remove import REMOVE, DropHandler, RemoveHandler
from gateway.vector_stores.search import touch
from gateway.vector_stores.service import find_live
from gateway.vector_stores.versions import DROP, INGEST, delete_documents_of
from gateway.web.access_log import AccessLog
from gateway.web.request_log import RequestLog
from gateway.web.state import State
from retrieval.client import Retriever

__all__ = ["DIGESTS", "STORED", "open_gateway_admin", "open_handlers", "open_state", "open_worker"]

DIGESTS = (
    FileRow.digest,
    UploadPartRow.digest,
    DocumentVersionRow.digest,
    FineTuningJobRow.rows_digest,
    FineTuningJobRow.validation_rows_digest,
    FineTuningJobRow.state_digest,
    EvaluationRow.questions_digest,
    EvaluationRow.report_digest,
    EvalRunRow.items_digest,
    GateRow.rows_digest,
    GateRow.training_digest,
    GateRow.report_digest,
)
"""Every column that refers to bytes in the artifacts: what none of them names is garbage."""

STORED: Mapping[str, SumBytes] = {
    "files": partial(sum_by_tenant, column=FileRow.bytes),
    "uploads": partial(sum_by_tenant, column=UploadRow.bytes, where=UploadRow.status == "pending"),
    "adapters": partial(
        sum_by_tenant, column=AdapterRow.bytes, where=AdapterRow.status.not_in([status.value for status in GONE])
    ),
    "training_rows": partial(sum_by_tenant, column=FineTuningJobRow.rows_bytes),
    "training_states": partial(sum_by_tenant, column=FineTuningJobRow.state_bytes),
    "evaluations": partial(sum_by_tenant, column=EvaluationRow.bytes),
    "evals": partial(sum_by_tenant, column=EvalRunRow.bytes),
    "gates": partial(sum_by_tenant, column=GateRow.bytes),
}
"""All of a tenant's storage. Documents' versions are files; a pending upload keeps the room for what it announced."""

# Between two looks for what has had its time: at rows by an index, and at the folders of all bytes.
_ROWS_SECONDS, _BYTES_SECONDS = 600.0, 3600.0

_BACKGROUND_COUNTS = 2  # texts that an engine counts at once for records of answers


@asynccontextmanager
async def open_state(settings: Settings) -> AsyncGenerator[State]:
    """Open everything that a gateway process needs."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_open_database(settings))
        await migrate(database)
        base = await _settle_base(database, ServedBaseModel.find(settings))
        connections = await stack.enter_async_context(Connections(idle_seconds=settings.engine_idle_seconds))
        pool, reconciler = await stack.enter_async_context(_open_engines(settings, connections, database))
        retriever = await stack.enter_async_context(_make_retriever(settings))
        drain, metrics = Drain(), Metrics()
        metrics.read_from("braid_chat_running", lambda: {(): float(drain.running)})
        figures = Figures(metrics, database, pool, reconciler)
        lines = AccessLog() if settings.access_log and settings.log_level.lower() in ("debug", "info") else None
        if lines is not None:
            stack.callback(lines.flush)
        answering = await stack.enter_async_context(
            _open_answering(settings, database, base, pool, reconciler, retriever, metrics, drain)
        )
        yield State(
            settings=settings,
            started=int(time.time()),
            base=base,
            database=database,
            artifacts=Artifacts(settings.artifacts),
            authenticator=Authenticator(database),
            storage=TenantStorage(database, STORED, settings.tenant_storage_bytes, settings.max_file_bytes),
            pool=pool,
            reconciler=reconciler,
            retriever=retriever,
            metrics=metrics,
            requests=RequestLog(metrics, lines),
            drain=drain,
            parts={
                AnswerLog: answering.answers,
                AnsweringService: answering.service,
                QuestionRewriter: answering.rewriter,
                FileUses: FileUses(delete_documents_of),
                CitedDocuments: CitedDocuments(find_live),
                Figures: figures,
                RemoteParts: RemoteParts(database, retriever),
                EventStreams: EventStreams(database, drain),
            },
        )


@dataclass(frozen=True, slots=True)
class _AnsweringParts:
    service: AnsweringService
    answers: AnswerLog
    rewriter: QuestionRewriter


@asynccontextmanager
async def _open_answering(
    settings: Settings,
    database: Database,
    base: ServedBaseModel | None,
    pool: EnginePool,
    reconciler: Reconciler,
    retriever: Retriever,
    metrics: Metrics,
    drain: Drain,
) -> AsyncGenerator[_AnsweringParts]:
    """Open what answers are made by: gateways answer clients, workers the questions of evals."""
    counter, traits = TokenCounter(pool), BaseTraits(pool, base)
    rewriter = QuestionRewriter(pool, metrics, traits, seconds=settings.rewrite_seconds)
    counts = AnswerCounts(database, counter.beside(_BACKGROUND_COUNTS), metrics)
    answers = AnswerLog(database, counts, partial(touch, database), metrics)
    decider = SearchDecider(TurnClassifier(load_turn_words()), rewriter)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_running(counts.run()))
        await stack.enter_async_context(_running(answers.run()))
        stack.push_async_callback(counts.close)
        stack.push_async_callback(answers.flush)
        stack.push_async_callback(drain.finish, 0.0)  # what is cut settles first, else its record would come too late
        service = AnsweringService(
            database, pool, reconciler, retriever, counter, answers, metrics, drain, decider, traits=traits
        )
        yield _AnsweringParts(service, answers, rewriter)


@asynccontextmanager
async def open_gateway_admin(settings: Settings, state: State) -> AsyncGenerator[int | None]:
    """Serve the gateway's admin port, and yield its number; None where it can't be had."""
    figures, remote = cast(Figures, state.parts[Figures]), cast(RemoteParts, state.parts[RemoteParts])
    check = partial(check_readiness, remote, state.pool, state.reconciler, state.drain)
    app = AdminApp(figures, check, state.pool, state.reconciler)
    async with serve_admin(settings.admin_host, settings.gateway_admin_port, app) as port:
        yield port


@dataclass(frozen=True, slots=True)
class _WorkerParts:
    retriever: Retriever
    pool: EnginePool
    reconciler: Reconciler
    answering: AnsweringService
    rewriter: QuestionRewriter


@asynccontextmanager
async def open_worker(
    settings: Settings, timings: WorkerTimings | None = None, *, admin: bool = False
) -> AsyncGenerator[Worker, None]:
    """Open everything that a worker process needs; `run` it until it is stopped. `admin` serves its admin port too."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_open_database(settings))
        await migrate(database)
        metrics = Metrics()
        parts = await stack.enter_async_context(_open_worker_parts(settings, database, metrics))
        if admin:
            figures = Figures(metrics, database, parts.pool, parts.reconciler)
            check = partial(check_worker, RemoteParts(database, parts.retriever), parts.pool)
            app = AdminApp(figures, check, parts.pool, parts.reconciler)
            await stack.enter_async_context(serve_admin(settings.admin_host, settings.worker_admin_port, app))
        await stack.enter_async_context(_watch_index(settings, database))
        await stack.enter_async_context(_running(SyncSchedule(database).run()))
        await stack.enter_async_context(_running(FolderWatch(database, settings).run()))
        housekeeper = Housekeeper(_make_chores(settings, database), metrics.count_removed)
        await stack.enter_async_context(_running(housekeeper.run()))
        yield Worker(
            database,
            _make_handlers(settings, database, parts),
            name=f"{socket.gethostname()}:{os.getpid()}",
            slots=7,  # one more than kinds that may take one for long: a document never waits for those
            single=("train", "import", EVALUATE, EVAL_RUN, GATE, SYNC),
            timings=timings,
            on_end=metrics.count_job,
        )


@asynccontextmanager
async def open_handlers(settings: Settings, database: Database) -> AsyncGenerator[Mapping[str, Handler], None]:
    """Open what the jobs of a worker need; the handlers are by kind of job."""
    async with _open_worker_parts(settings, database, Metrics()) as parts:
        yield _make_handlers(settings, database, parts)


@asynccontextmanager
async def _open_worker_parts(settings: Settings, database: Database, metrics: Metrics) -> AsyncGenerator[_WorkerParts]:
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(Connections(idle_seconds=settings.engine_idle_seconds))
        retriever = await stack.enter_async_context(_make_retriever(settings))
        base = await _settle_base(database, ServedBaseModel.load(settings))
        pool, reconciler = await stack.enter_async_context(_open_engines(settings, connections, database))
        answering = await stack.enter_async_context(
            _open_answering(settings, database, base, pool, reconciler, retriever, metrics, Drain())
        )
        yield _WorkerParts(retriever, pool, reconciler, answering.service, answering.rewriter)


def _make_handlers(settings: Settings, database: Database, parts: _WorkerParts) -> dict[str, Handler]:
    artifacts, base = Artifacts(settings.artifacts), ServedBaseModel.load(settings)
    work, checks = settings.home.resolve() / "work", [AdapterVerifier(parts.reconciler)]
    publisher = AdapterPublisher(artifacts, base, checks, work, max_rank=settings.max_lora_rank)
    trainer = Trainer(
        settings.model_python,
        settings.home.resolve() / "logs" / "training",
        device=settings.training_device,
        wait_seconds=settings.training_wait_seconds,
    )
    storage = TenantStorage(database, STORED, settings.tenant_storage_bytes, settings.max_file_bytes)
    traits = BaseTraits(parts.pool, base)
    writer = QuestionWriter(parts.pool, traits)
    calibrator = Calibrator(database, parts.retriever, writer)
    chat = InProcessChat(parts.answering, grammars=settings.allow_grammars)
    return {
        INGEST: IngestHandler(artifacts, parts.retriever),
        REINDEX: ReindexHandler(artifacts, parts.retriever),
        MIRROR: MirrorHandler(artifacts, parts.retriever),
        REMOVE: RemoveHandler(parts.retriever),
        DROP: DropHandler(parts.retriever),
        SYNC: SyncHandler(artifacts, parts.retriever, storage, SourceOpener(settings)),
        COLLECT: GarbageCollector(database, artifacts, DIGESTS),
        EVALUATE: EvaluateHandler(database, artifacts, parts.retriever, storage, calibrator),
        EVAL_RUN: EvalRunHandler(artifacts, chat.complete, parts.retriever),
        "train": TrainHandler(
            artifacts,
            storage,
            publisher,
            trainer,
            FactsGate(database, parts.retriever, artifacts),
            read_price(settings),
        ),
        GATE: GateHandler(
            *(database, artifacts, parts.retriever, parts.pool, parts.reconciler),
            SearchDecider(TurnClassifier(load_turn_words()), parts.rewriter),
            traits,
        ),
        "import": ImportHandler(artifacts, storage, publisher, trainer),
    }


def _make_chores(settings: Settings, database: Database) -> list[Chore]:
    expiry = Expiry(database, FileUses(delete_documents_of))
    orphans = OrphanSweep(database, Artifacts(settings.artifacts), DIGESTS, list_stored)
    return [
        Chore("answers", _ROWS_SECONDS, partial(delete_older, database, delete_old_answers, settings.answer_days)),
        Chore("jobs", _ROWS_SECONDS, partial(delete_older, database, delete_ended, settings.job_days)),
        Chore("events", _ROWS_SECONDS, partial(delete_older, database, delete_old_events, settings.event_days)),
        Chore("eval runs", _ROWS_SECONDS, partial(delete_older, database, delete_old_runs, settings.eval_run_days)),
        Chore("expired files", _ROWS_SECONDS, expiry.expire_files),
        Chore("uploads", _ROWS_SECONDS, expiry.expire_uploads),
        Chore("files", _BYTES_SECONDS, orphans.sweep_files),
        Chore("adapters", _BYTES_SECONDS, orphans.sweep_adapters),
    ]


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


def _make_retriever(settings: Settings) -> Retriever:
    return Retriever(settings.retriever_socket, settings.second_retriever_socket)


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
    async with _make_retriever(settings) as retriever:
        async with (
            _running(IndexWatch(database, retriever, automatic=settings.reindex_automatically).run()),
            _running(IndexMigrationWatch(database, retriever).run()),
        ):
            yield


@asynccontextmanager
async def _running(loop: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
