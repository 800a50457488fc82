"""The events of a fine-tuning job, in the order in which they happened, and the figures for its result file."""

import csv
import io
import time
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.counts import format_count
from gateway.db import delete_before
from gateway.fine_tuning.estimate import TrainingFigures
from gateway.fine_tuning.lifecycle import has_ended, is_running
from gateway.fine_tuning.repository import EventRepository, FineTuningJobRepository
from gateway.fine_tuning.tables import EventRow
from gateway.ids import new_id, seconds_of
from gateway.jobs import Claim, JobCancelled
from training.events import Checkpoint, EpochMetrics, Event, Finished, Notice, Resumed, Started, Step

__all__ = ["EventLog", "add_event", "delete_old_events", "read_position"]

_PREFIX = "ftevent-"
_COMMIT_SECONDS = 1.0
_EPOCH_END = 0.5  # an epoch ends after its last step
_TOLD_AT_CREATION = "few_rows"


def add_event(
    session: AsyncSession,
    tenant: str,
    job: str,
    message: str,
    *,
    level: str = "info",
    data: dict[str, Any] | None = None,
) -> None:
    """Add a message to a fine-tuning job's events; `level` is info, warn or error."""
    EventRepository(session, tenant).add(_event(job, message, level=level, kind="message", data=data or {}))


async def delete_old_events(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` events of any tenant from before a Unix time, and return the number."""
    return await delete_before(session, EventRow.created_at, before, limit)


class EventLog:
    """Takes a trainer's events, and writes them in batches under the claim's fence.

    Args:
        claim: Of the job.
        position: How far the log has got, see `read_position`: a run that goes on does a few steps again, which are
            the same, and each has one event.
    """

    def __init__(self, claim: Claim, position: float = 0.0) -> None:
        self.checkpoints: list[EpochMetrics] = []
        self._losses: list[float] = []
        self._accuracies: list[float] = []
        self._margins: list[float] = []  # of preferences; then the accuracies are those of rewards
        self._last: Step | None = None
        self._steps = self._step_count = 0
        self._start: Started | None = None
        self._position = position
        self._claim = claim
        self._waiting: list[EventRow] = []
        self._written_at = 0.0

    async def add(self, event: Event) -> None:
        """Add the trainer's next event; at most once per second this commits.

        Raises:
            JobCancelled: The job's owner has cancelled it.
            LeaseLost: Another worker has the job.
        """
        match event:
            case Started():
                self._add_start(event)
            case Resumed():
                self._add_resumption(event)
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
        if time.monotonic() - self._written_at >= _COMMIT_SECONDS:
            await self.flush()

    async def flush(self) -> None:
        """Write what is waiting; see `add` for what it raises."""
        async with self._claim.begin() as session:
            job = await FineTuningJobRepository(session, self._claim.tenant).lock(self._claim.subject)
            if has_ended(job):
                raise JobCancelled
            if self._last is not None:
                job.trained_tokens = self._last.trained_tokens
                if is_running(job):
                    job.estimated_finish = int(time.time() + self._last.seconds_left)
            events = EventRepository(session, self._claim.tenant)
            for row in self._waiting:
                _name_event(row)  # now: a reader who has seen later ones wouldn't look for it
                events.add(row)
        self._waiting.clear()
        self._written_at = time.monotonic()

    def make_result_file(self) -> bytes:
        """Make the CSV that OpenAI gives for a job: a line per step, validation where an epoch ended."""
        valid = {metrics.step: metrics for metrics in self.checkpoints}
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        names = ["valid_reward_accuracy", "valid_reward_margin"] if self._margins else ["valid_mean_token_accuracy"]
        train = ["train_reward_accuracy", "train_reward_margin"] if self._margins else ["train_accuracy"]
        lines.writerow(["step", "train_loss", *train, "valid_loss", *names])
        for step, loss in enumerate(self._losses, 1):
            metrics = valid.get(step)
            figures = [getattr(metrics, name, None) for name in ("valid_loss", *names)]
            lines.writerow([step, loss, *self._list_figures(step).values(), *figures])
        return text.getvalue().encode()

    def measure(self, seconds: float, row_bytes: int) -> TrainingFigures | None:
        """Return the figures of the run that has ended; None where an earlier one did all steps.

        Args:
            seconds: Time of this run since its start.
            row_bytes: Bytes of the rendered rows.
        """
        start, last = self._start, self._last
        if start is None or last is None or not last.tokens_per_second:
            return None
        all_steps = last.trained_tokens / last.tokens_per_second
        other = max(0.0, seconds - all_steps * self._step_count / last.step)
        return TrainingFigures(
            rows=start.rows,
            tokens=start.tokens,
            trained_tokens=last.trained_tokens,
            steps=last.steps,
            tokens_per_second=last.tokens_per_second,
            seconds=round(all_steps + other, 1),
            other_seconds=round(other, 1),
            token_bytes=round(row_bytes / max(start.tokens, 1), 3),
        )

    def find_final_metrics(self, best_step: int | None) -> dict[str, float]:
        """Return the figures of the finished adapter: those of the epoch that ended with `best_step`, else the last."""
        for metrics in reversed(self.checkpoints):
            if best_step in (None, metrics.step):
                return msgspec.to_builtins(metrics)
        return {
            "step": len(self._losses),
            "train_loss": self._losses[-1],
            **self._list_figures(len(self._losses)),
        }

    def _list_figures(self, step: int) -> dict[str, float]:
        """Return a step's figures besides its loss."""
        accuracy = self._accuracies[step - 1]
        if not self._margins:
            return {"train_mean_token_accuracy": accuracy}
        return {"train_reward_accuracy": accuracy, "train_reward_margin": self._margins[step - 1]}

    def _add_start(self, event: Started) -> None:
        self._steps, self._start = event.steps, event
        self._append(
            f"Training on {format_count(event.rows, 'row')} in {format_count(event.steps, 'step')}: {event.tokens} "
            f"tokens, {event.reply_tokens} of them in replies",
            data={
                "rows": event.rows,
                "steps": event.steps,
                "tokens": event.tokens,
                "device": event.device,
                "processes": event.processes,
                "micro_batch_tokens": event.micro_batch_tokens,
                "gradient_checkpointing": event.gradient_checkpointing,
                "memory_forecast": event.memory_forecast,
                "memory_free": event.memory_free,
            },
        )

    def _add_resumption(self, event: Resumed) -> None:
        self._losses, self._accuracies, self._margins = [*event.losses], [*event.accuracies], [*event.margins]
        self.checkpoints = [*event.epochs]
        self._append(f"The training goes on after step {event.step}", data={"step": event.step})
        # The state may be newer than the log, if the worker was killed in between.
        for step in range(1, len(event.losses) + 1):
            if not self._is_logged(step):
                self._append_step(step, {})

    def _add_step(self, event: Step) -> None:
        self._losses.append(event.loss)
        if event.reward_margin is not None:
            self._margins.append(event.reward_margin)
        self._accuracies.append(event.reward_accuracy or event.mean_token_accuracy or 0.0)
        self._last = event
        self._step_count += 1
        if not self._is_logged(event.step):
            more = {
                "epoch": event.epoch,
                "learning_rate": event.learning_rate,
                "tokens_per_second": event.tokens_per_second,
            }
            self._append_step(event.step, more)

    def _append_step(self, step: int, more: dict[str, Any]) -> None:
        loss = self._losses[step - 1]
        figures = {"step": step, "total_steps": self._steps, "train_loss": loss, **self._list_figures(step)}
        self._append(f"Step {step}/{self._steps}: training loss={loss:.4f}", kind="metrics", data=figures | more)

    def _add_checkpoint(self, event: Checkpoint) -> None:
        self.checkpoints.append(event.metrics)
        if self._is_logged(event.step + _EPOCH_END):
            return
        valid = event.metrics.valid_loss
        validation = "" if valid is None else f", validation loss={valid:.4f}"
        message = f"Epoch {event.epoch} is done: training loss={event.metrics.train_loss:.4f}{validation}"
        self._append(message, kind="metrics", data=msgspec.to_builtins(event.metrics))

    def _add_choice(self, best_step: int | None) -> None:
        epochs = {metrics.step: epoch for epoch, metrics in enumerate(self.checkpoints, 1)}
        if best_step in epochs and epochs[best_step] < len(epochs):
            message = f"The weights of epoch {epochs[best_step]} are kept: its validation loss was the lowest"
            self._append(message, data={"epoch": epochs[best_step], "step": best_step})

    def _is_logged(self, position: float) -> bool:
        """Tell whether an earlier run has logged this, and note that it is logged now."""
        is_repeat, self._position = position <= self._position, max(position, self._position)
        return is_repeat

    def _append(self, message: str, *, level: str = "info", kind: str = "message", data: dict[str, Any]) -> None:
        self._waiting.append(_event(self._claim.subject, message, level=level, kind=kind, data=data))


async def read_position(session: AsyncSession, tenant: str, job: str) -> float:
    """Return how far a job's log has got: the last step in it, and a half more where it has the end of an epoch."""
    rows = await EventRepository(session, tenant).list_last_metrics(job, 2)
    ends = (row.data["step"] + (0.0 if "total_steps" in row.data else _EPOCH_END) for row in rows)
    return max(ends, default=0.0)


def _event(job: str, message: str, *, level: str, kind: str, data: dict[str, Any]) -> EventRow:
    row = EventRow(fine_tuning_job_id=job, level=level, kind=kind, message=message, data=data)
    _name_event(row)
    return row


def _name_event(row: EventRow) -> None:
    """Give an event its id and the time of that: lists go by the one and streams by the other, in the same order."""
    row.id = new_id(_PREFIX)
    row.created_at = seconds_of(row.id, row.id) or 0
