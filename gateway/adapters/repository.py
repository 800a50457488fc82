from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.lifecycle import ON_ENGINES, UNDECIDED, AdapterStatus
from gateway.adapters.tables import AdapterRow
from gateway.db import Repository

__all__ = ["AdapterRepository", "DesiredRow", "list_desired", "load_manifests", "select_stored"]


@dataclass(frozen=True, slots=True)
class DesiredRow:
    """The part of a row that tells which adapter it is."""

    id: str
    served_name: str
    digest: str


class AdapterRepository(Repository[AdapterRow]):
    table = AdapterRow
    noun = "adapter"

    async def find_model(self, model: str) -> AdapterRow | None:
        """Find an adapter by the name that clients use, whatever its status."""
        return await self.one(AdapterRow.model == model)

    async def find_ready(self, model: str) -> AdapterRow | None:
        """Find an adapter that may answer requests."""
        return await self.one(AdapterRow.model == model, AdapterRow.status == AdapterStatus.READY.value)

    async def lock_ready(self, model: str) -> AdapterRow | None:
        """Find an adapter that may answer requests, and keep it so until the unit of work ends."""
        where = (AdapterRow.model == model, AdapterRow.status == AdapterStatus.READY.value)
        return (await self.session.scalars(self.select_for_update(*where))).one_or_none()

    async def list_ready(self) -> Sequence[AdapterRow]:
        return await self.all(AdapterRow.status == AdapterStatus.READY.value)

    async def list_shown(self) -> Sequence[AdapterRow]:
        """List the adapters that their owner hasn't deleted."""
        return await self.all(AdapterRow.status != AdapterStatus.DELETED.value)

    async def list_undecided(self, job: str) -> Sequence[AdapterRow]:
        """List what a job is at work on."""
        return await self.all(AdapterRow.job_id == job, AdapterRow.status.in_([one.value for one in UNDECIDED]))


async def list_desired(session: AsyncSession) -> list[DesiredRow]:
    """List what engines have to hold, of all tenants: a replica serves every one of them.

    Ready adapters, and those that passed the verdict and are being probed: an adapter is desired before it is loaded,
    so that no reconciler unloads what another one has just loaded.
    """
    query = select(AdapterRow.id, AdapterRow.served_name, AdapterRow.digest)
    query = query.where(AdapterRow.status.in_([one.value for one in ON_ENGINES])).order_by(
        AdapterRow.created_at, AdapterRow.id
    )
    return [DesiredRow(*row) for row in (await session.execute(query)).all()]


async def load_manifests(session: AsyncSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the manifests of adapters that `list_desired` gave, of any tenant, by id."""
    query = select(AdapterRow.id, AdapterRow.manifest).where(AdapterRow.id.in_(ids))
    return {id: manifest for id, manifest in (await session.execute(query)).all()}


async def select_stored(session: AsyncSession, digests: Collection[str]) -> set[str]:
    """Return those of some digests whose weights an adapter of any tenant still needs: equal ones are stored once."""
    needed = [one.value for one in (*UNDECIDED, *ON_ENGINES)]
    query = select(AdapterRow.digest).where(AdapterRow.digest.in_(digests), AdapterRow.status.in_(needed))
    return set((await session.scalars(query)).all())
