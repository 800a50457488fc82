"""The state of a job's unfinished training: kept in the artifacts, so that any worker goes on from it."""

import asyncio
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.files.garbage_collection import collect_later
from gateway.fine_tuning.lifecycle import has_ended
from gateway.fine_tuning.repository import FineTuningJobRepository
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.jobs import Claim, JobCancelled, failpoint
from training.state_header import read_saved_step

__all__ = ["TrainingState", "drop_state"]

_log = structlog.get_logger()


class TrainingState:
    """The one state of a job that a later run goes on from; a newer one takes its place, and its bytes go at once.

    Args:
        claim: Of the job.
        artifacts: Where states are kept, under their digests. No two are alike (`training.state`).
        digest: That of the state that an earlier claim left, or None.
    """

    def __init__(self, claim: Claim, artifacts: Artifacts, digest: str | None) -> None:
        self._claim = claim
        self._artifacts = artifacts
        self._digest = digest

    async def restore(self, path: Path) -> None:
        """Put the state at a path for the trainer, if there is one."""
        if self._digest is None:
            return
        try:
            await self._artifacts.lend_file(self._digest, path)
        except FileNotFoundError:  # by hand, or a backup without it: the training starts over
            _log.warning("training_state_missing", job=self._claim.subject, digest=self._digest)

    async def keep(self, path: Path, step: int) -> None:
        """Keep what the trainer saved after a step: written whole and named in one commit, or not at all.

        The trainer may have saved again meanwhile, or be done. A later state waits for its own event: what is told
        between the two is written down only then, and a run that goes on doesn't tell it again.

        Raises:
            JobCancelled: The job's owner has cancelled it.
            LeaseLost: Another worker has the job.
        """
        try:
            artifact = await self._artifacts.put_path(path)
        except FileNotFoundError:
            return
        if await asyncio.to_thread(read_saved_step, self._artifacts.locate_file(artifact.digest)) != step:
            self._artifacts.remove_file(artifact.digest)
            return
        failpoint("state-stored")
        before = self._digest
        try:
            async with self._claim.begin() as session:
                job = await FineTuningJobRepository(session, self._claim.tenant).lock(self._claim.subject)
                if has_ended(job):
                    raise JobCancelled
                if step > (job.state_step or 0):
                    await self._claim.count_afresh(session)
                job.state_digest, job.state_bytes, job.state_step = artifact.digest, artifact.size, step
        except BaseException:
            self._artifacts.remove_file(artifact.digest)
            raise
        self._digest = artifact.digest
        failpoint("state-kept")
        if before is not None and before != artifact.digest:
            self._artifacts.remove_file(before)


async def drop_state(session: AsyncSession, row: FineTuningJobRow) -> None:
    """Have the state of a job that ends removed, in the transaction that ends it."""
    if row.state_digest is not None:
        await collect_later(session, row.tenant_id, [row.state_digest])
    row.state_digest, row.state_bytes, row.state_step = None, 0, None
