"""The way of finished weights to the engines: judged, kept under their digest, named, proven, ready."""

import asyncio
from collections.abc import Collection
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.names import client_name, served_name
from gateway.adapters.refusal import AdapterRefused, Passed, passed
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.adapters.trial import Trial
from gateway.artifacts import Artifacts
from gateway.engines.served_base_model import ServedBaseModel
from training.verdict import BaseShape, Verdict, judge

__all__ = ["Admission", "name_adapter", "refuse_unproven"]


class Admission:
    """What training and import do alike with weights that they have."""

    def __init__(
        self, artifacts: Artifacts, base: ServedBaseModel, wanted: DesiredAdapters, trial: Trial, *, max_rank: int
    ) -> None:
        self.base = base
        self._artifacts = artifacts
        self._wanted = wanted
        self._trial = trial
        self.max_rank = max_rank

    async def judge(self, folder: Path) -> Passed:
        """Judge an adapter that no engine has seen yet, and say what it is.

        Raises:
            AdapterRefused: It didn't; the message has every reason.
        """
        return passed(await asyncio.to_thread(self._judge, folder))

    async def keep(self, folder: Path, digest: str) -> Path:
        """Put a judged folder under its digest; engines read it there."""
        return await asyncio.to_thread(self._artifacts.put_adapter, folder, digest)

    async def prove(self, row: AdapterRow) -> None:
        """Try a named adapter on the engines; raises what `Trial.prove` does."""
        await self._trial.prove(self._wanted.one(row.served_name, row.digest, row.manifest))

    def _judge(self, folder: Path) -> Verdict:
        shape = BaseShape.read(Path(self.base.path))
        names: Collection[str] = (self.base.name, *self.base.names)
        return judge(folder, shape, max_rank=self.max_rank, base_names=names)


async def name_adapter(session: AsyncSession, row: AdapterRow, *, tenant: str, tenant_name: str) -> AdapterRow:
    """Give a judged adapter the names that its digest makes, and the status `probing`.

    `row` has its name, digest and base model; it may be new or an import's. Weights that this tenant has under this
    name already are that adapter: it is returned instead of `row`. A deleted or refused one makes room for its like.

    Raises:
        AdapterRefused: The names belong to other bytes (whose digest begins alike), which engines may still remember.
    """
    adapters = AdapterRepository(session, tenant)
    model = client_name(row.base_model, tenant_name, row.name, row.digest)
    held = await adapters.find_model(model)
    if held is not None and held.id != row.id:
        if held.digest != row.digest:
            raise AdapterRefused(
                "name_taken", f"The name {model!r} belongs to other weights. Choose another suffix, or another seed."
            )
        if held.status in ("ready", "probing"):
            return held
        await adapters.delete(held)
        await session.flush()  # else the unit of work would insert before it deletes
    row.model, row.served_name, row.status = model, served_name(tenant_name, row.name, row.digest), "probing"
    return adapters.add(row)


async def refuse_unproven(session: AsyncSession, tenant: str, job: str, reason: str) -> None:
    """Refuse what a job that ended had not got through; engines then let go of it."""
    for row in await AdapterRepository(session, tenant).unproven(job):
        row.status, row.reason = "refused", reason
