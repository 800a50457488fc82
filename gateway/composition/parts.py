"""The parts that gateways and workers both open: database, base model, engines, retriever, answering."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.adapters.base_change import settle_base_change
from gateway.adapters.desired import DesiredAdapters
from gateway.answering.search_decision import SearchDecider
from gateway.answering.service import AnsweringService
from gateway.answering.turn import load_turn_classifier
from gateway.answers.counts import AnswerCounts
from gateway.answers.log import AnswerLog
from gateway.db import Database, open_database
from gateway.engines import Connections, Engine, EnginePool, Reconciler, Timeouts
from gateway.engines.base_traits import BaseTraits
from gateway.engines.repository import announce_base, read_announced_base
from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.token_counter import TokenCounter
from gateway.ids import find_cause
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.shutdown import Drain
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.vector_stores.search import touch
from retrieval.client import Retriever

__all__ = [
    "AnsweringParts",
    "make_retriever",
    "open_answering",
    "open_configured_database",
    "open_engines",
    "running",
    "settle_base",
]

_BACKGROUND_COUNTS = 2  # texts that an engine counts at once for records of answers


@dataclass(frozen=True, slots=True)
class AnsweringParts:
    service: AnsweringService
    answers: AnswerLog
    rewriter: QuestionRewriter


@asynccontextmanager
async def open_answering(
    settings: Settings,
    database: Database,
    base: ServedBaseModel | None,
    pool: EnginePool,
    reconciler: Reconciler,
    retriever: Retriever,
    metrics: Metrics,
    drain: Drain,
) -> AsyncGenerator[AnsweringParts]:
    """Open what answers are made by: gateways answer clients, workers the questions of evals."""
    counter, traits = TokenCounter(pool), BaseTraits(pool, base)
    rewriter = QuestionRewriter(pool, metrics, traits, seconds=settings.rewrite_seconds)
    counts = AnswerCounts(database, counter.make_sibling(_BACKGROUND_COUNTS), metrics)
    answers = AnswerLog(database, counts, partial(touch, database), metrics)
    decider = SearchDecider(load_turn_classifier(), rewriter)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(counts.run()))
        await stack.enter_async_context(running(answers.run()))
        stack.push_async_callback(counts.close)
        stack.push_async_callback(answers.close)
        stack.push_async_callback(drain.finish, 0.0)  # what is cut settles first, else its record would come too late
        service = AnsweringService(
            database, pool, reconciler, retriever, counter, answers, metrics, drain, decider, traits=traits
        )
        yield AnsweringParts(service, answers, rewriter)


async def settle_base(database: Database, base: ServedBaseModel | None) -> ServedBaseModel | None:
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


def make_retriever(settings: Settings) -> Retriever:
    return Retriever(settings.retriever_socket, settings.second_retriever_socket, cause=find_cause)


def open_configured_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_database(
        settings.database,
        connections=settings.database_connections,
        wait_seconds=settings.database_wait_seconds,
        statement_seconds=settings.database_statement_seconds,
    )


@asynccontextmanager
async def open_engines(
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
        EnginePool([Engine(url, connections, timeouts) for url in settings.replica_urls]) as pool,
        Reconciler(pool, desired, folder=desired.folder, find_names=desired.find_names) as reconciler,
    ):
        yield pool, reconciler


@asynccontextmanager
async def running(loop: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
