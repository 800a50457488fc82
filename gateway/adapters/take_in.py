"""The work behind an import: an uploaded PEFT folder → verdict → reference → engines → an adapter that answers."""

import asyncio
import shutil
import sys
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.admission import Admission, name_adapter
from gateway.adapters.refusal import AdapterRefused, Passed
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.adapters.trainer import Trainer
from gateway.artifacts import Artifacts
from gateway.jobs import Claim, JobFailed, Outcome, failpoint
from gateway.processes.program import open_program
from gateway.tenants.repository import find_tenant
from training.manifest import Reference

__all__ = ["ImportHandler"]

_REASON_BYTES = 4_096


class ImportHandler:
    """Handles jobs of the kind `import`: their subject is an adapter, their payload's `file` the upload's digest.

    Args:
        artifacts: Has the upload, takes the weights.
        admission: Judges, keeps and proves adapters.
        trainer: Makes the reference that engines have to reproduce.
        work: Folder for the jobs' own folders; nothing in it is needed after a job.
    """

    def __init__(self, artifacts: Artifacts, admission: Admission, trainer: Trainer, work: Path) -> None:
        self._artifacts = artifacts
        self._admission = admission
        self._trainer = trainer
        self._work = work

    async def run(self, claim: Claim) -> None:
        """Take the upload in; see `gateway.jobs.Handler` for how it ends otherwise."""
        async with claim.begin() as session:
            row = await AdapterRepository(session, claim.tenant).get(claim.subject)
        try:
            if row.status == "checking":
                row = await self._make(claim)
            failpoint("named")
            if row.status == "probing":
                await self._admission.prove(row)
                failpoint("proven")
                await self._finish(claim)
        except AdapterRefused as refused:
            raise JobFailed("adapter_refused", refused.message) from refused

    async def ended(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write the reason to the adapter."""
        await asyncio.to_thread(shutil.rmtree, self._work / claim.subject, ignore_errors=True)
        row = await AdapterRepository(session, claim.tenant).get(claim.subject)
        if row.status in ("checking", "probing"):
            row.status, row.reason = "refused", outcome.message

    async def _make(self, claim: Claim) -> AdapterRow:
        work = self._work / claim.subject
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        folder = work / "adapter"
        folder.mkdir(parents=True)
        try:
            await self._unpack(self._artifacts.file(claim.payload["file"]), folder, work / "unpack.log")
            failpoint("unpacked")
            passed = await self._admission.judge(folder)
            reference = await self._refer(folder, work / "reference.json")
            failpoint("referred")
            await self._admission.keep(folder, passed.digest)
            return await self._name(claim, passed, reference)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _unpack(self, archive: Path, folder: Path, log: Path) -> None:
        if not archive.exists():
            raise AdapterRefused("file_deleted", "The uploaded file was deleted before it was read. Upload it again.")
        command = (sys.executable, "-m", "gateway.adapters.archive", str(archive), str(folder))
        async with open_program(command, errors=log) as program:
            said = await program.output(_REASON_BYTES)
            status = await program.wait()
        if status != 0:
            reason = said.decode(errors="replace") or "Unpacking it takes more memory or time than is allowed."
            raise AdapterRefused("archive_refused", reason)

    async def _refer(self, folder: Path, out: Path) -> Reference:
        async with self._trainer.refer(Path(self._admission.base.path), folder, out) as run:
            await run.check()
        return msgspec.json.decode(out.read_bytes(), type=Reference)

    async def _name(self, claim: Claim, passed: Passed, reference: Reference) -> AdapterRow:
        async with claim.begin() as session:
            row = await AdapterRepository(session, claim.tenant).get(claim.subject)
            tenant = await find_tenant(session, claim.tenant)
            assert tenant is not None
            row.digest, row.rank, row.manifest = passed.digest, passed.rank, msgspec.to_builtins(reference)
            named = await name_adapter(session, row, tenant=claim.tenant, tenant_name=tenant.name)
            if named is not row:
                raise AdapterRefused(
                    "imported_already", f"These weights are here under this name already: {named.model}."
                )
            return row

    async def _finish(self, claim: Claim) -> None:
        async with claim.begin() as session:
            row = await AdapterRepository(session, claim.tenant).get(claim.subject)
            if row.status == "probing":
                row.status, row.reason = "ready", None
