"""The figures of a process, as Prometheus reads them, with those that only the database or the retriever knows."""

import time
from collections.abc import Awaitable, Callable

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import Pool, QueuePool

from gateway.db import Database
from gateway.engines import EnginePool, Reconciler
from gateway.jobs import count_live
from gateway.metrics import Metrics, Samples
from retrieval.client import Retriever
from retrieval.patience import Patience

__all__ = ["Figures"]

_COUNT_SECONDS = 5.0  # counting reads every live job: however often somebody asks, this is how often it is done
_PATIENCE_SECONDS = 2.0


class Figures:
    """Has everything with a state of its own read into the metrics, and gives their text."""

    def __init__(
        self,
        metrics: Metrics,
        database: Database,
        pool: EnginePool,
        reconciler: Reconciler,
        retriever: Retriever,
        count_with_stale_facts: Callable[[AsyncSession], Awaitable[int]],
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._retriever = retriever
        self._count_with_stale_facts = count_with_stale_facts
        self._jobs: Samples = {}
        self._with_stale_facts: Samples = {}
        self._retriever_work: Samples = {}
        self._counted_at: float | None = None
        readers: dict[str, Callable[[], Samples]] = {
            "braid_jobs": lambda: self._jobs,
            "braid_adapters_with_stale_facts": lambda: self._with_stale_facts,
            "braid_retriever_work": lambda: self._retriever_work,
            "braid_replica_ready": lambda: {(r.name,): float(r.ready) for r in pool.replicas},
            "braid_replica_running": lambda: {(r.name,): float(r.in_flight) for r in pool.replicas},
            "braid_adapters_resident": lambda: {(r.name,): float(len(r.resident)) for r in pool.replicas},
            "braid_replica_corrupted_requests": lambda: {
                (r.name,): float(r.corrupted_requests) for r in pool.replicas if r.corrupted_requests is not None
            },
            "braid_adapter_failures": lambda: _count_failures(pool, reconciler),
            "braid_database_connections": lambda: _count_connections(database.engine.pool),
        }
        for name, reader in readers.items():
            metrics.read_from(name, reader)

    async def render_text(self) -> bytes:
        """Return all metrics; those that the database or a retriever knows are missing while it doesn't answer."""
        now = time.monotonic()
        if self._counted_at is None or now - self._counted_at >= _COUNT_SECONDS:
            self._counted_at = now
            try:
                async with self._database.read() as session:
                    self._jobs = {key: float(count) for key, count in (await count_live(session)).items()}
                    self._with_stale_facts = {(): float(await self._count_with_stale_facts(session))}
            except (SQLAlchemyError, OSError):
                self._jobs = self._with_stale_facts = {}
        self._retriever_work = await self._read_retriever()
        return self._metrics.render_text()

    async def _read_retriever(self) -> Samples:
        try:
            async with Patience(_PATIENCE_SECONDS):
                queues = await self._retriever.read_queues()
        except (TimeoutError, OSError):
            return {}
        return {
            (process, kind): float(number)
            for process, queue in queues.items()
            for kind, number in msgspec.structs.asdict(queue).items()
        }


def _count_failures(pool: EnginePool, reconciler: Reconciler) -> Samples:
    names = {replica.engine.url: replica.name for replica in pool.replicas}
    counts = {(name, permanent): 0.0 for name in names.values() for permanent in ("false", "true")}
    for failure in reconciler.list_failures():
        counts[names[failure.url], str(failure.permanent).lower()] += 1
    return counts


def _count_connections(pool: Pool) -> Samples:
    if not isinstance(pool, QueuePool):  # of a database in memory, in tests
        return {}
    return {("used",): float(pool.checkedout()), ("idle",): float(pool.checkedin())}
