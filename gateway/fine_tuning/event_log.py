"""The events of a fine-tuning job, in the order in which they happened, and the figures for its result file."""

import csv
import io
import time
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.fine_tuning.repository import EventRepository, FineTuningJobRepository, delete_events
from gateway.fine_tuning.tables import EventRow
from gateway.ids import new_id
from gateway.jobs import ENDED, Claim, JobCancelled
from training.events import Checkpoint, Event, Finished, Metrics, Notice, Started, Step

__all__ = ["EventLog", "add_event", "delete_old_events"]

_COMMIT_SECONDS = 1.0
_TOLD_AT_CREATION = "few_rows"


def add_event(
    session: AsyncSession,
    tenant: str,
    job: str,
    message: str,
    *,
    level: str = "info",
    kind: str = "message",
    data: dict[str, Any] | None = None,
) -> None:
    """Add an event to a fine-tuning job; `level` is info, warn or error, `kind` is message or metrics."""
    EventRepository(session, tenant).add(_event(job, message, level=level, kind=kind, data=data or {}))


async def delete_old_events(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` events of any tenant from before a Unix time, and return the number."""
    return await delete_events(session, before, limit)


class EventLog:
    """Takes a trainer's events, and writes them in batches under the claim's fence."""

    def __init__(self, claim: Claim) -> None:
        self.steps: list[Step] = []
        self.checkpoints: list[Metrics] = []
        self._claim = claim
        self._waiting: list[EventRow] = []
        self._written = 0.0

    async def add(self, event: Event) -> None:
        """Add the trainer's next event; at most once per second this commits.

        Raises:
            JobCancelled: The job's owner has cancelled it.
            LeaseLost: Another worker has the job.
        """
        match event:
            case Started():
                self._add_start(event)
            case Step():
                self._add_step(event)
            case Checkpoint():
                self._add_checkpoint(event)
            case Finished():
                self._add_choice(event.manifest.best_step)
            case Notice() if event.code != _TOLD_AT_CREATION:
                self._append(event.message, level="warn", data={"code": event.code})
            case _:
                return
        if time.monotonic() - self._written >= _COMMIT_SECONDS:
            await self.flush()

    async def flush(self) -> None:
        """Write what is waiting; see `add` for what it raises."""
        async with self._claim.begin() as session:
            job = await FineTuningJobRepository(session, self._claim.tenant).lock(self._claim.subject)
            if job.status in ENDED:
                raise JobCancelled
            if self.steps:
                job.trained_tokens = self.steps[-1].trained_tokens
                job.estimated_finish = int(time.time() + self.steps[-1].seconds_left)
            events = EventRepository(session, self._claim.tenant)
            for row in self._waiting:
                events.add(row)
        self._waiting.clear()
        self._written = time.monotonic()

    def result_file(self) -> bytes:
        """Make the CSV that OpenAI gives for a job: a line per step, validation where an epoch ended."""
        valid = {metrics.step: metrics for metrics in self.checkpoints}
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"])
        for step in self.steps:
            metrics = valid.get(step.step)
            figures = (metrics.valid_loss, metrics.valid_mean_token_accuracy) if metrics else (None, None)
            lines.writerow([step.step, step.loss, step.mean_token_accuracy, *figures])
        return text.getvalue().encode()

    def final_metrics(self, best_step: int | None) -> dict[str, float]:
        """Return the figures of the finished adapter: those of the epoch that ended with `best_step`, else the last."""
        for metrics in reversed(self.checkpoints):
            if best_step in (None, metrics.step):
                return msgspec.to_builtins(metrics)
        step = self.steps[-1]
        return {"step": step.step, "train_loss": step.loss, "train_mean_token_accuracy": step.mean_token_accuracy}

    def _add_start(self, event: Started) -> None:
        self._append(
            f"Training on {event.rows} rows in {event.steps} steps: {event.tokens} tokens, "
            f"{event.reply_tokens} of them in replies",
            data={
                "rows": event.rows,
                "steps": event.steps,
                "tokens": event.tokens,
                "device": event.device,
                "micro_batch_tokens": event.micro_batch_tokens,
                "gradient_checkpointing": event.gradient_checkpointing,
                "memory_forecast": event.memory_forecast,
                "memory_free": event.memory_free,
            },
        )

    def _add_step(self, event: Step) -> None:
        self.steps.append(event)
        self._append(
            f"Step {event.step}/{event.steps}: training loss={event.loss:.4f}",
            kind="metrics",
            data={
                "step": event.step,
                "total_steps": event.steps,
                "train_loss": event.loss,
                "train_mean_token_accuracy": event.mean_token_accuracy,
                "epoch": event.epoch,
                "learning_rate": event.learning_rate,
                "tokens_per_second": event.tokens_per_second,
            },
        )

    def _add_checkpoint(self, event: Checkpoint) -> None:
        self.checkpoints.append(event.metrics)
        valid = event.metrics.valid_loss
        validation = "" if valid is None else f", validation loss={valid:.4f}"
        message = f"Epoch {event.epoch} is done: training loss={event.metrics.train_loss:.4f}{validation}"
        self._append(message, kind="metrics", data=msgspec.to_builtins(event.metrics))

    def _add_choice(self, best_step: int | None) -> None:
        epochs = {metrics.step: epoch for epoch, metrics in enumerate(self.checkpoints, 1)}
        if best_step in epochs and epochs[best_step] < len(epochs):
            message = f"The weights of epoch {epochs[best_step]} are kept: its validation loss was the lowest"
            self._append(message, data={"epoch": epochs[best_step], "step": best_step})

    def _append(self, message: str, *, level: str = "info", kind: str = "message", data: dict[str, Any]) -> None:
        self._waiting.append(_event(self._claim.subject, message, level=level, kind=kind, data=data))


def _event(job: str, message: str, *, level: str, kind: str, data: dict[str, Any]) -> EventRow:
    now = int(time.time())
    return EventRow(
        id=new_id("ftevent-"),
        created_at=now,
        fine_tuning_job_id=job,
        level=level,
        kind=kind,
        message=message,
        data=data,
    )
