"""The work behind a fine-tuning job: rows → trainer → verdict → engines → a model that answers."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.admission import Admission, name_adapter, refuse_unproven
from gateway.adapters.names import DEFAULT_NAME
from gateway.adapters.refusal import AdapterRefused
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.adapters.trainer import Trainer, TrainerDied
from gateway.artifacts import Artifacts
from gateway.files.repository import FileRepository
from gateway.files.tables import FileRow
from gateway.fine_tuning.journal import Journal, note
from gateway.fine_tuning.order import Order, read_order, write_spec
from gateway.fine_tuning.repository import ENDED, CheckpointRepository, FineTuningJobRepository
from gateway.fine_tuning.tables import CheckpointRow, FineTuningJobRow
from gateway.ids import new_id
from gateway.jobs import Claim, JobCancelled, JobFailed, Outcome, failpoint
from training.manifest import read_manifest

__all__ = ["TrainHandler"]


class Kept(msgspec.Struct, frozen=True):
    """What a trainer's run left for the steps after it; a job that is resumed goes on from here."""

    digest: str
    rank: int
    step: int
    metrics: dict[str, float]
    manifest: dict[str, Any]
    result_digest: str
    result_bytes: int


class TrainHandler:
    """Handles jobs of the kind `train`; their subject is a fine-tuning job.

    A run that was killed while it trained starts over; one that was killed later goes on from the finished weights.

    Args:
        artifacts: Takes the weights and the result file.
        admission: Judges, keeps and proves adapters.
        trainer: Does the training.
        work: Folder for the jobs' own folders; nothing in it is needed after a job.
    """

    def __init__(self, artifacts: Artifacts, admission: Admission, trainer: Trainer, work: Path) -> None:
        self._artifacts = artifacts
        self._admission = admission
        self._trainer = trainer
        self._work = work

    async def run(self, claim: Claim) -> None:
        """Train, and make the adapter ready; see `gateway.jobs.Handler` for how it ends otherwise."""
        order = await self._begin(claim)
        if order is None:
            return
        try:
            if "kept" not in claim.state:
                kept = await self._make(claim, order)
                await claim.save({"kept": msgspec.to_builtins(kept)})
            failpoint("kept")
            kept = msgspec.convert(claim.state["kept"], Kept)
            adapter = await self._name(claim, order, kept)
            failpoint("named")
            if adapter.status != "ready":
                await unless_cancelled(claim, self._admission.prove(adapter))
            failpoint("proven")
            await self._finish(claim, adapter.id, kept)
        except AdapterRefused as refused:
            raise JobFailed("adapter_refused", f"The trained adapter was refused. {refused.message}") from refused

    async def ended(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write the end to the fine-tuning job, and leave nothing half-made."""
        await asyncio.to_thread(shutil.rmtree, self._work / claim.subject, ignore_errors=True)
        reason = outcome.message or "The job ended before the adapter was ready."
        await refuse_unproven(session, claim.tenant, claim.id, reason)
        job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
        if job.status in ENDED:
            return
        job.status, job.finished_at, job.estimated_finish = outcome.status, int(time.time()), None
        if outcome.status == "failed":
            job.error = {"code": outcome.code or "server_error", "message": reason, "param": None}
            note(session, claim.tenant, job.id, f"The job failed: {reason}", level="error")

    async def _begin(self, claim: Claim) -> Order | None:
        """Mark the job as running and read what it asks for; None when it has succeeded already."""
        async with claim.begin() as session:
            job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
            if job.status == "cancelled" or claim.cancelled.is_set():
                raise JobCancelled
            if job.status in ENDED:
                return None
            if job.status == "queued":
                note(session, claim.tenant, job.id, "Fine-tuning job started")
            elif "kept" not in claim.state:
                note(session, claim.tenant, job.id, "The training was interrupted and starts over", level="warn")
            job.status = "running"
            return await read_order(session, job, self._artifacts)

    async def _make(self, claim: Claim, order: Order) -> Kept:
        """Train in a folder of the job's own, which is gone afterwards, and keep the weights if they may be served."""
        work = self._work / claim.subject
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            base = self._admission.base
            spec = await asyncio.to_thread(write_spec, work, order, base, max_rank=self._admission.max_rank)
            journal = Journal(claim)
            await unless_cancelled(claim, self._train(claim, spec, work / "adapter", journal))
            await journal.flush()
            failpoint("trained")
            return await self._keep(work / "adapter", journal)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _train(self, claim: Claim, spec: Path, out: Path, journal: Journal) -> None:
        async with self._trainer.train(spec, out) as run:
            failpoint("started")
            while event := await run.next_event():
                await journal.take(event)
                failpoint("event")
            await run.check()
        if not out.is_dir():
            raise TrainerDied("The trainer said that it succeeded, and left no adapter.")

    async def _keep(self, folder: Path, journal: Journal) -> Kept:
        passed = await self._admission.judge(folder)
        manifest = await asyncio.to_thread(read_manifest, folder)
        await self._admission.keep(folder, passed.digest)
        result = await self._artifacts.put(_parts(journal.result_file()))
        metrics = journal.last_metrics()
        return Kept(
            digest=passed.digest,
            rank=passed.rank,
            step=int(metrics["step"]),
            metrics=metrics,
            manifest=msgspec.to_builtins(manifest),
            result_digest=result.digest,
            result_bytes=result.size,
        )

    async def _name(self, claim: Claim, order: Order, kept: Kept) -> AdapterRow:
        """Give the weights their name, and the job its result file; nobody but engines sees the adapter yet."""
        async with claim.begin() as session:
            job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
            if job.status in ENDED:
                raise JobCancelled
            if not job.result_files:
                job.result_files = [_add_result_file(session, claim.tenant, kept)]
            row = AdapterRow(
                id=new_id("adapter_"),
                created_at=int(time.time()),
                name=job.suffix or DEFAULT_NAME,
                digest=kept.digest,
                base_model=job.model,
                rank=kept.rank,
                source=job.id,
                manifest=kept.manifest,
                job_id=claim.id,
            )
            return await name_adapter(session, row, tenant=claim.tenant, tenant_name=order.tenant_name)

    async def _finish(self, claim: Claim, adapter_id: str, kept: Kept) -> None:
        """Let clients have the adapter: one commit for it, its checkpoint and the job's success."""
        async with claim.begin() as session:
            job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
            if job.status in ENDED:
                raise JobCancelled
            adapter = await AdapterRepository(session, claim.tenant).get(adapter_id)
            adapter.status, adapter.reason = "ready", None
            _succeed(job, adapter.model, kept)
            CheckpointRepository(session, claim.tenant).add(
                CheckpointRow(
                    id=new_id("ftckpt_"),
                    created_at=int(time.time()),
                    fine_tuning_job_id=job.id,
                    step=kept.step,
                    model=adapter.model,
                    metrics=kept.metrics,
                )
            )
            note(session, claim.tenant, job.id, f"Checkpoint created at step {kept.step}")
            note(session, claim.tenant, job.id, f"New fine-tuned model created: {adapter.model}")
            note(session, claim.tenant, job.id, "The job has successfully completed")


async def unless_cancelled(claim: Claim, work: Coroutine[Any, Any, None]) -> None:
    """Await `work`, and drop it when the job's owner cancels the job.

    Raises:
        JobCancelled: It was dropped.
    """
    working = asyncio.create_task(work)
    asked = asyncio.create_task(claim.cancelled.wait())
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise JobCancelled
    finally:
        working.cancel()
        asked.cancel()
        await asyncio.gather(working, asked, return_exceptions=True)
    await working


def _succeed(job: FineTuningJobRow, model: str, kept: Kept) -> None:
    job.status, job.finished_at, job.estimated_finish = "succeeded", int(time.time()), None
    job.fine_tuned_model = model
    job.trained_tokens = kept.manifest["trained_tokens"]


def _add_result_file(session: AsyncSession, tenant: str, kept: Kept) -> str:
    row = FileRow(
        id=new_id("file-"),
        created_at=int(time.time()),
        filename="step_metrics.csv",
        purpose="fine-tune-results",
        digest=kept.result_digest,
        bytes=kept.result_bytes,
    )
    return FileRepository(session, tenant).add(row).id


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    yield content
