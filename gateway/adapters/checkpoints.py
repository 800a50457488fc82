"""Checkpoints: adapters as they were on the way to the one that a job makes, which are served beside it.

Each goes the adapter's own steps. One that can't be served is left out, and the adapter is made all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.identity import AdapterRefused
from gateway.adapters.lifecycle import AdapterStatus, accept, refuse
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.stored_adapter import StoredAdapter
from gateway.adapters.tables import AdapterRow
from gateway.jobs import Claim

__all__ = ["CheckpointFolder", "CheckpointSource", "accept_checkpoints", "name_checkpoints", "refuse_checkpoint"]


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """The files of a checkpoint, before anybody has judged them.

    Attributes:
        step: The optimizer step after which the weights were so.
        folder: Its files.
        manifest: See `Description`.
        details: See `Description`.
    """

    step: int
    folder: Path
    manifest: dict[str, Any]
    details: dict[str, Any]


class CheckpointSource(Protocol):
    """Makes checkpoints on the way to an adapter. One object serves one run of one job."""

    async def find(self, work: Path) -> Sequence[CheckpointFolder]:
        """Return what was made below `work`, in the order of steps."""
        ...

    async def name(self, session: AsyncSession, stored_adapter: StoredAdapter) -> AdapterRow:
        """Return the row that the weights have from now on, by `name_adapter`; also again after a crash."""
        ...

    async def leave_out(self, session: AsyncSession, step: int, reason: str) -> None:
        """Tell the job's owner why a checkpoint can't be served."""
        ...


async def name_checkpoints(
    session: AsyncSession, source: CheckpointSource, checkpoints: Sequence[StoredAdapter]
) -> list[AdapterRow]:
    """Name what can be named."""
    rows: list[AdapterRow] = []
    for stored_adapter in checkpoints:
        try:
            rows.append(await source.name(session, stored_adapter))
        except AdapterRefused as refused:
            assert stored_adapter.step is not None
            await source.leave_out(session, stored_adapter.step, refused.message)
    return rows


async def refuse_checkpoint(claim: Claim, source: CheckpointSource, row: AdapterRow, reason: str) -> None:
    """Keep a checkpoint from answering that engines didn't prove, and say so."""
    assert row.step is not None
    async with claim.begin() as session:
        refuse(await AdapterRepository(session, claim.tenant).get(row.id), reason)
        await source.leave_out(session, row.step, reason)


async def accept_checkpoints(session: AsyncSession, tenant: str, rows: Sequence[AdapterRow]) -> list[AdapterRow]:
    """Let clients have proven checkpoints, and return them; their owner may have deleted one that was there before."""
    accepted: list[AdapterRow] = []
    for row in rows:
        current = await AdapterRepository(session, tenant).find(row.id)
        if current is not None and current.status == AdapterStatus.PROBING:
            accept(current)
        if current is not None and current.status == AdapterStatus.READY:
            accepted.append(current)
    return accepted
