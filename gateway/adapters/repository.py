from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from gateway.adapters.lifecycle import ON_ENGINES, UNDECIDED, AdapterStatus
from gateway.adapters.tables import AdapterRow
from gateway.db import Repository

__all__ = ["AdapterName", "AdapterRepository", "DesiredRow", "list_desired", "load_manifests", "select_stored"]


@dataclass(frozen=True, slots=True)
class DesiredRow:
    """The part of a row that tells which adapter it is."""

    id: str
    served_name: str
    digest: str


@dataclass(frozen=True, slots=True)
class AdapterName:
    """The part of a row that a list of models shows."""

    model: str
    created_at: int


_NAME = (AdapterRow.model, AdapterRow.created_at)


class AdapterRepository(Repository[AdapterRow]):
    table = AdapterRow
    noun = "adapter"

    async def find_model(self, model: str) -> AdapterRow | None:
        """Find an adapter by the name that clients use, whatever its status."""
        return await self.one(AdapterRow.model == model)

    async def find_ready(self, model: str) -> AdapterRow | None:
        """Find an adapter that may answer requests."""
        return await self.one(AdapterRow.model == model, AdapterRow.status == AdapterStatus.READY.value)

    async def find_name(self, model: str) -> AdapterName | None:
        """Find an adapter that may answer requests, without its manifest, which is large."""
        where = (AdapterRow.model == model, AdapterRow.status == AdapterStatus.READY.value)
        row = (await self.session.execute(self.select(*where).with_only_columns(*_NAME))).one_or_none()
        return None if row is None else AdapterName(*row)

    async def list_names(self) -> list[AdapterName]:
        """List the adapters that may answer requests, oldest first, without their manifests."""
        query = self.select(AdapterRow.status == AdapterStatus.READY.value).with_only_columns(*_NAME)
        rows = await self.session.execute(query.order_by(AdapterRow.created_at, AdapterRow.id))
        return [AdapterName(*row) for row in rows]

    async def lock_ready(self, model: str) -> AdapterRow | None:
        """Find an adapter that may answer requests, and keep it so until the unit of work ends."""
        where = (AdapterRow.model == model, AdapterRow.status == AdapterStatus.READY.value)
        return (await self.session.scalars(self.select_for_update(*where))).one_or_none()

    async def list_shown(self) -> Sequence[AdapterRow]:
        """List the adapters that their owner hasn't deleted."""
        query = self.select(AdapterRow.status != AdapterStatus.DELETED.value)
        query = query.options(defer(AdapterRow.manifest, raiseload=True))
        return (await self.session.scalars(query.order_by(AdapterRow.created_at, AdapterRow.id))).all()

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
