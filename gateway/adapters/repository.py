from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.tables import AdapterRow
from gateway.db import Repository

__all__ = ["AdapterRepository", "Wanted", "all_wanted", "load_manifests"]


class Wanted(NamedTuple):
    """What of a row says which adapter it is."""

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
        return await self.one(AdapterRow.model == model, AdapterRow.status == "ready")

    async def all_ready(self) -> Sequence[AdapterRow]:
        return await self.all(AdapterRow.status == "ready")

    async def unproven(self, job: str) -> Sequence[AdapterRow]:
        """List what a job had made and not got through yet."""
        return await self.all(AdapterRow.job_id == job, AdapterRow.status.in_(("checking", "probing")))


async def all_wanted(session: AsyncSession) -> list[Wanted]:
    """List what engines have to hold, of all tenants: a replica serves every one of them.

    Ready adapters, and those that passed the verdict and are being probed: were the latter missing here, a gateway's
    reconciler would unload them while the worker measures them.
    """
    query = select(AdapterRow.id, AdapterRow.served_name, AdapterRow.digest)
    query = query.where(AdapterRow.status.in_(("ready", "probing"))).order_by(AdapterRow.created_at, AdapterRow.id)
    return [Wanted(*row) for row in (await session.execute(query)).all()]


async def load_manifests(session: AsyncSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the manifests of adapters that `all_wanted` gave, of any tenant, by id."""
    query = select(AdapterRow.id, AdapterRow.manifest).where(AdapterRow.id.in_(ids))
    return {id: manifest for id, manifest in (await session.execute(query)).all()}
