"""A worker process's parts, and the handler of each kind of job."""

import os
import socket
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from gateway.adapters.executor import Executor, LocalExecutor
from gateway.adapters.import_job import ImportHandler
from gateway.adapters.publish import AdapterPublisher
from gateway.adapters.ray_executor import RayExecutor
from gateway.adapters.ray_jobs import RayJobs
from gateway.adapters.service import count_with_stale_facts, list_stored
from gateway.adapters.trainer import TrainerProgram
from gateway.adapters.verify import AdapterVerifier
from gateway.advice.advisor import Advisor
from gateway.answering.release_searcher import ReleaseSearcher
from gateway.answering.row_passages import RowPassages
from gateway.answering.search_decision import SearchDecider
from gateway.answering.service import AnsweringService
from gateway.answering.turn import load_turn_classifier
from gateway.answers.service import delete_old_answers
from gateway.artifacts import Artifacts
from gateway.chat.in_process import InProcessChat
from gateway.comparisons.comparison_job import ComparisonHandler
from gateway.comparisons.service import COMPARE, delete_old_comparisons
from gateway.composition.parts import (
    make_retriever,
    open_answering,
    open_configured_database,
    open_engines,
    running,
    settle_base,
)
from gateway.composition.stored import BYTE_SELECTS
from gateway.db import Database
from gateway.diagnoses.diagnosis_job import DiagnosisHandler
from gateway.diagnoses.service import DIAGNOSE, delete_old_diagnoses
from gateway.engine_options import EngineOptions
from gateway.engines import Connections, EnginePool, Reconciler
from gateway.engines.base_traits import BaseTraits
from gateway.engines.served_base_model import ServedBaseModel
from gateway.evals.run_job import EvalRunHandler
from gateway.evals.run_service import EVAL_RUN, delete_old_runs
from gateway.evaluation_jobs.calibrator import Calibrator
from gateway.evaluation_jobs.evaluate_job import EvaluateHandler
from gateway.evaluation_jobs.question_writer import QuestionWriter
from gateway.evaluation_jobs.service import ADVISE, EVALUATE, delete_old_evaluations
from gateway.files.expiry import Expiry
from gateway.files.garbage_collection import COLLECT, GarbageCollector
from gateway.files.orphans import OrphanSweep
from gateway.files.service import FileUses
from gateway.fine_tuning.estimate import read_price
from gateway.fine_tuning.event_log import delete_old_events
from gateway.fine_tuning.facts_gate import FactsGate
from gateway.fine_tuning.parity import ParityProof
from gateway.fine_tuning.rehearsal import Rehearsal
from gateway.fine_tuning.row_preparation import RowPreparer
from gateway.fine_tuning.stale_facts_watch import StaleFactsWatch
from gateway.fine_tuning.train_job import TrainHandler
from gateway.gates.gate_job import GateHandler
from gateway.gates.judging_parts import JudgingParts
from gateway.gates.service import GATE, delete_old_gates
from gateway.health.admin import AdminApp, serve_admin
from gateway.health.figures import Figures
from gateway.health.readiness import RemoteParts, check_worker
from gateway.jobs import (
    BelievedClock,
    Chore,
    Handler,
    Housekeeper,
    Worker,
    WorkerTimings,
    delete_ended,
    delete_older,
    wake_jobs,
)
from gateway.metrics import Metrics
from gateway.migrations import migrate
from gateway.migrations.digests import DIGESTS
from gateway.settings import Settings, SettingsError
from gateway.shutdown import Drain
from gateway.sources.kinds import SourceOpener
from gateway.sources.schedule import FolderWatch, SyncSchedule
from gateway.sources.sync_job import SYNC, SyncHandler
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.index_migration_watch import IndexMigrationWatch
from gateway.vector_stores.index_watch import IndexWatch
from gateway.vector_stores.ingest import IngestHandler
from gateway.vector_stores.mirror import MIRROR, MirrorHandler
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.vector_stores.reindex import REINDEX, ReindexHandler
from gateway.vector_stores.remove import REMOVE, DropHandler, RemoveHandler
from gateway.vector_stores.restored_index import forget_restored_index
from gateway.vector_stores.store_queue import DROP, INGEST
from gateway.vector_stores.versions import delete_documents_of
from retrieval.client import Retriever

__all__ = ["open_handlers", "open_worker"]

_SINGLE = ("train", "import", EVALUATE, ADVISE, EVAL_RUN, COMPARE, GATE, DIAGNOSE, SYNC)
"""Kinds that may take a slot for long, one at a time each. There are two slots more, so that a document never waits
for them, nor an edit for documents."""
# Between two looks for what has had its time: at rows by an index, and at the folders of all bytes.
_CLOCK_SECONDS, _ROWS_SECONDS, _BYTES_SECONDS = 60.0, 600.0, 3600.0
_REPORTS = {
    "evaluations": delete_old_evaluations,
    "comparisons": delete_old_comparisons,
    "gates": delete_old_gates,
    "diagnoses": delete_old_diagnoses,
}


@dataclass(frozen=True, slots=True)
class _WorkerParts:
    retriever: Retriever
    executor: Executor
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
        database = await stack.enter_async_context(open_configured_database(settings))
        await migrate(database)
        await forget_restored_index(database, settings.home)
        metrics = Metrics()
        parts = await stack.enter_async_context(_open_worker_parts(settings, database, metrics))
        if admin:
            figures = Figures(metrics, database, parts.pool, parts.reconciler, parts.retriever, count_with_stale_facts)
            check = partial(check_worker, RemoteParts(database, parts.retriever), parts.pool)
            app = AdminApp(figures, check, parts.pool, parts.reconciler)
            await stack.enter_async_context(serve_admin(settings.admin_host, settings.worker_admin_port, app))
        await stack.enter_async_context(_watch_index(settings, database))
        await stack.enter_async_context(running(SyncSchedule(database).run()))
        await stack.enter_async_context(running(FolderWatch(database, settings).run()))
        watch = StaleFactsWatch(database, parts.retriever, Artifacts(settings.artifacts, settings.home))
        await stack.enter_async_context(running(watch.run()))
        clock = BelievedClock(database)
        housekeeper = Housekeeper(_make_chores(settings, database, clock), metrics.count_removed)
        await stack.enter_async_context(running(housekeeper.run()))
        yield Worker(
            database,
            _make_handlers(settings, database, parts, clock),
            name=f"{socket.gethostname()}:{os.getpid()}",
            slots=len(_SINGLE) + 2,
            urgent_slots=1,
            single=_SINGLE,
            timings=timings,
            on_end=metrics.count_job,
        )


@asynccontextmanager
async def open_handlers(settings: Settings, database: Database) -> AsyncGenerator[Mapping[str, Handler], None]:
    """Open what the jobs of a worker need; the handlers are by kind of job."""
    async with _open_worker_parts(settings, database, Metrics()) as parts:
        yield _make_handlers(settings, database, parts, time.time)


@asynccontextmanager
async def _open_worker_parts(settings: Settings, database: Database, metrics: Metrics) -> AsyncGenerator[_WorkerParts]:
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(Connections(idle_seconds=settings.engine_idle_seconds))
        retriever = await stack.enter_async_context(make_retriever(settings))
        executor = await stack.enter_async_context(_open_executor(settings))
        base = await settle_base(database, ServedBaseModel.load(settings))
        pool, reconciler = await stack.enter_async_context(open_engines(settings, connections, database))
        answering = await stack.enter_async_context(
            open_answering(settings, database, base, pool, reconciler, retriever, metrics, Drain())
        )
        yield _WorkerParts(retriever, executor, pool, reconciler, answering.service, answering.rewriter)


@asynccontextmanager
async def _open_executor(settings: Settings) -> AsyncGenerator[Executor]:
    if settings.training_executor == "local":
        yield LocalExecutor(settings.model_python)
        return
    if not settings.ray_address:
        raise SettingsError(
            "BRAID_TRAINING_EXECUTOR is 'ray', and BRAID_RAY_ADDRESS is empty. Give the URL of the cluster's "
            "dashboard, such as http://ray-head:8265."
        )
    token = settings.ray_token.get_secret_value() if settings.ray_token is not None else None
    async with RayJobs(settings.ray_address, token) as jobs:
        yield RayExecutor(jobs, settings.model_python, cpus=settings.ray_cpus, gpus=settings.ray_gpus)


def _make_handlers(
    settings: Settings, database: Database, parts: _WorkerParts, clock: Callable[[], float]
) -> dict[str, Handler]:
    artifacts, base = Artifacts(settings.artifacts, settings.home), ServedBaseModel.load(settings)
    work, checks = settings.home.resolve() / "work", [AdapterVerifier(parts.reconciler)]
    publisher = AdapterPublisher(artifacts, base, checks, work, max_rank=settings.max_lora_rank)
    trainer = TrainerProgram(
        parts.executor,
        settings.home.resolve() / "logs" / "training",
        device=settings.training_device,
        wait_seconds=settings.training_wait_seconds,
        processes=settings.training_processes,
        engine_dtype=EngineOptions.parse(settings.engine_options).find_value("--dtype"),
    )
    storage = TenantStorage(database, BYTE_SELECTS, settings.tenant_storage_bytes, settings.max_file_bytes)
    traits = BaseTraits(parts.pool, base)
    writer = QuestionWriter(parts.pool, traits)
    calibrator = Calibrator(database, parts.retriever, writer)
    chat = InProcessChat(parts.answering, grammars=settings.allow_grammars)
    decider = SearchDecider(load_turn_classifier(), parts.rewriter)
    searcher = ReleaseSearcher(database, parts.retriever, decider)
    judging = JudgingParts(database, artifacts, parts.retriever, parts.pool, parts.reconciler, searcher, traits)
    advisor = Advisor(judging, read_price(settings))
    passages = RowPassages(searcher)
    evaluations = EvaluateHandler(database, artifacts, parts.retriever, storage, calibrator, advisor.advise)
    return {
        INGEST: IngestHandler(artifacts, parts.retriever),
        REINDEX: ReindexHandler(artifacts, parts.retriever),
        MIRROR: MirrorHandler(artifacts, parts.retriever),
        REMOVE: RemoveHandler(parts.retriever),
        DROP: DropHandler(parts.retriever),
        SYNC: SyncHandler(artifacts, parts.retriever, storage, SourceOpener(settings)),
        COLLECT: GarbageCollector(database, artifacts, DIGESTS, clock=clock),
        **dict.fromkeys((EVALUATE, ADVISE), evaluations),
        EVAL_RUN: EvalRunHandler(artifacts, chat.complete, parts.retriever),
        COMPARE: ComparisonHandler(artifacts, chat.complete),
        "train": TrainHandler(
            artifacts,
            storage,
            publisher,
            trainer,
            RowPreparer(database, parts.retriever, artifacts, storage, passages, base),
            FactsGate(database, parts.retriever, artifacts),
            Rehearsal(database, artifacts, storage, parts.pool, traits),
            ParityProof(parts.pool, traits),
            read_price(settings),
        ),
        GATE: GateHandler(judging),
        DIAGNOSE: DiagnosisHandler(judging, base),
        "import": ImportHandler(artifacts, storage, publisher, trainer),
    }


async def _wake(database: Database) -> int:
    now = time.time()
    async with database.begin(counted=False) as session:
        count = await wake_jobs(session, now)
    return count + await SyncSchedule(database).wake_sources(now)


def _make_chores(settings: Settings, database: Database, clock: BelievedClock) -> list[Chore]:
    expiry = Expiry(database, FileUses(delete_documents_of), clock)
    artifacts, hours = Artifacts(settings.artifacts, settings.home), settings.adapter_hours
    orphans = OrphanSweep(database, artifacts, DIGESTS, list_stored, adapter_hours=hours, clock=clock)
    delete = partial(delete_older, database, clock=clock)
    return [
        Chore("clock", _CLOCK_SECONDS, clock.follow),  # first: the others go by it
        Chore("waits of a clock that was ahead", _CLOCK_SECONDS, partial(_wake, database)),
        Chore("answers", _ROWS_SECONDS, partial(delete, delete_old_answers, settings.answer_days)),
        Chore("jobs", _ROWS_SECONDS, partial(delete, delete_ended, settings.job_days)),
        Chore("events", _ROWS_SECONDS, partial(delete, delete_old_events, settings.event_days)),
        Chore("eval runs", _ROWS_SECONDS, partial(delete, delete_old_runs, settings.eval_run_days)),
        *(
            Chore(name, _ROWS_SECONDS, partial(delete, delete_reports, settings.report_days))
            for name, delete_reports in _REPORTS.items()
        ),
        Chore("expired files", _ROWS_SECONDS, expiry.expire_files),
        Chore("uploads", _ROWS_SECONDS, expiry.expire_uploads),
        Chore("files", _BYTES_SECONDS, orphans.sweep_files),
        Chore("adapters", _BYTES_SECONDS, orphans.sweep_adapters),
    ]


@asynccontextmanager
async def _watch_index(settings: Settings, database: Database) -> AsyncGenerator[None]:
    async with make_retriever(settings) as retriever:
        async with (
            running(IndexWatch(database, retriever, automatic=settings.reindex_automatically).run()),
            running(IndexMigrationWatch(database, retriever).run()),
        ):
            yield
