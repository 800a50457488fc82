from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from gateway.adapters.lifecycle import GONE, ON_ENGINES, UNDECIDED, AdapterStatus
from gateway.adapters.tables import AdapterRow
from gateway.db import Page, Repository, cut_slices
from gateway.pages import PageRequest

__all__ = [
    "AdapterName",
    "AdapterRepository",
    "DesiredRow",
    "count_set_aside",
    "count_with_stale_facts",
    "find_served_names",
    "list_changed",
    "list_desired",
    "list_misplaced",
    "load_manifests",
    "select_stored",
]


@dataclass(frozen=True, slots=True)
class DesiredRow:
    """The part of a row that tells which adapter it is, and whether engines have to hold it."""

    id: str
    served_name: str
    digest: str
    status: str

    @property
    def on_engines(self) -> bool:
        return AdapterStatus(self.status) in ON_ENGINES


@dataclass(frozen=True, slots=True)
class AdapterName:
    """The part of a row that a list of models shows."""

    model: str
    created_at: int


_DELETABLE = (AdapterStatus.READY.value, AdapterStatus.OTHER_BASE.value)
_NAME = (AdapterRow.model, AdapterRow.created_at)


class AdapterRepository(Repository[AdapterRow]):
    table = AdapterRow
    noun = "adapter"

    async def find_model(self, model: str) -> AdapterRow | None:
        """Find an adapter by the name that clients use, whatever its status."""
        return await self.find_one(AdapterRow.model == model)

    async def find_ready(self, model: str) -> AdapterRow | None:
        """Find an adapter that may answer requests."""
        return await self.find_one(AdapterRow.model == model, AdapterRow.status == AdapterStatus.READY.value)

    async def find_set_aside(self, name: str) -> AdapterRow | None:
        """Find an adapter that waits for another base than engines serve, by clients' name for it or by engines'."""
        has_name = or_(AdapterRow.model == name, AdapterRow.served_name == name)
        rows = await self.list_all(has_name, AdapterRow.status == AdapterStatus.OTHER_BASE.value)
        return rows[-1] if rows else None

    async def find_deleted(self, served_name: str) -> AdapterRow | None:
        """Find an adapter that its owner has deleted, by engines' name for it.

        That name is clients' without the base's, so that the same weights may have it again.
        """
        rows = await self.list_all(AdapterRow.served_name == served_name)
        return rows[-1] if rows and all(row.status == AdapterStatus.DELETED for row in rows) else None

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
        return await self.lock_one(*where)

    async def lock_deletable(self, model: str) -> AdapterRow | None:
        """Find an adapter that its owner may delete, and keep it so until the unit of work ends."""
        where = (AdapterRow.model == model, AdapterRow.status.in_(_DELETABLE))
        return await self.lock_one(*where)

    async def lock_checkpoints(self, adapter: AdapterRow) -> Sequence[AdapterRow]:
        """List the checkpoints of an adapter's own training that may be deleted; a checkpoint has none."""
        if adapter.step is not None:
            return []
        where = (AdapterRow.source == adapter.source, AdapterRow.step.is_not(None), AdapterRow.status.in_(_DELETABLE))
        return (await self.session.scalars(self.select_for_update(*where).order_by(AdapterRow.step))).all()

    async def list_present(self, request: PageRequest) -> Page[AdapterRow]:
        """Return a page of the adapters that their owner hasn't deleted, without their manifests."""
        there = AdapterRow.status != AdapterStatus.DELETED.value
        return await self.list_page(there, **asdict(request), options=[defer(AdapterRow.manifest, raiseload=True)])

    async def list_written(self, digests: Collection[str]) -> dict[str, tuple[int, int]]:
        """List weights that learnt from rows which a model wrote, by digest: how many rows, and of how many.

        Whatever became of the adapter that they were made for: the same weights may have been imported again.
        """
        rows, total = (AdapterRow.manifest[("written_rows", name)].as_integer() for name in ("rows", "of"))
        counts: dict[str, tuple[int, int]] = {}
        for some in cut_slices(digests):
            query = self.select(AdapterRow.digest.in_(some), rows > 0).with_only_columns(AdapterRow.digest, rows, total)
            counts |= {digest: (count, of) for digest, count, of in await self.session.execute(query)}
        return counts

    async def note_stale_facts(self, job: str, count: int | None, now: int) -> None:
        """Note the stale facts of a job's adapters that clients may have, now or when their base is back."""
        where = (AdapterRow.source == job, AdapterRow.status.in_(_DELETABLE))
        # In the order in which a deletion holds them, so that neither has what the other waits for.
        rows = self.select_for_update(*where).with_only_columns(AdapterRow.id)
        await self.session.execute(rows.order_by(AdapterRow.step.is_not(None), AdapterRow.step))
        await self.update_rows(*where, stale_facts=count, stale_facts_at=None if count is None else now)

    async def list_undecided(self, job: str) -> Sequence[AdapterRow]:
        """List what a job is at work on."""
        return await self.list_all(AdapterRow.job_id == job, AdapterRow.status.in_([one.value for one in UNDECIDED]))


async def list_desired(session: AsyncSession) -> list[DesiredRow]:
    """List what engines have to hold, of all tenants: a replica serves every one of them.

    Ready adapters, and those that passed the verdict and are being probed: an adapter is desired before it is loaded,
    so that no reconciler unloads what another one has just loaded.
    """
    return await _list_rows(session, AdapterRow.status.in_([one.value for one in ON_ENGINES]))


async def list_changed(session: AsyncSession, since: float) -> list[DesiredRow]:
    """List the adapters of all tenants that were written at this moment (Unix seconds) or later, whatever became of
    them.
    """
    return await _list_rows(session, AdapterRow.changed_at >= since)


async def find_served_names(session: AsyncSession, names: Collection[str]) -> set[str]:
    """Return those of some engines' names that an adapter of any tenant and status has."""
    served_names: set[str] = set()
    for some in cut_slices(names):
        query = select(AdapterRow.served_name).where(AdapterRow.served_name.in_(some))
        served_names.update((await session.scalars(query)).all())
    return served_names


async def list_misplaced(session: AsyncSession, base_digest: str) -> Sequence[AdapterRow]:
    """List the adapters of all tenants that have to change their state when engines serve this base.

    Those that engines hold and that were trained on another, and those of this one that were set aside for another.
    """
    origin = AdapterRow.manifest["base_digest"].as_string()
    away = [one.value for one in ON_ENGINES]
    other = and_(AdapterRow.status.in_(away), origin != base_digest)
    back = and_(AdapterRow.status == AdapterStatus.OTHER_BASE.value, origin == base_digest)
    return (await session.scalars(select(AdapterRow).where(or_(other, back)).order_by(AdapterRow.id))).all()


async def count_set_aside(session: AsyncSession) -> int:
    """Count the adapters of all tenants that wait for another base than engines serve."""
    query = select(func.count()).where(AdapterRow.status == AdapterStatus.OTHER_BASE.value)
    return (await session.execute(query)).scalar_one()


async def count_with_stale_facts(session: AsyncSession) -> int:
    """Count the adapters that answer and have learnt what documents have changed since: of all tenants, for the
    operator, whom it tells nothing of theirs.
    """
    where = (AdapterRow.stale_facts.is_not(None), AdapterRow.status == AdapterStatus.READY.value)
    return (await session.execute(select(func.count()).where(*where))).scalar_one()


async def load_manifests(session: AsyncSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the manifests of adapters that `list_desired` gave, of any tenant, by id."""
    manifests: dict[str, dict[str, Any]] = {}
    for some in cut_slices(ids):
        query = select(AdapterRow.id, AdapterRow.manifest).where(AdapterRow.id.in_(some))
        manifests.update({id: manifest for id, manifest in (await session.execute(query)).all()})
    return manifests


async def _list_rows(session: AsyncSession, where: ColumnElement[bool]) -> list[DesiredRow]:
    """List adapters of all tenants, oldest first, without their manifests."""
    query = select(AdapterRow.id, AdapterRow.served_name, AdapterRow.digest, AdapterRow.status).where(where)
    rows = await session.execute(query.order_by(AdapterRow.created_at, AdapterRow.id))
    return [DesiredRow(*row) for row in rows.all()]


async def select_stored(session: AsyncSession, digests: Collection[str], since: float) -> set[str]:
    """Return those of some digests whose weights an adapter of any tenant still needs: equal ones are stored once.

    One that was deleted or refused at the Unix time `since` or later counts as needing them.
    """
    statuses = [status.value for status in GONE]
    # Rows that an early version wrote have no time: they went long ago.
    needs = or_(AdapterRow.status.not_in(statuses), func.coalesce(AdapterRow.changed_at, 0.0) >= since)
    query = select(AdapterRow.digest).where(AdapterRow.digest.in_(digests), needs)
    return set((await session.scalars(query)).all())
