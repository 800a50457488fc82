"""The training loop: epochs, optimizer steps, and their measurements."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import torch

from training.batches import plan_epochs, split_batch
from training.errors import TrainingError
from training.events import Checkpoint, Event, Metrics, Step
from training.model import AdaptedModel
from training.spec import Recipe
from training.tokenization import TokenizedRow

__all__ = ["LoopResult", "Tally", "Trainer", "compute_rate_factor"]


@dataclass(slots=True)
class Tally:
    """Sums over reply tokens."""

    loss: float = 0.0
    correct: int = 0
    replies: int = 0

    def add(self, loss: float, correct: int, replies: int) -> None:
        self.loss += loss
        self.correct += correct
        self.replies += replies

    @property
    def mean_loss(self) -> float:
        return self.loss / self.replies

    @property
    def accuracy(self) -> float:
        return self.correct / self.replies


@dataclass(frozen=True, slots=True)
class LoopResult:
    """The totals of a run.

    Attributes:
        tokens: Tokens that went through the model, padding not counted.
        losses: Mean loss per reply token of each step.
        best_step: The step after which the model was as it is now: with validation rows the end of the epoch with the
            lowest validation loss, else the last step.
    """

    tokens: int
    losses: list[float]
    best_step: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    step: int
    valid_loss: float
    weights: list[torch.Tensor]


class Trainer:
    """A run over tokenized rows.

    Args:
        model: The model that is trained, in place.
        recipe: A resolved one, with its learning rate as a number.
        rows: At least one row.
        validation: Rows to measure after each epoch; may be empty.
        send: Takes each event.
    """

    def __init__(
        self,
        model: AdaptedModel,
        recipe: Recipe,
        rows: Sequence[TokenizedRow],
        validation: Sequence[TokenizedRow],
        send: Callable[[Event], None],
    ) -> None:
        self._model = model
        self._recipe = recipe
        self._rows = rows
        self._validation = validation
        self._send = send
        self._peak = recipe.learning_rate or 0.0
        self._steps = recipe.count_steps(len(rows))
        self._epochs = plan_epochs([len(row.tokens) for row in rows], recipe)
        self._all_tokens = sum(len(rows[row].tokens) for batches in self._epochs for batch in batches for row in batch)
        self._seen_rows = 0
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=self._peak, weight_decay=0.0)
        self._seconds = 0.0
        self._tokens = 0
        self._losses: list[float] = []

    def train(self) -> LoopResult:
        """Run all epochs, and leave the model as it was after the best one.

        Raises:
            TrainingError: `diverged`.
        """
        best: _Snapshot | None = None
        for epoch, batches in enumerate(self._epochs, start=1):
            tally = Tally()
            self._model.train(True)
            for batch in batches:
                step = self._step([self._rows[row] for row in batch])
                tally.add(step.loss, step.correct, step.replies)
            metrics = self._measure_epoch(tally)
            self._send(Checkpoint(step=metrics.step, epoch=epoch, metrics=metrics))
            # A loss that is no number compares as false, so it never replaces a good one.
            if metrics.valid_loss is not None and (best is None or metrics.valid_loss < best.valid_loss):
                best = _Snapshot(metrics.step, metrics.valid_loss, self._model.copy_weights())
        if best is None:
            return LoopResult(self._tokens, self._losses, len(self._losses))
        self._model.set_weights(best.weights)
        return LoopResult(self._tokens, self._losses, best.step)

    def _step(self, batch: Sequence[TokenizedRow]) -> Tally:
        start = time.monotonic()
        replies = sum(sum(row.loss_mask) for row in batch)
        tally = Tally()
        for part in self._split(batch):
            measurement = self._model.measure(part)
            # Divided by the whole step's tokens: so the parts add up to the gradient of the batch in one piece.
            (measurement.loss / replies).backward()
            tally.add(float(measurement.loss.detach()), measurement.correct, measurement.replies)
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.max_gradient_norm)
        number = len(self._losses) + 1
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
        self._losses.append(tally.mean_loss)
        self._tokens += sum(len(row.tokens) for row in batch)
        self._seen_rows += len(batch)
        self._seconds += time.monotonic() - start
        self._send_step(number, tally, rate)
        return tally

    def _send_step(self, number: int, tally: Tally, rate: float) -> None:
        speed = self._tokens / self._seconds
        self._send(
            Step(
                step=number,
                steps=self._steps,
                epoch=round(self._seen_rows / len(self._rows), 4),
                loss=tally.mean_loss,
                mean_token_accuracy=tally.accuracy,
                learning_rate=rate,
                tokens_per_second=round(speed, 1),
                seconds_left=round((self._all_tokens - self._tokens) / speed, 1),
                trained_tokens=self._tokens,
            )
        )

    def _measure_epoch(self, epoch: Tally) -> Metrics:
        metrics = Metrics(step=len(self._losses), train_loss=epoch.mean_loss, train_mean_token_accuracy=epoch.accuracy)
        if not self._validation:
            return metrics
        tally = Tally()
        self._model.train(False)
        with torch.no_grad():
            for part in self._split(self._validation):
                measurement = self._model.measure(part)
                tally.add(float(measurement.loss), measurement.correct, measurement.replies)
        return msgspec.structs.replace(metrics, valid_loss=tally.mean_loss, valid_mean_token_accuracy=tally.accuracy)

    def _split(self, rows: Sequence[TokenizedRow]) -> Iterator[list[TokenizedRow]]:
        lengths = [len(row.tokens) for row in rows]
        for part in split_batch(lengths, range(len(rows)), self._recipe.micro_batch_tokens):
            yield [rows[index] for index in part]


def compute_rate_factor(step: int, steps: int, warmup_share: float) -> float:
    """Return the share of the peak learning rate at a step, from 1: a linear rise, then half a cosine's fall.

    Neither the first nor the last step is at 0, which would waste it: short runs have no steps to waste.
    """
    warmup = max(1, round(warmup_share * steps))
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))
