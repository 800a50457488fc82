"""From weights to a model that answers: the same steps for those that were trained here and those that were imported.

    make → judge → store → name → verify → ready

A job that is killed at any step and run again goes on from the last one that left something: stored weights aren't made
again, and a name that was given is kept.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.base_change import check_base
from gateway.adapters.checkpoints import (
    CheckpointFolder,
    CheckpointSource,
    accept_checkpoints,
    name_checkpoints,
    refuse_checkpoint,
)
from gateway.adapters.identity import (
    AcceptedAdapter,
    AdapterRefused,
    accept_verdict,
    make_client_name,
    make_served_name,
)
from gateway.adapters.lifecycle import ON_ENGINES, AdapterStatus, accept, begin_probe, refuse
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.stored_adapter import Description, StoredAdapter
from gateway.adapters.tables import AdapterRow
from gateway.artifacts import Artifacts
from gateway.engines.served_base_model import ServedBaseModel
from gateway.jobs import Claim, JobCancelled, failpoint
from training.verdict import BaseShape, Verdict, judge

__all__ = [
    "AdapterCheck",
    "AdapterPublisher",
    "AdapterSource",
    "await_unless_cancelled",
    "name_adapter",
    "refuse_undecided",
]

Result = TypeVar("Result")

_STATE = "stored"


class AdapterSource(Protocol):
    """The part of the steps that differs between training and import. One object serves one run of one job."""

    async def make(self, work: Path) -> Path:
        """Write an adapter's files to a folder below `work`, which is empty and gone afterwards; return the folder.

        Raises:
            AdapterRefused: There is nothing in it that could become an adapter.
        """
        ...

    async def stop(self) -> None:
        """Wind up a `make` whose job's owner wants it to stop; it is dropped as soon as this returns."""
        ...

    async def describe(self, folder: Path, work: Path) -> Description:
        """Say how weights that passed the verdict are proven, and what has to be remembered of how they were made."""
        ...

    async def name(self, session: AsyncSession, stored_adapter: StoredAdapter) -> AdapterRow:
        """Return the row that the weights have from now on, by `name_adapter`; also again after a crash."""
        ...

    async def complete(self, stored_adapter: StoredAdapter) -> dict[str, Any]:
        """Return what the manifests lack that only an engine can say, once it has loaded the weights.

        Raises:
            JobFailed: It says that they must not answer anybody.
            JobDelayed: None can be asked now.
        """
        ...

    async def finish(
        self, session: AsyncSession, row: AdapterRow, stored_adapter: StoredAdapter, checkpoints: Sequence[AdapterRow]
    ) -> None:
        """Write what else becomes true when it and its checkpoints are ready, in the commit that makes it so."""
        ...


class AdapterCheck(Protocol):
    """A named adapter has to pass each check, in order, before it becomes ready. They may be repeated after a crash."""

    async def __call__(self, row: AdapterRow) -> None:
        """Return when it has passed.

        Raises:
            AdapterRefused: It never will.
            JobDelayed: It can't be told now.
        """
        ...


class AdapterPublisher:
    """Takes a job's weights through the steps.

    Args:
        artifacts: Where the weights are kept, under their digest; engines read them there.
        base: The model that they have to fit.
        checks: Between `name` and `ready`: the verification, and whatever gate an operator wants behind it.
        work: Folder for the claims' own folders; nothing in it is needed after a job.
        max_rank: The largest rank that the engines serve.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        base: ServedBaseModel,
        checks: Sequence[AdapterCheck],
        work: Path,
        *,
        max_rank: int,
    ) -> None:
        self.base = base
        self.max_rank = max_rank
        self._artifacts = artifacts
        self._checks = checks
        self._work = work

    async def publish(self, claim: Claim, source: AdapterSource, checkpoints: CheckpointSource | None = None) -> None:
        """Return when the adapter of this job is ready, and those of its checkpoints that can be served.

        Raises:
            AdapterRefused: It must not answer anybody.
            JobCancelled: The job's owner cancelled it.
        """
        if not self.has_weights(claim):
            stored_adapter = await self._make_and_store(claim, source, checkpoints)
            await claim.save({_STATE: msgspec.to_builtins(stored_adapter)})
        failpoint("adapter-stored")
        stored_adapter = msgspec.convert(claim.state[_STATE], StoredAdapter)
        check_base(stored_adapter.manifest, self.base)
        async with claim.begin() as session:
            row = await source.name(session, stored_adapter)
            others = await name_checkpoints(session, checkpoints, stored_adapter.checkpoints) if checkpoints else []
        failpoint("adapter-named")
        await self._check(claim, row)
        additions = await source.complete(stored_adapter)
        stored_adapter = msgspec.structs.replace(stored_adapter, manifest=stored_adapter.manifest | additions)
        proven = await self._prove(claim, checkpoints, others) if checkpoints else []
        failpoint("adapter-verified")
        async with claim.begin() as session:
            ready = await accept_checkpoints(session, claim.tenant, proven)
            await source.finish(session, row, stored_adapter, ready)
            current = await AdapterRepository(session, claim.tenant).get(row.id)
            for one in (current, *ready) if additions else ():
                one.manifest = one.manifest | additions
            if current.status != AdapterStatus.READY:
                accept(current)

    def has_weights(self, claim: Claim) -> bool:
        """Tell whether an earlier run of the job has stored its weights."""
        return _STATE in claim.state

    async def abandon(self, session: AsyncSession, claim: Claim, reason: str) -> None:
        """Leave nothing half-made of a job that has ended otherwise."""
        await self._clear(claim)
        await refuse_undecided(session, claim.tenant, claim.id, reason)

    async def _check(self, claim: Claim, row: AdapterRow) -> None:
        if row.status != AdapterStatus.READY:
            for check in self._checks:
                await await_unless_cancelled(claim, check(row))

    async def _prove(self, claim: Claim, source: CheckpointSource, rows: Sequence[AdapterRow]) -> list[AdapterRow]:
        """Return the checkpoints that passed all checks; the others are refused."""
        proven: list[AdapterRow] = []
        for row in rows:
            try:
                await self._check(claim, row)
            except AdapterRefused as refused:
                await refuse_checkpoint(claim, source, row, refused.message)
            else:
                proven.append(row)
        return proven

    async def _make_and_store(
        self, claim: Claim, source: AdapterSource, checkpoints: CheckpointSource | None
    ) -> StoredAdapter:
        await self._clear(claim)
        work = self._folder(claim)
        work.mkdir(parents=True)
        try:
            folder = await await_unless_cancelled(claim, source.make(work), source.stop)
            failpoint("adapter-made")
            accepted = accept_verdict(await asyncio.to_thread(self._judge, folder))
            description = await source.describe(folder, work)
            failpoint("adapter-judged")
            stored_adapter = await self._store(folder, accepted, description)
            if checkpoints is None:
                return stored_adapter
            others = [await self._store_checkpoint(claim, checkpoints, one) for one in await checkpoints.find(work)]
            return msgspec.structs.replace(stored_adapter, checkpoints=[one for one in others if one is not None])
        finally:
            await self._clear(claim)

    async def _store_checkpoint(
        self, claim: Claim, source: CheckpointSource, checkpoint: CheckpointFolder
    ) -> StoredAdapter | None:
        try:
            accepted = accept_verdict(await asyncio.to_thread(self._judge, checkpoint.folder))
        except AdapterRefused as refused:
            async with claim.begin() as session:
                await source.leave_out(session, checkpoint.step, refused.message)
            return None
        stored_adapter = await self._store(
            checkpoint.folder, accepted, Description(checkpoint.manifest, checkpoint.details)
        )
        return msgspec.structs.replace(stored_adapter, step=checkpoint.step)

    async def _store(self, folder: Path, accepted: AcceptedAdapter, description: Description) -> StoredAdapter:
        target = await asyncio.to_thread(self._artifacts.put_adapter, folder, accepted.digest)
        size = await asyncio.to_thread(_measure, target)
        return StoredAdapter(
            accepted.digest, accepted.rank, description.manifest, description.details, accepted.notes, size
        )

    def _judge(self, folder: Path) -> Verdict:
        shape = BaseShape.read(Path(self.base.path))
        return judge(folder, shape, max_rank=self.max_rank, base_names=(self.base.name, *self.base.names))

    def _folder(self, claim: Claim) -> Path:
        """Return the claim's own folder: one who lost the job may still be at work when the next one begins."""
        return self._work / f"{claim.subject}.{claim.fence}"

    async def _clear(self, claim: Claim) -> None:
        """Remove the folders of this claim and of those before it, whose workers may have been killed."""
        await asyncio.to_thread(self._remove_folders, claim)

    def _remove_folders(self, claim: Claim) -> None:
        for folder in self._work.glob(f"{claim.subject}.*"):
            fence = folder.name.removeprefix(f"{claim.subject}.")
            if fence.isdecimal() and int(fence) <= claim.fence:
                shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def name_adapter(session: AsyncSession, row: AdapterRow, *, tenant: str, tenant_name: str) -> AdapterRow:
    """Give stored weights the names that their digest makes, and have engines load them.

    `row` has its name, digest, base model and, of a checkpoint, its step; it may be new or an import's. Weights that
    this tenant has under this name already are that adapter: it is returned instead of `row`. A deleted or refused one
    makes room for its like.

    Raises:
        AdapterRefused: The names belong to other bytes (whose digest begins alike), which engines may still remember.
    """
    adapters = AdapterRepository(session, tenant)
    model = make_client_name(row.base_model, tenant_name, row.name, row.digest, row.step)
    namesake = await adapters.find_model(model)
    if namesake is not None and namesake.digest != row.digest:
        raise AdapterRefused(f"The name {model!r} belongs to other weights. Choose another suffix, or another seed.")
    if namesake is not None and namesake.status in ON_ENGINES:
        return namesake
    if namesake is not None:
        await adapters.delete(namesake)
        await session.flush()  # else the unit of work would insert before it deletes
    begin_probe(row, model=model, served_name=make_served_name(tenant_name, row.name, row.digest, row.step))
    return adapters.add(row)


async def refuse_undecided(session: AsyncSession, tenant: str, job: str, reason: str) -> None:
    """Refuse the adapter that a job was at work on when it ended; engines then unload it."""
    for row in await AdapterRepository(session, tenant).list_undecided(job):
        refuse(row, reason)


async def await_unless_cancelled(
    claim: Claim, work: Coroutine[Any, Any, Result], stop: Callable[[], Awaitable[None]] | None = None
) -> Result:
    """Await `work`, and drop it when the job's owner cancels the job, once `stop` has returned.

    Raises:
        JobCancelled: It was dropped.
    """
    working = asyncio.create_task(work)
    cancelled = asyncio.create_task(claim.cancelled.wait())
    try:
        await asyncio.wait({working, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            if stop is not None:
                await stop()
            raise JobCancelled
    finally:
        working.cancel()
        cancelled.cancel()
        await asyncio.gather(working, cancelled, return_exceptions=True)
    return await working
