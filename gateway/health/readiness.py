"""The readiness of the parts, and the reason of each that isn't ready."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import Database
from gateway.engines import EnginePool
from gateway.shutdown import Drain
from retrieval.client import Retriever, RetrieverError

__all__ = ["Part", "check_readiness"]

_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `reason` says what is missing, without addresses."""

    ready: bool
    reason: str = ""


async def check_readiness(database: Database, retriever: Retriever, pool: EnginePool, drain: Drain) -> dict[str, Part]:
    """Ask every part now; the result is by part's name."""
    database_part, retriever_part = await asyncio.gather(_check_database(database), _check_retriever(retriever))
    parts = {
        "process": Part(not drain.stopping, "stopping: running answers are being finished"),
        "database": database_part,
        "retriever": retriever_part,
    }
    for number, status in enumerate(pool.state(), 1):
        parts[f"engine {number}"] = Part(status.ready, status.reason)
    return parts


async def _check_database(database: Database) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), database.read() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return Part(False, f"the database doesn't answer ({type(error).__name__})")
    return Part(True)


async def _check_retriever(retriever: Retriever) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await retriever.describe()
    except (RetrieverError, TimeoutError, OSError) as error:
        return Part(False, f"the retriever doesn't answer ({type(error).__name__}); it may still be starting")
    return Part(True)
