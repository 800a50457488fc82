"""The files that an adapter was trained on and held against, as its job names them."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.fine_tuning.repository import FineTuningJobRepository

__all__ = ["TrainedFiles", "find_trained_files"]


@dataclass(frozen=True, slots=True)
class TrainedFiles:
    """Ids of files, which may have been deleted since; `validation` is None where the job had no such file."""

    training: str
    validation: str | None


async def find_trained_files(session: AsyncSession, tenant: str, job: str) -> TrainedFiles | None:
    """Find the files of a fine-tuning job; None where there is no such job, as for an imported adapter."""
    row = await FineTuningJobRepository(session, tenant).find(job)
    return None if row is None else TrainedFiles(row.training_file, row.validation_file)
