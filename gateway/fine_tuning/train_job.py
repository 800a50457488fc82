"""The work behind a fine-tuning job: a trainer makes weights of its rows, and `publish` takes them to the engines."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.executor import ExecutorAway
from gateway.adapters.executor_wait import prolong_wait
from gateway.adapters.identity import AdapterRefused
from gateway.adapters.publish import AdapterPublisher, name_adapter
from gateway.adapters.service import AdapterRow
from gateway.adapters.stored_adapter import Description, StoredAdapter
from gateway.adapters.trainer import TrainerDied, TrainerProgram, TrainerRun
from gateway.artifacts import Artifacts
from gateway.counts import format_count
from gateway.engines import EngineError, EngineRefused
from gateway.engines.training_traits import TrainingTraits, read_training_traits
from gateway.errors import PayloadTooLarge, blur
from gateway.files.service import add_file, make_file
from gateway.fine_tuning.epoch_checkpoints import EpochCheckpoint, EpochCheckpoints, check_rows, make_adapter_row
from gateway.fine_tuning.estimate import Price, TrainingFigures, price_figures
from gateway.fine_tuning.event_log import EventLog, add_event, read_position
from gateway.fine_tuning.facts_gate import FactsGate
from gateway.fine_tuning.job_inputs import TrainingInputs, read_inputs, write_spec
from gateway.fine_tuning.lifecycle import FineTuningStatus, has_ended, is_running, move
from gateway.fine_tuning.parity import ParityProof, write_parity
from gateway.fine_tuning.rehearsal import Rehearsal
from gateway.fine_tuning.repository import FineTuningJobRepository
from gateway.fine_tuning.row_preparation import RowPreparer
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.fine_tuning.training_state import TrainingState, drop_state
from gateway.jobs import Claim, JobCancelled, JobDelayed, JobFailed, Outcome, failpoint
from gateway.tenants.storage import TenantStorage
from training.events import Paused, PromptSamples, Saved, Started
from training.manifest import Parity, read_manifest

__all__ = ["TrainHandler", "TrainingResult"]


_ATTEMPTS = 2  # a training that is killed twice, and was no step further the second time, will be killed again
_STEP_SECONDS = 600.0  # the longest wait for a trainer that is to pause, which it does after its present step
_LOOK_SECONDS = 1.0
_WAITS = "waits"
_REFUSALS = frozenset({400, 404, 405, 422, 501})  # of an engine that doesn't make tokens of a chat


class TrainingResult(msgspec.Struct, frozen=True):
    """The news of a finished run for its owner, besides the weights; a job that is resumed has it in its state.

    `unproven` are the prompts that no engine could be asked about yet.
    """

    step: int
    metrics: dict[str, float]
    trained_tokens: int
    result_digest: str
    result_bytes: int
    figures: TrainingFigures | None = None
    unproven: PromptSamples | None = None


class TrainHandler:
    """Handles jobs of the kind `train`; their subject is a fine-tuning job.

    A run that was killed while it trained goes on from the state that was saved last, also on another machine; one that
    was killed later goes on from the finished weights.

    Args:
        artifacts: Has the rows, takes the result file.
        storage: What has been trained is kept in any case, so there has to be some room before.
        publisher: Takes the weights from the trainer to the engines.
        trainer: Does the training.
        rows: Gives rows their passages before, where the job names stores for them.
        facts: Looks at the facts of the rows before.
        rehearsal: Puts the base's own answers behind them.
        parity: Compares their prompts with those of requests.
        price: Of an hour of it.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        storage: TenantStorage,
        publisher: AdapterPublisher,
        trainer: TrainerProgram,
        rows: RowPreparer,
        facts: FactsGate,
        rehearsal: Rehearsal,
        parity: ParityProof,
        price: Price,
    ) -> None:
        self._rows = rows
        self._facts = facts
        self._rehearsal = rehearsal
        self._parity = parity
        self._artifacts = artifacts
        self._storage = storage
        self._publisher = publisher
        self._trainer = trainer
        self._price = price

    async def run(self, claim: Claim) -> None:
        """Train, and make the adapter ready; see `gateway.jobs.Handler` for how it ends otherwise."""
        beginning = await self._begin(claim)
        if beginning is None:
            return
        try:
            traits = await self._check_base(claim)
            are_new = await self._rows.prepare(claim)
            await self._facts.check(claim)
            if await self._rehearsal.prepare(claim, traits) or are_new:
                beginning = replace(beginning, inputs=await self._read_inputs(claim))
            training = _Training(
                claim, beginning, self._artifacts, self._publisher, self._trainer, self._parity, self._price
            )
            await self._publisher.publish(claim, training, training.checkpoints)
        except ExecutorAway as away:
            delay = await prolong_wait(claim, away)
            await self._tell_delay(claim, delay)
            raise delay from away
        except JobDelayed as delayed:
            await self._tell_delay(claim, delayed)
            raise
        except AdapterRefused as refused:
            raise JobFailed("adapter_refused", f"The trained adapter was refused. {refused.message}") from refused
        except TrainerDied as died:
            if claim.attempts < _ATTEMPTS:
                raise
            raise JobFailed("trainer_died", f"In each of {claim.attempts} attempts: {died}") from died

    async def _check_base(self, claim: Claim) -> TrainingTraits | None:
        """End a job that can't be trained before its rows get their passages, which may take minutes.

        Returns the traits of the base, None where the weights are there already.
        """
        if self._publisher.has_weights(claim):
            return None
        traits = await asyncio.to_thread(read_training_traits, Path(self._publisher.base.path))
        if traits.refusal is not None:
            raise JobFailed(traits.refusal.code, blur(traits.refusal.message))
        return traits

    async def _tell_delay(self, claim: Claim, delayed: JobDelayed) -> None:
        """Say what the training waits for, once until that changes; engines that are away say so elsewhere."""
        reason = str(delayed)
        if self._publisher.has_weights(claim) or claim.state.get(_WAITS) == reason:
            return
        async with claim.begin() as session:
            add_event(session, claim.tenant, claim.subject, f"The training waits. {reason}", level="warn")
        await claim.save({**claim.state, _WAITS: reason})

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write the end to the fine-tuning job, and leave nothing half-made."""
        reason = outcome.message or "The job ended before the adapter was ready."
        await self._publisher.abandon(session, claim, reason)
        job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
        # One that is paused, or was and waits for its next turn, has stopped for its owner and isn't over.
        if has_ended(job) or (outcome.status == "cancelled" and not is_running(job)):
            return
        move(job, FineTuningStatus(outcome.status))
        await drop_state(session, job)
        if outcome.status == "failed":
            job.error = {"code": outcome.code or "server_error", "message": reason, "param": None}
            add_event(session, claim.tenant, job.id, f"The job failed: {reason}", level="error")

    async def _read_inputs(self, claim: Claim) -> TrainingInputs:
        async with claim.begin() as session:
            job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
            return await read_inputs(session, job, self._artifacts)

    async def _begin(self, claim: Claim) -> "_Beginning | None":
        """Mark the job as running and read its inputs; None when it has succeeded already."""
        async with claim.begin() as session:
            job = await FineTuningJobRepository(session, claim.tenant).lock(claim.subject)
            if job.status == "cancelled" or claim.cancelled.is_set():
                raise JobCancelled
            if has_ended(job):
                return None
            if not self._publisher.has_weights(claim):
                try:
                    await self._storage.check_room(session, claim.tenant, 1)
                except PayloadTooLarge as error:
                    raise JobFailed("storage_full", error.message) from None
            position = await read_position(session, claim.tenant, job.id)
            if job.status == FineTuningStatus.QUEUED:
                move(job, FineTuningStatus.RUNNING)
                add_event(session, claim.tenant, job.id, "Fine-tuning job started")
            elif not self._publisher.has_weights(claim) and not claim.state.get(_WAITS):
                interrupted = "The training was interrupted"
                interrupted += " and starts over" if job.state_digest is None else ""
                add_event(session, claim.tenant, job.id, interrupted, level="warn")
            inputs = await read_inputs(session, job, self._artifacts)
            return _Beginning(inputs, job.state_digest, position)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The start of a run.

    Attributes:
        inputs: The job's rows and figures.
        state: The digest of what an earlier run saved, or None.
        position: How far the job's log has got.
    """

    inputs: TrainingInputs
    state: str | None
    position: float


class _Training:
    """The source of a fine-tuning job's weights, see `AdapterSource`."""

    def __init__(
        self,
        claim: Claim,
        beginning: _Beginning,
        artifacts: Artifacts,
        publisher: AdapterPublisher,
        trainer: TrainerProgram,
        proof: ParityProof,
        price: Price,
    ) -> None:
        self._proof = proof
        self._samples: PromptSamples | None = None
        self._parity: Parity | None = None
        self._provable = True
        self._claim = claim
        self._price = price
        self._start = 0.0
        self._seconds = 0.0
        self._inputs = beginning.inputs
        self._artifacts = artifacts
        self._base = publisher.base
        self._max_rank = publisher.max_rank
        self._trainer = trainer
        self._log = EventLog(claim, beginning.position)
        self._state = TrainingState(claim, artifacts, beginning.state)
        self.checkpoints = EpochCheckpoints(claim, beginning.inputs, self._log)
        self._run: TrainerRun | None = None
        self._over = asyncio.Event()

    async def make(self, work: Path) -> Path:
        spec = write_spec(work, self._inputs, self._base, max_rank=self._max_rank)
        folder, state = work / "adapter", work / "state.safetensors"
        await self._state.restore(state)
        try:
            async with self._trainer.train(spec, folder, state, EpochCheckpoints.locate_folder(work)) as run:
                self._run = run
                failpoint("trainer-started")
                await self._follow(run, state)
                await run.check()
        finally:
            self._over.set()
        if not folder.is_dir():
            raise JobFailed("trainer_crashed", "The trainer said that it succeeded, and left no adapter.")
        await self._log.flush()
        self._seconds = time.monotonic() - self._start
        return folder

    async def stop(self) -> None:
        """Let a trainer whose job is paused save its state after the present step; one that is cancelled needn't."""
        if self._run is None or not await self._is_going_on():
            return
        self._run.pause()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STEP_SECONDS):
                while not self._over.is_set() and await self._is_going_on():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._over.wait(), _LOOK_SECONDS)

    async def _follow(self, run: TrainerRun, state: Path) -> None:
        """Write down what the trainer says, to its end."""
        while event := await run.read_event():
            if self._claim.state:  # it has waited for this
                await self._claim.save({})
            match event:
                case Started():
                    self._start = time.monotonic()  # what a queue or the wait for memory took costs nobody anything
                    await self._log.add(event)
                case PromptSamples():
                    self._samples = event
                    await self._prove_parity()
                case Saved():
                    await self._log.flush()  # a run that goes on doesn't tell again what was before its state
                    await self._state.keep(state, event.step)
                case Paused():
                    await self._log.flush()
                    raise TrainerDied("The trainer was told by a signal to pause.")
                case _:
                    await self._log.add(event)
            failpoint("trainer-event")

    async def _prove_parity(self) -> None:
        """Compare prompts with an engine's, once one can be asked: now, or else later."""
        if self._samples is None or self._parity is not None:
            return
        try:
            self._parity = await self._proof.compare(self._inputs.rows, self._inputs.method, self._samples)
        except EngineRefused as refused:
            # An engine of another make may have no way to tell, and asking it again would never end.
            self._provable = refused.engine_status not in _REFUSALS
        except EngineError:
            pass

    async def _is_going_on(self) -> bool:
        """Tell whether the job's owner may want what it has come to."""
        async with self._claim.begin() as session:
            return not has_ended(await FineTuningJobRepository(session, self._claim.tenant).lock(self._claim.subject))

    async def describe(self, folder: Path, work: Path) -> Description:
        manifest = await asyncio.to_thread(read_manifest, folder)
        check_rows(manifest, self._inputs)
        await self._prove_parity()
        self.checkpoints.parity = self._parity
        manifest = await asyncio.to_thread(write_parity, folder, manifest, self._parity)
        file = await self._artifacts.put_bytes(self._log.make_result_file())
        size = Path(self._inputs.rows.path).stat().st_size
        figures = self._log.measure(self._seconds, size)
        metrics, unproven = self._log.find_final_metrics(manifest.best_step), None if self._parity else self._samples
        result = TrainingResult(
            int(metrics["step"]), metrics, manifest.trained_tokens, file.digest, file.size, figures, unproven
        )
        return Description(msgspec.to_builtins(manifest), msgspec.to_builtins(result))

    async def name(self, session: AsyncSession, stored_adapter: StoredAdapter) -> AdapterRow:
        """Give the weights their name, and the job its result file; nobody but engines sees the adapter yet."""
        job = await self._lock(session)
        if not job.result_files:
            job.result_files = [self._add_result_file(session, _result(stored_adapter))]
        row = make_adapter_row(self._claim, job, stored_adapter)
        return await name_adapter(session, row, tenant=self._claim.tenant, tenant_name=self._inputs.tenant_name)

    async def complete(self, stored_adapter: StoredAdapter) -> dict[str, Any]:
        """Compare prompts that no engine could be asked about while they were learnt."""
        self._samples = _result(stored_adapter).unproven
        if self._samples is None:
            return {}
        await self._prove_parity()
        if self._parity is not None:
            return {"parity": msgspec.to_builtins(self._parity)}
        if self._provable:
            raise JobDelayed("No engine can say how it makes the prompts that were learnt.")
        return {}

    async def finish(
        self, session: AsyncSession, row: AdapterRow, stored_adapter: StoredAdapter, checkpoints: Sequence[AdapterRow]
    ) -> None:
        """End the job with success: one commit with its checkpoints and the adapter."""
        job, result = await self._lock(session), _result(stored_adapter)
        move(job, FineTuningStatus.SUCCEEDED)
        await drop_state(session, job)
        job.fine_tuned_model, job.trained_tokens = row.model, result.trained_tokens
        self._log_parity(session, job, stored_adapter)
        if result.figures is not None:
            rehearsed = job.braid.get("rehearsed") or 0
            actual = price_figures(result.figures, self._price, basis="measured in this training", rehearsal=rehearsed)
            job.braid = {**job.braid, "actual": actual, "figures": msgspec.to_builtins(result.figures)}
            add_event(session, self._claim.tenant, job.id, f"Measured: {actual['summary']}", data=actual)
        self.checkpoints.add_rows(
            session, checkpoints, stored_adapter, EpochCheckpoint(result.step, row.model, result.metrics)
        )
        for message in (f"New fine-tuned model created: {row.model}", "The job has successfully completed"):
            add_event(session, self._claim.tenant, job.id, message)

    def _log_parity(self, session: AsyncSession, job: FineTuningJobRow, stored_adapter: StoredAdapter) -> None:
        parity = stored_adapter.manifest.get("parity")
        level, message = "warn", "No engine could be asked whether rows have the prompts that requests have"
        if parity is not None:
            level = "info"
            message = (
                f"The prompts of {format_count(parity['equal'], 'row')} ({parity['tokens']:,} tokens) are those that "
                "an engine makes of the same requests"
            )
        add_event(session, self._claim.tenant, job.id, message, level=level, data=parity or {})

    async def _lock(self, session: AsyncSession) -> FineTuningJobRow:
        """Return the job, which its owner hasn't stopped and can't stop until the unit of work ends."""
        job = await FineTuningJobRepository(session, self._claim.tenant).lock(self._claim.subject)
        if not is_running(job):
            raise JobCancelled
        return job

    def _add_result_file(self, session: AsyncSession, result: TrainingResult) -> str:
        row = make_file("step_metrics.csv", "fine-tune-results", result.result_digest, result.result_bytes)
        return add_file(session, self._claim.tenant, row).id


def _result(stored_adapter: StoredAdapter) -> TrainingResult:
    return msgspec.convert(stored_adapter.details, TrainingResult)
