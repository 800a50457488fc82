"""The work behind an import: an uploaded PEFT folder is unpacked and gets a reference that engines must reproduce."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.executor import ExecutorAway
from gateway.adapters.executor_wait import prolong_wait
from gateway.adapters.identity import AdapterRefused
from gateway.adapters.lifecycle import UNDECIDED
from gateway.adapters.publish import AdapterPublisher, name_adapter
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.stored_adapter import Description, StoredAdapter
from gateway.adapters.tables import AdapterRow
from gateway.adapters.trainer import TrainerProgram
from gateway.artifacts import Artifacts
from gateway.errors import PayloadTooLarge
from gateway.jobs import Claim, JobFailed, Outcome, failpoint
from gateway.processes import BARE, open_program
from gateway.tenants.service import find_tenant_name
from gateway.tenants.storage import TenantStorage
from training.manifest import Reference

__all__ = ["ImportHandler"]

_REASON_BYTES = 4_096


class ImportHandler:
    """Handles jobs of the kind `import`: their subject is an adapter, their payload's `file` the upload's digest.

    Args:
        artifacts: Has the upload.
        storage: Has room for the weights, or hasn't.
        publisher: Takes the weights from the upload to the engines.
        trainer: Makes the reference that engines have to reproduce.
    """

    def __init__(
        self, artifacts: Artifacts, storage: TenantStorage, publisher: AdapterPublisher, trainer: TrainerProgram
    ) -> None:
        self._artifacts = artifacts
        self._storage = storage
        self._publisher = publisher
        self._trainer = trainer

    async def run(self, claim: Claim) -> None:
        """Take the upload in; see `gateway.jobs.Handler` for how it ends otherwise."""
        async with claim.begin() as session:
            row = await AdapterRepository(session, claim.tenant).get(claim.subject)
        if row.status not in UNDECIDED:
            return
        upload = self._artifacts.locate_file(claim.payload["file"])
        source = _Upload(claim, upload, self._storage, self._trainer, Path(self._publisher.base.path))
        try:
            await self._publisher.publish(claim, source)
        except ExecutorAway as away:
            raise await prolong_wait(claim, away) from away
        except AdapterRefused as refused:
            raise JobFailed("adapter_refused", refused.message) from refused

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write the reason to the adapter."""
        await self._publisher.abandon(session, claim, outcome.message or "The import ended before it was ready.")


class _Upload:
    """The source of an import's weights, see `AdapterSource`."""

    def __init__(
        self, claim: Claim, archive: Path, storage: TenantStorage, trainer: TrainerProgram, base: Path
    ) -> None:
        self._claim = claim
        self._archive = archive
        self._storage = storage
        self._trainer = trainer
        self._base = base

    async def make(self, work: Path) -> Path:
        folder = work / "adapter"
        folder.mkdir()
        if not self._archive.exists():
            raise AdapterRefused("The uploaded file was deleted before it was read. Upload it again.")
        command = (sys.executable, "-m", "gateway.adapters.archive", str(self._archive), str(folder))
        async with open_program(command, BARE.take(os.environ), errors=work / "unpack.log") as program:
            output = await program.read_output(_REASON_BYTES)
            status = await program.wait()
        words = output.decode(errors="replace")
        if status == 2:
            raise OSError(f"the archive couldn't be unpacked: {words}")  # which another attempt may do
        if status != 0:
            reason = words or "Unpacking it takes more memory or time than is allowed."
            raise AdapterRefused(reason)
        return folder

    async def stop(self) -> None:
        """Do nothing more: unpacking leaves nothing that is worth keeping."""

    async def describe(self, folder: Path, work: Path) -> Description:
        out = work / "reference.json"
        async with self._trainer.make_reference(self._base, folder, out) as run:
            await run.check()
        failpoint("reference-made")
        reference = msgspec.json.decode(out.read_bytes(), type=Reference)
        return Description(msgspec.to_builtins(reference), {})

    async def name(self, session: AsyncSession, stored_adapter: StoredAdapter) -> AdapterRow:
        row = await AdapterRepository(session, self._claim.tenant).get(self._claim.subject)
        tenant_name = await find_tenant_name(session, self._claim.tenant)
        assert tenant_name is not None
        row.digest, row.rank, row.manifest = stored_adapter.digest, stored_adapter.rank, stored_adapter.manifest
        row.reason, row.bytes = stored_adapter.notes or None, stored_adapter.bytes
        adapter = await name_adapter(session, row, tenant=self._claim.tenant, tenant_name=tenant_name)
        if adapter is not row:
            raise AdapterRefused(f"These weights are here under this name already: {adapter.model}.")
        try:
            await self._storage.admit(session, self._claim.tenant, stored_adapter.bytes)
        except PayloadTooLarge as error:
            raise JobFailed("storage_full", error.message) from None
        return row

    async def complete(self, stored_adapter: StoredAdapter) -> dict[str, Any]:
        return {}

    async def finish(
        self, session: AsyncSession, row: AdapterRow, stored_adapter: StoredAdapter, checkpoints: Sequence[AdapterRow]
    ) -> None:
        """Write nothing more: the adapter is all that an import makes."""
