"""What a fine-tuning job asks the trainer for, read from the database and written down as its spec."""

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.engines.served_base_model import ServedBaseModel
from gateway.files.repository import FileRepository
from gateway.fine_tuning.dataset import describe
from gateway.fine_tuning.rows import RowsUnusable, render_rows
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.jobs import JobFailed
from gateway.prompts.repository import PromptRepository
from gateway.tenants.repository import find_tenant
from training.rendered_rows import RowsFile
from training.spec import Recipe, TrainSpec

__all__ = ["Order", "read_order", "write_spec"]


class Order(msgspec.Struct, frozen=True):
    """A job's files and figures; `prompt` is the template's source."""

    tenant_name: str
    training_file: Path
    validation_file: Path | None
    prompt: str | None
    hyperparameters: dict[str, Any]
    seed: int


async def read_order(session: AsyncSession, job: FineTuningJobRow, artifacts: Artifacts) -> Order:
    """Read what the job asks for.

    Raises:
        JobFailed: A file was deleted since the job was made.
    """
    tenant = await find_tenant(session, job.tenant_id)
    assert tenant is not None
    reference = job.braid["prompt"]
    prompt = await PromptRepository(session, job.tenant_id).get_by_reference(reference) if reference else None
    files = FileRepository(session, job.tenant_id)
    return Order(
        tenant_name=tenant.name,
        training_file=await _path(files, job.training_file, artifacts),
        validation_file=await _path(files, job.validation_file, artifacts) if job.validation_file else None,
        prompt=prompt.template if prompt else None,
        hyperparameters=job.hyperparameters,
        seed=job.seed,
    )


def write_spec(work: Path, order: Order, base: ServedBaseModel, *, max_rank: int) -> Path:
    """Write the rendered rows and the trainer's spec into `work`; it blocks, so call it in a thread.

    Raises:
        JobFailed: Rows can't be rendered.
    """
    count = _write_rows(order.training_file, order.prompt, work / "rows.jsonl")
    validation = work / "validation_rows.jsonl" if order.validation_file else None
    if order.validation_file and validation:
        _write_rows(order.validation_file, order.prompt, validation)
    asked = order.hyperparameters
    multiplier = asked["learning_rate_multiplier"]
    recipe = Recipe.for_rows(
        count,
        epochs=asked["n_epochs"],
        batch_size=asked["batch_size"],
        learning_rate_multiplier=None if multiplier == "auto" else multiplier,
        seed=order.seed,
    )
    spec = TrainSpec(
        base_model=base.path,
        base_name=base.name,
        rows=RowsFile(str(work / "rows.jsonl")),
        validation_rows=RowsFile(str(validation)) if validation else None,
        recipe=msgspec.structs.replace(recipe, rank=min(recipe.rank, max_rank)),
    )
    path = work / "spec.json"
    path.write_bytes(msgspec.json.encode(spec))
    return path


def _write_rows(source: Path, prompt: str | None, target: Path) -> int:
    try:
        rows = render_rows(source.read_bytes(), prompt)
    except RowsUnusable as error:
        raise JobFailed("invalid_training_file", describe(error.rows, error.problems)) from error
    target.write_bytes(rows.jsonl)
    return rows.count


async def _path(files: FileRepository, id: str, artifacts: Artifacts) -> Path:
    row = await files.find(id)
    if row is None:
        raise JobFailed(
            "file_deleted", f"The file {id!r} was deleted before the job had read it. Upload it and make another job."
        )
    return artifacts.file(row.digest)
