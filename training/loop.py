"""The training loop: epochs, optimizer steps, and their measurements."""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from training.batches import plan_epochs, split_batch
from training.epoch_weights import EpochWeights
from training.errors import TrainingError
from training.events import Checkpoint, EpochMetrics, Event, Resumed, Step
from training.model import AdaptedModel
from training.objective import Example, Objective, ReplyObjective
from training.process_group import ProcessGroup
from training.progress import ReplyTally, RunProgress
from training.spec import Recipe
from training.state import StateKeeper, collect_optimizer, restore_optimizer

__all__ = ["EpochEnd", "LoopResult", "Trainer", "compute_rate_factor"]


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """The model at the end of an epoch.

    Attributes:
        step: The last step of it.
        tokens: Tokens that had gone through the model by then, padding not counted.
        weights: See `AdaptedModel.set_weights`.
    """

    step: int
    tokens: int
    weights: Sequence[torch.Tensor]


@dataclass(frozen=True, slots=True)
class LoopResult:
    """The totals of a run.

    Attributes:
        tokens: Tokens that went through the model, padding not counted.
        losses: Mean loss per reply token, or per pair of replies, of each step.
        best_step: The step after which the model was as it is now: with validation rows the end of the epoch with the
            lowest validation loss, else the last step.
        checkpoints: The ends of other epochs, in order; the newest ones, and no more than were asked for.
    """

    tokens: int
    losses: list[float]
    best_step: int
    checkpoints: Sequence[EpochEnd] = ()


class Trainer:
    """A run over tokenized rows, or pairs of them.

    Args:
        model: The model that is trained, in place.
        recipe: A resolved one, with its learning rate as a number.
        rows: At least one row.
        validation: Rows to measure after each epoch; may be empty.
        send: Takes each event.
        keeper: Saves the state of the run, and has that of an earlier process; None keeps nothing.
        objective: The loss on the rows; None learns replies.
        checkpoints: Epochs whose weights the result has besides the best ones.
        group: The processes that train together, each in a loop like this one; None for a process alone.
    """

    def __init__(
        self,
        model: AdaptedModel,
        recipe: Recipe,
        rows: Sequence[Example],
        validation: Sequence[Example],
        send: Callable[[Event], None],
        keeper: StateKeeper | None = None,
        objective: Objective[Any] | None = None,
        group: ProcessGroup | None = None,
        *,
        checkpoints: int = 0,
    ) -> None:
        self._model = model
        self._recipe = recipe
        self._rows = rows
        self._validation = validation
        self._send = send
        self._keeper = keeper
        self._objective: Objective[Any] = objective or ReplyObjective(model)
        self._group = group or ProcessGroup()
        self._learns_preferences = recipe.method == "dpo"
        self._peak = recipe.learning_rate or 0.0
        self._steps = recipe.count_steps(len(rows))
        self._epochs = plan_epochs([row.width for row in rows], recipe)
        self._all_tokens = sum(rows[row].length for batches in self._epochs for batch in batches for row in batch)
        self._optimizer = torch.optim.AdamW(model.list_parameters(), lr=self._peak, weight_decay=0.0)
        self._progress = RunProgress()
        self._weights = EpochWeights(checkpoints)

    def train(self) -> LoopResult:
        """Run all epochs, or those that are left, and leave the model as it was after the best one.

        Raises:
            TrainingError: `diverged`.
            RunPaused: The keeper's caller wanted to stop.
        """
        self._resume()
        progress = self._progress
        while progress.epoch < len(self._epochs):
            self._train_epoch(self._epochs[progress.epoch])
            metrics = self._measure_epoch(progress.tally)
            progress.epochs.append(metrics)
            progress.epoch, progress.batch, progress.tally = progress.epoch + 1, 0, ReplyTally()
            self._send(Checkpoint(step=metrics.step, epoch=progress.epoch, metrics=metrics))
            # A loss that is no number compares as false, so it never replaces a good one.
            if metrics.valid_loss is not None and metrics.valid_loss < (progress.best_loss or math.inf):
                progress.best_step, progress.best_loss = metrics.step, metrics.valid_loss
            if progress.best_step == metrics.step or self._weights.others:
                self._weights.add(metrics.step, self._model.copy_weights(), progress.best_step)
        if progress.best_step is not None:
            self._model.set_weights(self._weights.get(progress.best_step))
        best = progress.best_step or progress.step
        others = [self._describe_end(step) for step in self._weights.steps if step != best]
        return LoopResult(progress.tokens, progress.losses, best, others)

    def _describe_end(self, step: int) -> EpochEnd:
        batches = [batch for batches in self._epochs for batch in batches]
        tokens = sum(self._rows[row].length for batch in batches[:step] for row in batch)
        return EpochEnd(step, tokens, self._weights.get(step))

    def _train_epoch(self, batches: Sequence[Sequence[int]]) -> None:
        self._model.train(True)
        while self._progress.batch < len(batches):
            self._step([self._rows[row] for row in batches[self._progress.batch]])
            if self._keeper is not None:
                if self._group.agree(self._keeper.wants_pause()):
                    self._keeper.pause(self._progress, self._collect)
                self._keeper.save_if_due(self._progress, len(batches), self._collect)

    def _resume(self) -> None:
        state = self._keeper.load() if self._keeper is not None else None
        # Each process reads the same file; where one of them can't, all begin anew.
        if self._group.agree(state is None) or state is None:
            self._group.align(self._model.list_parameters())
            self._objective.prepare()
        else:
            self._restore(*state)

    def _restore(self, progress: RunProgress, tensors: Mapping[str, torch.Tensor]) -> None:
        self._progress = progress
        count = len(self._model.list_parameters())
        self._model.set_weights([tensors[f"weights.{number}"] for number in range(count)])
        self._weights.restore(tensors)
        self._objective.restore(tensors)
        restore_optimizer(self._optimizer, tensors)
        self._send(
            Resumed(
                step=progress.step,
                # Copies, since these lists grow with the run.
                losses=[*progress.losses],
                accuracies=[*progress.accuracies],
                margins=[*progress.margins],
                epochs=[*progress.epochs],
            )
        )

    def _collect(self) -> Mapping[str, torch.Tensor]:
        """Return all tensors that the rest of the run depends on."""
        weights = {f"weights.{number}": weight.detach() for number, weight in enumerate(self._model.list_parameters())}
        return {**weights, **self._weights.collect(), **collect_optimizer(self._optimizer), **self._objective.collect()}

    def _step(self, batch: Sequence[Example]) -> None:
        start = time.monotonic()
        progress = self._progress
        number = progress.step + 1
        whole = sum(row.weight for row in batch)
        tally = ReplyTally()
        if self._recipe.dropout:
            self._seed(number)
        for part in self._split(self._group.share(batch)):
            measurement = self._objective.measure(part)
            # Divided by the whole step's tokens (or pairs): so the parts add up to the gradient of the whole batch,
            # those of other processes too.
            (measurement.loss / whole).backward()
            loss = float(measurement.loss.detach())
            tally.add(loss, measurement.correct, measurement.replies, measurement.margin)
        self._group.add_gradients(self._model.list_parameters())
        tally = self._group.add_tallies(tally)
        norm = torch.nn.utils.clip_grad_norm_(self._model.list_parameters(), self._recipe.max_gradient_norm)
        if not (math.isfinite(tally.loss) and math.isfinite(float(norm))):
            raise TrainingError(
                "diverged",
                f"Training diverged at step {number}: the loss is {tally.mean_loss}. Ask for a lower "
                "learning_rate_multiplier or braid.recipe.learning_rate, and look for rows whose text is no language.",
            )
        rate = self._peak * compute_rate_factor(number, self._steps, self._recipe.warmup_share)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        progress.tally.add(tally.loss, tally.correct, tally.replies, tally.margin)
        progress.losses.append(tally.mean_loss)
        progress.accuracies.append(tally.accuracy)
        if self._learns_preferences:
            progress.margins.append(tally.mean_margin)
        progress.tokens += sum(row.length for row in batch)
        progress.rows += len(batch)
        progress.batch += 1
        progress.seconds += time.monotonic() - start
        self._send_step(number, tally, rate)

    def _seed(self, step: int) -> None:
        """Seed the generators by the step, so that a run which goes on takes the numbers that it would have taken."""
        torch.manual_seed(random.Random(f"{self._recipe.seed}/{step}/{self._group.rank}").getrandbits(63))

    def _send_step(self, number: int, tally: ReplyTally, rate: float) -> None:
        progress = self._progress
        speed = progress.tokens / progress.seconds
        self._send(
            Step(
                step=number,
                steps=self._steps,
                epoch=round(progress.rows / len(self._rows), 4),
                loss=tally.mean_loss,
                **self._name_figures(tally),
                learning_rate=rate,
                tokens_per_second=round(speed, 1),
                seconds_left=round((self._all_tokens - progress.tokens) / speed, 1),
                trained_tokens=progress.tokens,
            )
        )

    def _measure_epoch(self, epoch: ReplyTally) -> EpochMetrics:
        metrics = EpochMetrics(
            step=self._progress.step, train_loss=epoch.mean_loss, **self._name_figures(epoch, "train_")
        )
        if not self._validation:
            return metrics
        tally = ReplyTally()
        self._model.train(False)
        with torch.no_grad():
            for part in self._split(self._group.share(self._validation)):
                measurement = self._objective.measure(part)
                tally.add(float(measurement.loss), measurement.correct, measurement.replies, measurement.margin)
        tally = self._group.add_tallies(tally)
        return msgspec.structs.replace(metrics, valid_loss=tally.mean_loss, **self._name_figures(tally, "valid_"))

    def _name_figures(self, tally: ReplyTally, prefix: str = "") -> dict[str, float]:
        if not self._learns_preferences:
            return {f"{prefix}mean_token_accuracy": tally.accuracy}
        return {f"{prefix}reward_accuracy": tally.accuracy, f"{prefix}reward_margin": tally.mean_margin}

    def _split(self, rows: Sequence[Example]) -> Iterator[list[Example]]:
        widths = [row.width for row in rows]
        for part in split_batch(widths, range(len(rows)), self._recipe.micro_batch_tokens):
            yield [rows[index] for index in part]


def compute_rate_factor(step: int, steps: int, warmup_share: float) -> float:
    """Return the share of the peak learning rate at a step, from 1: a linear rise, then half a cosine's fall.

    Neither the first nor the last step is at 0, which would waste it: short runs have no steps to waste.
    """
    warmup = max(1, round(warmup_share * steps))
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))
