"""The readiness of this gateway, and the parts without which it does less."""

import asyncio
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import Database
from gateway.engines import EnginePool, Reconciler, Replica
from gateway.shutdown import Drain
from retrieval.client import Retriever, RetrieverError

__all__ = ["Part", "Readiness", "check_readiness", "check_worker"]

_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `reason` says what is missing, without addresses.

    An `essential` one is needed for every answer; without another one some answers fail, or are worse.
    """

    ready: bool
    reason: str = ""
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """The parts by name."""

    parts: dict[str, Part]

    @property
    def ready(self) -> bool:
        """Whether this gateway can answer at all."""
        return all(part.ready for part in self.parts.values() if part.essential)

    @property
    def degraded(self) -> list[str]:
        """The parts that aren't ready."""
        return [name for name, part in self.parts.items() if not part.ready]

    def body(self) -> dict[str, Any]:
        """Return it as anybody may read it."""
        reasons = {name: "ok" if part.ready else part.reason for name, part in self.parts.items()}
        return {"ready": self.ready, "degraded": self.degraded, "parts": reasons}


async def check_readiness(
    database: Database, retriever: Retriever, pool: EnginePool, reconciler: Reconciler, drain: Drain
) -> Readiness:
    """Ask every part now."""
    database_part, retriever_part = await asyncio.gather(_check_database(database), _check_retriever(retriever))
    ready = any(replica.ready for replica in pool.replicas)
    parts = {
        "process": Part(not drain.stopping, "stopping: running answers are being finished", essential=True),
        "database": database_part,
        "engines": Part(ready, "no engine takes requests; it may still be starting", essential=True),
        "adapters": Part(reconciler.caught_up, "they are still being loaded and proven", essential=True),
        "retriever": retriever_part,
    }
    return Readiness(parts | {replica.name: _describe_replica(replica, "gateway") for replica in pool.replicas})


async def check_worker(database: Database, retriever: Retriever, pool: EnginePool) -> Readiness:
    """Ask every part of a worker now; what a worker can't do without is its jobs, which are in the database."""
    database_part, retriever_part = await asyncio.gather(_check_database(database), _check_retriever(retriever))
    parts = {"database": database_part, "retriever": retriever_part}
    return Readiness(parts | {replica.name: _describe_replica(replica, "worker") for replica in pool.replicas})


def _describe_replica(replica: Replica, process: str) -> Part:
    if not replica.ready:
        return Part(False, f"it takes no requests now; the {process}'s log says why")
    if replica.corrupted_requests:
        count = replica.corrupted_requests
        return Part(False, f"it computed no numbers (NaN) for {count} requests since its start; restart it")
    return Part(True)


async def _check_database(database: Database) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), database.read() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return Part(False, f"the database doesn't answer ({type(error).__name__})", essential=True)
    return Part(True, essential=True)


async def _check_retriever(retriever: Retriever) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await retriever.describe()
    except (RetrieverError, TimeoutError, OSError) as error:
        return Part(False, f"the retriever doesn't answer ({type(error).__name__}); it may still be starting")
    return Part(True)
