"""The rows that an adapter has learnt: those of its training job, and of the jobs whose adapters it started from."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import find_adapter_row
from gateway.artifacts import Artifacts
from gateway.files.service import find_file
from gateway.fine_tuning.service import find_job
from gateway.gates.held_out_rows import LearntReply, RowsUnfit, list_learnt_replies

__all__ = ["LearntFile", "LearntRows", "find_learnt_files", "read_learnt_rows"]

_MOST_BYTES = 64 * 1024**2
_LONGEST_CHAIN = 20


@dataclass(frozen=True, slots=True)
class LearntFile:
    """The training file of one adapter; `digest` is None where it isn't known: imported, deleted, or too large."""

    model: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class LearntRows:
    """The replies of a chain of adapters, and the names of those whose rows nobody can read any more."""

    replies: list[LearntReply]
    unknown: list[str]


async def find_learnt_files(session: AsyncSession, tenant: str, model: str | None) -> list[LearntFile]:
    """Find the files of an adapter (none without one), and of those before it, the last first."""
    files: list[LearntFile] = []
    digest: str | None = None
    while model is not None and len(files) < _LONGEST_CHAIN:
        row = await find_adapter_row(session, tenant, model)
        same = row is not None and digest in (None, row.digest)
        job = await find_job(session, tenant, row.source) if row is not None and same else None
        file = job and await find_file(session, tenant, job.training_file)
        files.append(LearntFile(model, file.digest if file is not None and file.bytes <= _MOST_BYTES else None))
        start = job and job.braid.get("start")
        model, digest = (start["model"], start["digest"]) if start else (None, None)
    if model is not None:
        files.append(LearntFile(model, None))
    return files


def read_learnt_rows(artifacts: Artifacts, files: Sequence[LearntFile]) -> LearntRows:
    """Read what an adapter has learnt, from all of its files."""
    rows = LearntRows([], [])
    for file in files:
        try:
            if file.digest is None:
                raise FileNotFoundError(file.model)
            rows.replies.extend(list_learnt_replies(artifacts.locate_file(file.digest).read_bytes()))
        except (FileNotFoundError, RowsUnfit):
            rows.unknown.append(file.model)
    return rows
