"""A tenant's uploaded training files, each parsed and rendered once: before a job is made of them."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.adapters.service import AdapterRow
from gateway.artifacts import Artifacts, StoredBytes
from gateway.conversations.checks import check_conversations
from gateway.conversations.conversation import Conversation
from gateway.conversations.findings import Finding
from gateway.conversations.formats import read_conversations
from gateway.db import Database
from gateway.engines.served_base_model import ServedBaseModel, choose_markers
from gateway.engines.training_traits import TrainingTraits
from gateway.errors import BadRequest, blur
from gateway.files.service import get_file
from gateway.fine_tuning.request import find_start
from gateway.fine_tuning.rows import RenderedFile, RowsUnusable, render_preferences, render_rows
from gateway.fine_tuning.schemas import FineTuningJobCreate
from gateway.prompts import PromptRow
from gateway.prompts.service import get_prompt
from gateway.prompts.variables import check_variables
from training.dataset import describe_problems

__all__ = ["TrainingFiles", "choose_row_format"]

_DESCRIBED_PROBLEMS = 10
_CHECKED_ROWS = 10_000  # lines of a file; they take some seconds
_MOST_BYTES = 64 << 20  # some 50,000 rows with passages; twice these bytes are held while they are rendered


class TrainingFiles:
    """Files, prompts and adapters of one tenant, each read in a short unit of work of its own.

    Rendering a large file takes seconds, and no connection to the database is held meanwhile.
    """

    def __init__(self, database: Database, tenant: str, artifacts: Artifacts, base: ServedBaseModel | None) -> None:
        self._database = database
        self._tenant = tenant
        self._artifacts = artifacts
        self._base = base

    async def read_traits(self) -> TrainingTraits | None:
        """Return what the base model asks of jobs; None where only workers know, whose trainer looks at it then.

        Raises:
            BadRequest: No reply can be learnt with its chat template, or it is quantised, or its files are damaged.
        """
        if self._base is None:
            return None
        traits = await asyncio.to_thread(self._base.find_training_traits)
        if traits is None or traits.refusal is None:
            return traits
        message = blur(traits.refusal.message)
        if traits.refusal.code == "unsupported_chat_template":
            raise BadRequest(message, param="model", code="unsupported_chat_template")
        raise BadRequest(message, param="model", code="unsupported_base_model")

    async def find_start(self, request: FineTuningJobCreate, base: str) -> AdapterRow | None:
        """Return the tenant's adapter that a job trains on from, see `request.find_start`."""
        async with self._database.read() as session:
            return await find_start(session, self._tenant, request, base)

    async def find_prompt(self, reference: str | None, variables: Mapping[str, Any]) -> PromptRow | None:
        """Return the prompt that rows are to be rendered with; None for none.

        Raises:
            NotFound: The tenant has no such prompt.
            BadRequest: It can't be rendered with these values of its own names.
        """
        row = None
        if reference is not None:
            async with self._database.read() as session:
                row = await get_prompt(session, self._tenant, reference, param="braid.prompt")
        check_variables(row.template if row else None, variables, reference=reference, param="braid.variables")
        return row

    async def render(
        self, file_id: str, prompt: PromptRow | None, variables: Mapping[str, Any], *, method: str, param: str
    ) -> RenderedFile:
        """Return a file's rows as the trainer will read them, once each is known to be usable by the method.

        Raises:
            NotFound: The tenant has no such file.
            BadRequest: It was uploaded for something else, is too large, or has bad rows (the message numbers them).
        """
        async with self._database.read() as session:
            file = await get_file(session, self._tenant, file_id, param=param)
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
        path = self._artifacts.locate_file(file.digest)
        template = prompt.template if prompt else None
        markers = choose_markers(self._base)
        render = render_preferences if method == "dpo" else render_rows
        try:
            return await asyncio.to_thread(lambda: render(path.read_bytes(), template, variables, markers))
        except RowsUnusable as error:
            raise BadRequest(
                f"{len(error.problems)} of {error.rows} rows can't be used. "
                f"{describe_problems(error.problems, _DESCRIBED_PROBLEMS)} Correct them and upload the file again.",
                param=param,
                code=f"invalid_{param}",
            ) from None

    async def check(self, file_id: str, validation_id: str | None, method: str) -> list[Finding]:
        """Return what is doubtful in files that `render` has taken; of long ones, in their first 10,000 rows."""
        async with self._database.read() as session:
            ids = [file_id] if validation_id is None else [file_id, validation_id]
            digests = [(await get_file(session, self._tenant, id)).digest for id in ids]
        return await asyncio.to_thread(
            _check, [self._artifacts.locate_file(digest) for digest in digests], choose_row_format(method)
        )

    async def store(self, file: RenderedFile) -> StoredBytes:
        """Keep rendered rows in the artifacts; a row has to refer to them within the hour."""
        return await self._artifacts.put_bytes(file.content)


def choose_row_format(method: str) -> str:
    """Return the name of the format of a method's files, see `gateway.conversations.formats`."""
    return "openai-preferences" if method == "dpo" else "openai"


def _check(paths: Sequence[Path], format: str) -> list[Finding]:
    findings = check_conversations(*(_read_first(path, format) for path in paths))
    return [finding for finding in findings if finding.check != "over_long"]  # the trainer counts their tokens


def _read_first(path: Path, format: str) -> Sequence[Conversation]:
    with path.open("rb") as file:
        data = b"".join(islice(file, _CHECKED_ROWS))
    return read_conversations(data, format)[1].conversations
