"""Fine-tuning jobs as their owner sees them: made, listed, cancelled. The work itself is `train_job`'s."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.adapters.publish import refuse_undecided
from gateway.adapters.service import read_chat_template_kwargs
from gateway.artifacts import StoredBytes
from gateway.conversations.findings import Finding
from gateway.counts import format_count
from gateway.engines.training_traits import TrainingTraits
from gateway.errors import BadRequest
from gateway.fine_tuning.dataset import TrainingFiles
from gateway.fine_tuning.estimate import Price, TrainingFigures, estimate_training, price_figures
from gateway.fine_tuning.event_log import add_event
from gateway.fine_tuning.lifecycle import FineTuningStatus, has_ended, move
from gateway.fine_tuning.recipe import RecipeBounds, choose_recipe, explain_recipe, to_options
from gateway.fine_tuning.rehearsal import ROW_BYTES, choose_rehearsal
from gateway.fine_tuning.repository import (
    CheckpointRepository,
    EventRepository,
    FineTuningJobRepository,
    list_figures,
    make_metadata_conditions,
)
from gateway.fine_tuning.request import check_named_stores, check_request
from gateway.fine_tuning.row_shares import add_share_events, count_written_rows
from gateway.fine_tuning.rows import RenderedFile
from gateway.fine_tuning.schemas import (
    DpoMethod,
    FactsOptions,
    FineTuningBraidOptions,
    FineTuningJob,
    FineTuningJobBraid,
    FineTuningJobCheckpoint,
    FineTuningJobCheckpointList,
    FineTuningJobCreate,
    FineTuningJobEventList,
    FineTuningJobList,
    Hyperparameters,
    JobError,
    MethodFigures,
    RecipeOptions,
    SupervisedMethod,
    to_event,
)
from gateway.fine_tuning.tables import CheckpointRow, EventRow, FineTuningJobRow
from gateway.fine_tuning.training_state import drop_state
from gateway.ids import new_id
from gateway.tenants.authenticator import Principal
from gateway.tenants.storage import TenantStorage
from training.spec import COMFORTABLE_ROWS, MINIMUM_ROWS, Recipe

__all__ = ["FineTuningService", "estimate_cost", "find_job"]

_LISTED_ROWS = 10
_EARLIER = 8
_PASSAGE_BYTES = 900
_GUESS = "a guess: no training of this base model has been measured yet; so fast is the packaged one on two cores"


async def find_job(session: AsyncSession, tenant: str, id: str) -> FineTuningJobRow | None:
    """Find a tenant's job, as by the `source` of an adapter that it made; its files may have been deleted since."""
    return await FineTuningJobRepository(session, tenant).find(id)


async def estimate_cost(
    session: AsyncSession,
    base: str,
    method: str,
    recipe: Recipe,
    rows: int,
    size: int,
    price: Price,
    rehearsal: int,
) -> dict[str, Any]:
    """Estimate a training from the last ones of the base; see `price_figures`.

    Args:
        session: Of a unit of work.
        base: The base model's name.
        method: Of the training.
        recipe: For all rows, the base's own answers among them.
        rows: The tenant's own.
        size: Their bytes, as rendered.
        price: Of an hour.
        rehearsal: The base's own answers that are learnt among the rows.
    """
    earlier = [msgspec.convert(one, TrainingFigures) for one in await list_figures(session, base, method, _EARLIER)]
    figures = estimate_training(recipe, rows + rehearsal, size + rehearsal * ROW_BYTES, earlier)
    basis = f"measured in {format_count(len(earlier), 'training')}, the last of this base" if earlier else _GUESS
    return price_figures(figures, price, basis=basis, rehearsal=rehearsal)


class FineTuningService:
    """One tenant's fine-tuning jobs."""

    def __init__(self, session: AsyncSession, principal: Principal, storage: TenantStorage) -> None:
        self._session = session
        self._storage = storage
        self._tenant = principal.tenant
        self._key = principal.key
        self._organization = principal.tenant_name
        self._jobs = FineTuningJobRepository(session, principal.tenant)

    async def create(
        self,
        request: FineTuningJobCreate,
        files: TrainingFiles,
        base: str,
        bounds: RecipeBounds,
        price: Price,
        most_queued: int,
    ) -> FineTuningJob:
        """Check the request and its files, and queue the job; `base` is the base model's name, `price` an hour's.

        At most `most_queued` jobs may wait. The session isn't used before the rows are rendered and stored: in SQLite
        all other writers would wait from its first statement on.

        Raises:
            BadRequest: Something in it can't be done, or rows are bad or too few.
            NotFound: A file or the prompt doesn't exist.
            Unavailable: No base model is known yet.
            PayloadTooLarge: The tenant has no room for the rendered rows.
        """
        method, hyperparameters = check_request(request, base)
        start = await files.find_start(request, base)
        options = request.braid or FineTuningBraidOptions()
        prompt = await files.find_prompt(options.prompt, options.variables)
        traits = await files.read_traits()
        bounds = replace(bounds, start_rank=start and start.rank, parameters=traits and traits.parameters)
        render = partial(files.render, prompt=prompt, variables=options.variables, method=method)
        rows = await render(request.training_file, param="training_file")
        _check_count(rows.count)
        _check_systems(rows, traits)
        validation = request.validation_file
        validation_rows = await render(validation, param="validation_file") if validation is not None else None
        findings = await files.check(request.training_file, request.validation_file, method)
        wishes = options.recipe or RecipeOptions()
        rehearsal = choose_rehearsal(options.rehearsal, method, rows.count, traits)
        answers = rehearsal.answers
        row_count = rows.count + answers
        recipe = choose_recipe(hyperparameters, wishes, row_count, bounds)
        artifact = await files.store(rows)
        stored_validation = await files.store(validation_rows) if validation_rows else None
        await check_named_stores(self._session, self._tenant, options)
        facts = options.facts or (options.evidence and FactsOptions(vector_stores=options.evidence.vector_stores))
        size = artifact.size + _foresee_passages(options, rows)
        braid = {
            "prompt": f"{prompt.name}@{prompt.version}" if prompt else None,
            "prompt_digest": rows.prompt_digest,
            "variables": options.variables,
            "method": method,
            "start": start and {"model": start.model, "digest": start.digest},
            "steps": recipe.steps,
            "chat_template_kwargs": read_chat_template_kwargs(start) if start else traits and traits.variables,
            "recipe": to_options(recipe),
            "facts": facts and facts.model_dump(),
            "evidence": options.evidence and options.evidence.model_dump(),
            "rehearsal": answers,
            "written_rows": await count_written_rows(self._session, rows, start),
            "reasons": explain_recipe(recipe, hyperparameters, wishes, row_count, bounds.parameters, answers)
            | {"rehearsal": f"{answers}: {rehearsal.reason}"},
            "estimate": await estimate_cost(self._session, base, method, recipe, rows.count, size, price, answers),
        }
        figures = _show_hyperparameters(hyperparameters, recipe)
        row = self._jobs.add(_make_row(request, base, figures, artifact, stored_validation, braid))
        await self._session.flush()
        await self._enqueue(row, most_queued)
        self._log_creation(row, rows, findings)
        await self._storage.admit(self._session, self._tenant, row.rows_bytes)
        return self._schema(row)

    async def list(self, *, after: str | None, limit: int, metadata: Mapping[str, str] | None) -> FineTuningJobList:
        page = await self._jobs.list_page(*make_metadata_conditions(metadata), after=after, limit=limit)
        return FineTuningJobList(data=[self._schema(row) for row in page.rows], has_more=page.has_more)

    async def get(self, id: str) -> FineTuningJob:
        return self._schema(await self._jobs.get(id, param="fine_tuning_job_id"))

    async def cancel(self, id: str) -> FineTuningJob:
        """Cancel a job that hasn't ended; a running trainer is stopped within seconds after that.

        Raises:
            BadRequest: It has ended already.
        """
        job = await self._lock(id, "cancel")
        if job.status != FineTuningStatus.PAUSED:
            await self._stop(job, "cancelled")
        move(job, FineTuningStatus.CANCELLED)
        await drop_state(self._session, job)
        add_event(self._session, self._tenant, id, "The job was cancelled.")
        return self._schema(job)

    async def pause(self, id: str) -> FineTuningJob:
        """Stop a job for now; a running trainer saves its state after its present step. A paused one stays so.

        Raises:
            BadRequest: It has ended already.
        """
        job = await self._lock(id, "pause")
        if job.status != FineTuningStatus.PAUSED:
            await self._stop(job, "paused")
            move(job, FineTuningStatus.PAUSED)
            add_event(self._session, self._tenant, id, "The job was paused")
        return self._schema(job)

    async def resume(self, id: str, most_queued: int) -> FineTuningJob:
        """Let a paused job wait for its turn again, and go on from its state then; others stay as they are.

        Raises:
            BadRequest: It has ended already.
            TooManyRequests: The tenant has `most_queued` jobs that wait already.
        """
        job = await self._lock(id, "resume")
        if job.status == FineTuningStatus.PAUSED:
            await self._enqueue(job, most_queued)
            move(job, FineTuningStatus.QUEUED)
            add_event(self._session, self._tenant, id, "The job was resumed, and waits for its turn")
        return self._schema(job)

    async def list_events(self, id: str, *, after: str | None, limit: int) -> FineTuningJobEventList:
        await self._jobs.get(id, param="fine_tuning_job_id")
        events = EventRepository(self._session, self._tenant)
        page = await events.list_page(EventRow.fine_tuning_job_id == id, after=after, limit=limit)
        return FineTuningJobEventList(data=[to_event(row) for row in page.rows], has_more=page.has_more)

    async def list_checkpoints(self, id: str, *, after: str | None, limit: int) -> FineTuningJobCheckpointList:
        await self._jobs.get(id, param="fine_tuning_job_id")
        checkpoints = CheckpointRepository(self._session, self._tenant)
        page = await checkpoints.list_page(CheckpointRow.fine_tuning_job_id == id, after=after, limit=limit)
        return FineTuningJobCheckpointList.of([_checkpoint_schema(row) for row in page.rows], page)

    async def _lock(self, id: str, verb: str) -> FineTuningJobRow:
        await self._jobs.get(id, param="fine_tuning_job_id")
        job = await self._jobs.lock(id)
        if has_ended(job):
            message = f"The job {id} has ended already ({job.status}), so there is nothing to {verb}."
            raise BadRequest(message, code="job_ended")
        return job

    async def _enqueue(self, row: FineTuningJobRow, most_queued: int) -> None:
        key = f"train:{self._tenant}"
        job = await jobs.enqueue(
            self._session, self._tenant, kind="train", queue_key=key, subject=row.id, payload={}, most=most_queued
        )
        row.job_id = job.id

    async def _stop(self, row: FineTuningJobRow, past: str) -> None:
        """Have the durable work end: nobody begins it any more, and who is at work on it stops."""
        if row.job_id is not None:
            await jobs.cancel(self._session, self._tenant, row.job_id)
            await refuse_undecided(self._session, self._tenant, row.job_id, f"Its fine-tuning job was {past}.")

    def _log_creation(self, row: FineTuningJobRow, rows: RenderedFile, findings: Sequence[Finding]) -> None:
        add_event(self._session, self._tenant, row.id, f"Created fine-tuning job: {row.id}")
        add_event(self._session, self._tenant, row.id, f"Validating training file: {row.training_file}")
        add_share_events(self._session, row, rows)
        if row.braid["facts"] and row.braid["facts"]["force"]:
            forced = f"Values that documents have changed don't stop this job: the key {self._key} has forced it"
            add_event(self._session, self._tenant, row.id, forced, level="warn", data={"forced_by": self._key})
        for finding in findings:
            level = "warn" if finding.level == "warning" else "info"
            data = {"check": finding.check, "count": finding.count, "rows": finding.rows, **finding.details}
            add_event(self._session, self._tenant, row.id, finding.message, level=level, data=data)
        if rows.count < COMFORTABLE_ROWS:
            few = (
                f"The training file has {rows.count} rows. Style is learnt reliably from {COMFORTABLE_ROWS} on; "
                "look at the answers before you put this adapter into a release."
            )
            add_event(self._session, self._tenant, row.id, few, level="warn")
        estimate, reasons = row.braid["estimate"], row.braid["reasons"]
        notice = f"Expected: {estimate['summary']} ({estimate['basis']})"
        add_event(self._session, self._tenant, row.id, notice, data=estimate)
        choices = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
        add_event(self._session, self._tenant, row.id, f"Recipe: {choices}.", data=reasons)
        add_event(self._session, self._tenant, row.id, "Files validated, moving job to queued state")

    def _schema(self, row: FineTuningJobRow) -> FineTuningJob:
        return FineTuningJob(
            id=row.id,
            created_at=row.created_at,
            finished_at=row.finished_at,
            estimated_finish=row.estimated_finish,
            model=row.braid["start"]["model"] if row.braid.get("start") else row.model,
            fine_tuned_model=row.fine_tuned_model,
            organization_id=self._organization,
            status=row.status,
            training_file=row.training_file,
            validation_file=row.validation_file,
            result_files=row.result_files,
            trained_tokens=row.trained_tokens,
            seed=row.seed,
            suffix=row.suffix,
            hyperparameters={name: value for name, value in row.hyperparameters.items() if name != "beta"},
            method=_method_schema(row),
            metadata=row.meta,
            integrations=[],
            error=None if row.error is None else JobError(**row.error),
            braid=FineTuningJobBraid(**row.braid, rows=row.rows_digest, validation_rows=row.validation_rows_digest),
        )


def _make_row(
    request: FineTuningJobCreate,
    base: str,
    hyperparameters: dict[str, Any],
    artifact: StoredBytes,
    stored_validation: StoredBytes | None,
    braid: dict[str, Any],
) -> FineTuningJobRow:
    return FineTuningJobRow(
        id=new_id("ftjob-"),
        created_at=int(time.time()),
        status="queued",
        model=base,
        training_file=request.training_file,
        validation_file=request.validation_file,
        rows_digest=artifact.digest,
        validation_rows_digest=stored_validation and stored_validation.digest,
        rows_bytes=artifact.size + (stored_validation.size if stored_validation else 0),
        result_files=[],
        hyperparameters=hyperparameters,
        suffix=request.suffix,
        seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
        meta=request.metadata or {},
        braid=braid,
    )


def _method_schema(row: FineTuningJobRow) -> SupervisedMethod | DpoMethod:
    figures = MethodFigures(hyperparameters=row.hyperparameters)
    return DpoMethod(dpo=figures) if row.braid.get("method") == "dpo" else SupervisedMethod(supervised=figures)


def _show_hyperparameters(request: Hyperparameters, recipe: Recipe) -> dict[str, Any]:
    beta = {"beta": recipe.beta} if recipe.method == "dpo" else {}
    return beta | {
        "n_epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        # Stays "auto" where it was: OpenAI's schema, read as the JSON Schema of today, has no place for 1.
        "learning_rate_multiplier": request.learning_rate_multiplier,
    }


def _check_count(rows: int) -> None:
    if rows < MINIMUM_ROWS:
        raise BadRequest(
            f"The training file has {format_count(rows, 'row')}, and at least {MINIMUM_ROWS} are needed: fewer would "
            f"be learnt by heart. Add more; from {COMFORTABLE_ROWS} on style is learnt reliably.",
            param="training_file",
            code="too_few_rows",
        )


def _check_systems(rows: RenderedFile, traits: TrainingTraits | None) -> None:
    if traits and traits.needs_system and rows.without_system:
        numbers = "row " if len(rows.without_system) == 1 else "rows "
        numbers += ", ".join(map(str, rows.without_system[:_LISTED_ROWS]))
        numbers += "…" if len(rows.without_system) > _LISTED_ROWS else ""
        raise BadRequest(
            f"{format_count(len(rows.without_system), 'row has', 'rows have')} no system text ({numbers}), and the "
            "base model's chat template prints today's date in its place, so a prompt of tomorrow would differ from "
            "what was learnt. "
            "Give each a system message, or make the job with a prompt.",
            param="training_file",
            code="invalid_training_file",
        )


def _foresee_passages(options: FineTuningBraidOptions, rows: RenderedFile) -> int:
    """Return about how many bytes of passages rows will get that have none yet."""
    return 0 if options.evidence is None else rows.shares.ungrounded * options.evidence.top_k * _PASSAGE_BYTES


def _checkpoint_schema(row: CheckpointRow) -> FineTuningJobCheckpoint:
    return FineTuningJobCheckpoint(
        id=row.id,
        created_at=row.created_at,
        fine_tuning_job_id=row.fine_tuning_job_id,
        fine_tuned_model_checkpoint=row.model,
        step_number=row.step,
        metrics=row.metrics,
    )
