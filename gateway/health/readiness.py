"""Which parts are ready, and why one isn't."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gateway.state import State
from retrieval.client import RetrieverError

__all__ = ["Part", "readiness"]

_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `reason` says what is missing, without addresses."""

    ready: bool
    reason: str = ""


async def readiness(state: State) -> dict[str, Part]:
    """Ask every part now."""
    database, retriever = await asyncio.gather(_database(state), _retriever(state))
    parts = {"process": _process(state), "database": database, "retriever": retriever}
    for number, status in enumerate(state.pool.state(), 1):
        parts[f"engine {number}"] = Part(status.ready, status.reason)
    return parts


def _process(state: State) -> Part:
    return Part(not state.lifetime.leaving, "stopping: running answers are being finished")


async def _database(state: State) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), state.database.read() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return Part(False, f"the database doesn't answer ({type(error).__name__})")
    return Part(True)


async def _retriever(state: State) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await state.retriever.ready()
    except (RetrieverError, TimeoutError, OSError) as error:
        return Part(False, f"the retriever doesn't answer ({type(error).__name__}); it may still be starting")
    return Part(True)
