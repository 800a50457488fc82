"""The inputs of a training run: what a fine-tuning job's row says, written down as the trainer's spec."""

from pathlib import Path
from typing import Any, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.artifacts import Artifacts
from gateway.engines.served_base_model import ServedBaseModel
from gateway.fine_tuning.recipe import apply_options
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.jobs import JobFailed
from gateway.tenants.service import find_tenant_name
from training.rendered_rows import RowPrompt, RowsFile
from training.spec import DEFAULT_BETA, Recipe, TrainSpec

__all__ = ["TrainingInputs", "read_inputs", "write_spec"]


class TrainingInputs(msgspec.Struct, frozen=True):
    """The rows that a job was made of, and its figures; `start` is the folder of the adapter that is trained on."""

    tenant_name: str
    rows: RowsFile
    validation_rows: RowsFile | None
    hyperparameters: dict[str, Any]
    options: dict[str, Any]
    steps: int | None
    seed: int
    chat_template_kwargs: dict[str, Any] | None
    method: Literal["sft", "dpo"] = "sft"
    start: str | None = None
    prompt: RowPrompt | None = None


async def read_inputs(session: AsyncSession, job: FineTuningJobRow, artifacts: Artifacts) -> TrainingInputs:
    """Read what the job asks for.

    Raises:
        JobFailed: It was made by a Braid that didn't keep the rendered rows, or the adapter that it trains on is gone.
    """
    tenant_name = await find_tenant_name(session, job.tenant_id)
    assert tenant_name is not None
    if job.rows_digest is None:
        raise JobFailed("rows_missing", "The job was made before an upgrade, and has no rendered rows. Make it again.")
    validation = job.validation_rows_digest
    return TrainingInputs(
        tenant_name=tenant_name,
        rows=_rows_file(artifacts, job.rows_digest),
        validation_rows=_rows_file(artifacts, validation) if validation else None,
        hyperparameters=job.hyperparameters,
        options=job.braid.get("recipe") or {},
        steps=job.braid.get("steps"),
        seed=job.seed,
        chat_template_kwargs=job.braid.get("chat_template_kwargs"),
        method="dpo" if job.braid.get("method") == "dpo" else "sft",
        start=_find_start(job, artifacts),
        prompt=_read_prompt(job),
    )


def _read_prompt(job: FineTuningJobRow) -> RowPrompt | None:
    digest = job.braid.get("prompt_digest")
    if digest is None:
        return None  # of a Braid that didn't note it
    return RowPrompt(
        name=job.braid["prompt"],
        digest=digest,
        builtin=prompts.compile(prompts.DEFAULT).digest,
        variables=job.braid["variables"],
    )


def _find_start(job: FineTuningJobRow, artifacts: Artifacts) -> str | None:
    start = job.braid.get("start")
    if start is None:
        return None
    folder = artifacts.locate_adapter(start["digest"])
    if not folder.is_dir():
        message = (
            f"The adapter {start['model']!r}, which the job trains on, was deleted. Make the job of another model."
        )
        raise JobFailed("start_missing", message)
    return str(folder)


def write_spec(work: Path, inputs: TrainingInputs, base: ServedBaseModel, *, max_rank: int) -> Path:
    """Write the trainer's spec into the folder `work`, and return its file.

    Raises:
        JobFailed: Engines take smaller ranks by now than the job's.
    """
    multiplier = inputs.hyperparameters["learning_rate_multiplier"]
    recipe = Recipe(
        method=inputs.method,
        beta=inputs.hyperparameters.get("beta", DEFAULT_BETA),
        epochs=inputs.hyperparameters["n_epochs"],
        batch_size=inputs.hyperparameters["batch_size"],
        learning_rate_multiplier=1.0 if multiplier == "auto" else multiplier,
        steps=inputs.steps,
        seed=inputs.seed,
    )
    recipe = apply_options(recipe, inputs.options or {"rank": min(recipe.rank, max_rank)})
    if recipe.rank > max_rank:
        raise JobFailed(
            "rank_over_limit",
            f"The job's rank is {recipe.rank}, and engines here take {max_rank} by now. Make it again.",
        )
    spec = TrainSpec(
        base_model=base.path,
        base_name=base.name,
        rows=inputs.rows,
        validation_rows=inputs.validation_rows,
        chat_template_kwargs=inputs.chat_template_kwargs,
        recipe=recipe,
        start=inputs.start,
        prompt=inputs.prompt,
    )
    path = work / "spec.json"
    path.write_bytes(msgspec.json.encode(spec))
    return path


def _rows_file(artifacts: Artifacts, digest: str) -> RowsFile:
    return RowsFile(str(artifacts.locate_file(digest)), digest)
