"""The checkpoints of a fine-tuning job: adapters as they were at the ends of epochs, each a model of its own."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.checkpoints import CheckpointFolder
from gateway.adapters.identity import DEFAULT_NAME
from gateway.adapters.publish import name_adapter
from gateway.adapters.service import AdapterRow
from gateway.adapters.stored_adapter import StoredAdapter
from gateway.fine_tuning.event_log import EventLog, add_event
from gateway.fine_tuning.job_inputs import TrainingInputs
from gateway.fine_tuning.lifecycle import is_running
from gateway.fine_tuning.parity import write_parity
from gateway.fine_tuning.repository import CheckpointRepository, FineTuningJobRepository
from gateway.fine_tuning.tables import CheckpointRow, FineTuningJobRow
from gateway.ids import new_id
from gateway.jobs import Claim, JobCancelled, JobFailed
from training.manifest import Manifest, Parity, read_manifest

__all__ = ["EpochCheckpoint", "EpochCheckpoints", "check_rows", "make_adapter_row"]


@dataclass(frozen=True, slots=True)
class EpochCheckpoint:
    """The end of an epoch, as the list of checkpoints shows it: its last step, the model of then, its figures."""

    step: int
    model: str
    metrics: dict[str, float]


class EpochCheckpoints:
    """The source of a job's checkpoints, see `CheckpointSource`.

    Args:
        claim: Of the job.
        inputs: The rows that the checkpoints have to be made of.
        log: Has the figures of each epoch.

    Attributes:
        parity: The proof for the job's rows, of which the checkpoints are made too; None while nobody has it.
    """

    parity: Parity | None = None

    def __init__(self, claim: Claim, inputs: TrainingInputs, log: EventLog) -> None:
        self._claim = claim
        self._inputs = inputs
        self._log = log

    @staticmethod
    def locate_folder(work: Path) -> Path:
        """Return the folder for the trainer's checkpoints in a run's own one."""
        return work / "checkpoints"

    async def find(self, work: Path) -> Sequence[CheckpointFolder]:
        return await asyncio.to_thread(self._read_folders, self.locate_folder(work))

    async def name(self, session: AsyncSession, stored_adapter: StoredAdapter) -> AdapterRow:
        job = await FineTuningJobRepository(session, self._claim.tenant).lock(self._claim.subject)
        if not is_running(job):
            raise JobCancelled
        row = make_adapter_row(self._claim, job, stored_adapter)
        return await name_adapter(session, row, tenant=self._claim.tenant, tenant_name=self._inputs.tenant_name)

    async def leave_out(self, session: AsyncSession, step: int, reason: str) -> None:
        message = f"The checkpoint of step {step} was left out. {reason}"
        add_event(session, self._claim.tenant, self._claim.subject, message, level="warn", data={"step": step})

    def add_rows(
        self, session: AsyncSession, rows: Sequence[AdapterRow], stored_adapter: StoredAdapter, final: EpochCheckpoint
    ) -> None:
        """List the checkpoints that are ready, and the finished model as the last of them or where it belongs."""
        metrics = {one.step: one.details["metrics"] for one in stored_adapter.checkpoints}
        ends = [EpochCheckpoint(row.step, row.model, metrics[row.step]) for row in rows if row.step is not None]
        for end in sorted([*ends, final], key=lambda end: end.step):
            row = CheckpointRow(
                id=new_id("ftckpt_"),
                created_at=int(time.time()),
                fine_tuning_job_id=self._claim.subject,
                step=end.step,
                model=end.model,
                metrics=end.metrics,
            )
            CheckpointRepository(session, self._claim.tenant).add(row)
            message = f"Checkpoint created at step {end.step}"
            if end is not final:
                message += f" with Snapshot ID: {end.model}"
            add_event(session, self._claim.tenant, self._claim.subject, message)

    def _read_folders(self, root: Path) -> list[CheckpointFolder]:
        checkpoints: list[CheckpointFolder] = []
        for folder in root.iterdir() if root.is_dir() else ():
            manifest = read_manifest(folder)
            check_rows(manifest, self._inputs)
            manifest = write_parity(folder, manifest, self.parity)
            step = len(manifest.losses)
            details = {"metrics": self._log.find_final_metrics(step)}
            checkpoints.append(CheckpointFolder(step, folder, msgspec.to_builtins(manifest), details))
        return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)


def check_rows(manifest: Manifest, inputs: TrainingInputs) -> None:
    """Refuse weights that were made of other rows than the job.

    Raises:
        JobFailed: They were.
    """
    rows = inputs.validation_rows
    if (manifest.rows_digest, manifest.validation_rows_digest) != (inputs.rows.digest, rows and rows.digest):
        message = (
            "The trainer's manifest names other rows than those that the job was made of, so it isn't used. "
            "Tell the operator: the trainer's version may not be the gateway's."
        )
        raise JobFailed("rows_changed", message)


def make_adapter_row(claim: Claim, job: FineTuningJobRow, stored_adapter: StoredAdapter) -> AdapterRow:
    """Return a new row for weights that a job made; it has no names yet."""
    counts = job.braid.get("written_rows")
    return AdapterRow(
        id=new_id("adapter_"),
        created_at=int(time.time()),
        name=job.suffix or DEFAULT_NAME,
        digest=stored_adapter.digest,
        bytes=stored_adapter.bytes,
        base_model=job.model,
        rank=stored_adapter.rank,
        source=job.id,
        step=stored_adapter.step,
        manifest=stored_adapter.manifest | ({"written_rows": counts} if counts else {}),
        job_id=claim.id,
    )
