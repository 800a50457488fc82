"""A gateway process's parts, opened in their order and closed in reverse."""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import cast

from gateway.adapters.service import count_with_stale_facts
from gateway.answering.service import AnsweringService
from gateway.answers.log import AnswerLog
from gateway.answers.service import CitedDocuments
from gateway.artifacts import Artifacts
from gateway.composition.parts import (
    make_retriever,
    open_answering,
    open_configured_database,
    open_engines,
    settle_base,
)
from gateway.composition.stored import BYTE_SELECTS
from gateway.engines import Connections
from gateway.engines.served_base_model import ServedBaseModel
from gateway.files.service import FileUses
from gateway.fine_tuning.event_stream import EventStreams
from gateway.gates.closed_book import ClosedBookPlaces
from gateway.health.admin import AdminApp, serve_admin
from gateway.health.figures import Figures
from gateway.health.readiness import RemoteParts, check_readiness
from gateway.metrics import Metrics
from gateway.migrations import migrate
from gateway.settings import Settings
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Authenticator
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.vector_stores.restored_index import forget_restored_index
from gateway.vector_stores.service import find_live
from gateway.vector_stores.versions import delete_documents_of
from gateway.web.access_log import AccessLog
from gateway.web.request_log import RequestLog
from gateway.web.state import State

__all__ = ["open_gateway_admin", "open_state"]


@asynccontextmanager
async def open_state(settings: Settings) -> AsyncGenerator[State]:
    """Open everything that a gateway process needs."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_configured_database(settings))
        await migrate(database)
        await forget_restored_index(database, settings.home)
        base = await settle_base(database, ServedBaseModel.find(settings))
        connections = await stack.enter_async_context(Connections(idle_seconds=settings.engine_idle_seconds))
        pool, reconciler = await stack.enter_async_context(open_engines(settings, connections, database))
        retriever = await stack.enter_async_context(make_retriever(settings))
        drain, metrics = Drain(), Metrics()
        metrics.read_from("braid_chat_running", lambda: {(): float(drain.running)})
        figures = Figures(metrics, database, pool, reconciler, retriever, count_with_stale_facts)
        lines = AccessLog() if settings.access_log and settings.log_level.lower() in ("debug", "info") else None
        if lines is not None:
            stack.callback(lines.flush)
        answering = await stack.enter_async_context(
            open_answering(settings, database, base, pool, reconciler, retriever, metrics, drain)
        )
        yield State(
            settings=settings,
            started_at=int(time.time()),
            base=base,
            database=database,
            artifacts=Artifacts(settings.artifacts, settings.home),
            authenticator=Authenticator(database),
            storage=TenantStorage(database, BYTE_SELECTS, settings.tenant_storage_bytes, settings.max_file_bytes),
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
                RemoteParts: RemoteParts(database, retriever, lambda: answering.answers.disk_is_full),
                EventStreams: EventStreams(database, drain),
                ClosedBookPlaces: ClosedBookPlaces(),
            },
        )


@asynccontextmanager
async def open_gateway_admin(settings: Settings, state: State) -> AsyncGenerator[int | None]:
    """Serve the gateway's admin port, and yield its number; None where it can't be had."""
    figures, remote = cast(Figures, state.parts[Figures]), cast(RemoteParts, state.parts[RemoteParts])
    check = partial(check_readiness, remote, state.pool, state.reconciler, state.drain)
    app = AdminApp(figures, check, state.pool, state.reconciler)
    async with serve_admin(settings.admin_host, settings.gateway_admin_port, app) as port:
        yield port
