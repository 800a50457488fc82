"""The readiness of this gateway, and the parts without which it does less."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gateway.counts import format_count
from gateway.db import Database
from gateway.engines import EnginePool, Reconciler, Replica
from gateway.shutdown import Drain
from gateway.task_group import await_each
from retrieval.client import IndexUnavailable, Retriever, RetrieverError
from retrieval.patience import Patience

__all__ = ["PartReadiness", "Readiness", "ReadinessBody", "RemoteParts", "check_readiness", "check_worker"]

_PATIENCE_SECONDS = 2.0
_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PartReadiness:
    """One part; `reason` says what is missing, without addresses.

    An `essential` one is needed for every answer; without another one some answers fail, or are worse.
    """

    ready: bool
    reason: str = ""
    essential: bool = False


class ReadinessBody(msgspec.Struct, frozen=True):
    """The body that anybody may read: whether it can answer, which parts aren't ready, and `ok` or a reason of each."""

    ready: bool
    degraded: list[str]
    parts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Readiness:
    """The parts by name."""

    parts: dict[str, PartReadiness]

    @property
    def ready(self) -> bool:
        """Whether this gateway can answer at all."""
        return all(part.ready for part in self.parts.values() if part.essential)

    @property
    def degraded(self) -> list[str]:
        """The parts that aren't ready."""
        return [name for name, part in self.parts.items() if not part.ready]

    def make_body(self) -> ReadinessBody:
        """Return it as anybody may read it."""
        reasons = {name: "ok" if part.ready else part.reason for name, part in self.parts.items()}
        return ReadinessBody(self.ready, self.degraded, reasons)


_FULL = PartReadiness(False, "its disk takes nothing more: answers go on, and their records wait until there is room")


class RemoteParts:
    """The database and the retriever, which have to be asked: once per second, however many want to know.

    Args:
        database: Asked for a number.
        retriever: Asked what it is.
        records_wait: Tells whether answers' records wait because the database's disk is full.
    """

    def __init__(
        self, database: Database, retriever: Retriever, records_wait: Callable[[], bool] = lambda: False
    ) -> None:
        self._database = database
        self._retriever = _RetrieverWatch(retriever)
        self._records_wait = records_wait
        self._parts: dict[str, PartReadiness] = {}
        self._checked_at = -math.inf
        self._checking = asyncio.Lock()

    async def check(self) -> dict[str, PartReadiness]:
        """Return both by name, as they were at most a second ago."""
        async with self._checking:  # who comes meanwhile gets the same answer
            if time.monotonic() - self._checked_at >= _FRESH_SECONDS:
                checks = (partial(_check_database, self._database), self._retriever.check)
                parts = await await_each(lambda check: check(), checks)
                self._parts = dict(zip(("database", "retriever"), parts, strict=True))
                self._checked_at = time.monotonic()
        if self._parts["database"].ready and self._records_wait():
            return self._parts | {"database": _FULL}
        return self._parts


class _RetrieverWatch:
    """Looks how the retriever is. A look may outlast the probe that began it: until it ends, the one before it holds.

    So an index whose server takes some seconds for each answer isn't there and away by turns.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._look: asyncio.Task[PartReadiness] | None = None
        self._last = PartReadiness(False, "the retriever hasn't answered yet; it may still be starting")

    async def check(self) -> PartReadiness:
        if self._look is None:
            self._look = asyncio.create_task(_check_retriever(self._retriever))
        await asyncio.wait((self._look,), timeout=_PATIENCE_SECONDS)
        if self._look.done():
            look, self._look = self._look, None
            self._last = look.result()
        return self._last


async def check_readiness(remote: RemoteParts, pool: EnginePool, reconciler: Reconciler, drain: Drain) -> Readiness:
    """Return how every part is now; those that have to be asked, at most a second ago."""
    remote_parts = await remote.check()
    ready = any(replica.ready for replica in pool.replicas)
    parts = {
        "process": PartReadiness(not drain.stopping, "stopping: running answers are being finished", essential=True),
        "database": remote_parts["database"],
        "engines": PartReadiness(ready, "no engine takes requests; it may still be starting", essential=True),
        "adapters": PartReadiness(reconciler.caught_up, "they are still being loaded and proven", essential=True),
        "retriever": remote_parts["retriever"],
    }
    return Readiness(parts | {replica.name: _describe_replica(replica, "gateway") for replica in pool.replicas})


async def check_worker(remote: RemoteParts, pool: EnginePool) -> Readiness:
    """Return how every part of a worker is; what it can't do without is its jobs, which are in the database."""
    parts = await remote.check()
    return Readiness(parts | {replica.name: _describe_replica(replica, "worker") for replica in pool.replicas})


def _describe_replica(replica: Replica, process: str) -> PartReadiness:
    if not replica.ready:
        return PartReadiness(False, f"it takes no requests now; the {process}'s log says why")
    if replica.corrupted_requests:
        requests = format_count(replica.corrupted_requests, "request")
        return PartReadiness(False, f"it computed no numbers (NaN) for {requests} since its start; restart it")
    return PartReadiness(True)


async def _check_database(database: Database) -> PartReadiness:
    try:
        async with Patience(_PATIENCE_SECONDS), database.read() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return PartReadiness(False, f"the database doesn't answer ({type(error).__name__})", essential=True)
    return PartReadiness(True, essential=True)


async def _check_retriever(retriever: Retriever) -> PartReadiness:
    try:
        info = await retriever.describe()
    except IndexUnavailable:
        return PartReadiness(False, "the server that keeps its index doesn't answer, or refuses it; see braid doctor")
    except (RetrieverError, OSError) as error:
        return PartReadiness(False, f"the retriever doesn't answer ({type(error).__name__}); it may still be starting")
    return PartReadiness(not info.problem, info.problem)
