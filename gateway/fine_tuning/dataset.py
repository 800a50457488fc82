"""A tenant's uploaded training files, looked at before a job is made of them."""

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.errors import BadRequest
from gateway.files.repository import FileRepository
from gateway.fine_tuning.rows import RowsUnusable, render_rows
from gateway.prompts.repository import PromptRepository
from gateway.prompts.tables import PromptRow
from training.dataset import Problem

__all__ = ["TrainingFiles", "describe"]

_SHOWN_PROBLEMS = 10
_MOST_BYTES = 64 << 20  # some 50,000 rows with passages; they are held in memory while they are rendered


class TrainingFiles:
    """Files and prompts of one tenant, read in a unit of work of their own.

    Checking a large file takes seconds, and a unit of work that writes would keep every other writer waiting for it.
    """

    def __init__(self, session: AsyncSession, tenant: str, artifacts: Artifacts) -> None:
        self._files = FileRepository(session, tenant)
        self._prompts = PromptRepository(session, tenant)
        self._artifacts = artifacts

    async def prompt(self, reference: str | None) -> PromptRow | None:
        return None if reference is None else await self._prompts.get_by_reference(reference, param="braid.prompt")

    async def count(self, file_id: str, prompt: PromptRow | None, *, param: str) -> int:
        """Return how many rows the file has, once each is known to be usable.

        Raises:
            NotFound: The tenant has no such file.
            BadRequest: It was uploaded for something else, is too large, or has bad rows (the message numbers them).
        """
        file = await self._files.get(file_id, param=param)
        if file.purpose != "fine-tune":
            raise BadRequest(
                f"The file {file_id!r} has the purpose {file.purpose!r}. Upload it again with the purpose 'fine-tune'.",
                param=param,
            )
        if file.bytes > _MOST_BYTES:
            raise BadRequest(
                f"The file {file_id!r} has {file.bytes} bytes, and {_MOST_BYTES} are the most that one job takes. A "
                "style is learnt from hundreds of rows: choose the best ones.",
                param=param,
                code="file_too_large",
            )
        path = self._artifacts.file(file.digest)
        source = prompt.template if prompt else None
        try:
            rows = await asyncio.to_thread(lambda: render_rows(path.read_bytes(), source))
        except RowsUnusable as error:
            raise BadRequest(
                f"{describe(error.rows, error.problems)} Correct them and upload the file again.",
                param=param,
                code=f"invalid_{param}",
            ) from None
        return rows.count


def describe(rows: int, problems: Sequence[Problem]) -> str:
    """Tell which rows are at fault, the first few with their reasons."""
    shown = " ".join(f"Row {problem.row}: {problem.message}" for problem in problems[:_SHOWN_PROBLEMS])
    rest = [str(problem.row) for problem in problems[_SHOWN_PROBLEMS:][:100]]
    more = f" Also rows {', '.join(rest)}." if rest else ""
    return f"{len(problems)} of {rows} rows can't be used. {shown}{more}"
