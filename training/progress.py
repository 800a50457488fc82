"""The progress of a run: its sums, its losses, and its place in the order of rows."""

import msgspec

from training.events import EpochMetrics

__all__ = ["ReplyTally", "RunProgress"]


class ReplyTally(msgspec.Struct):
    """Sums over reply tokens, or over pairs of replies.

    Attributes:
        loss: In nats.
        correct: Tokens that were the model's first choice; pairs whose better reply had the higher reward.
        replies: All reply tokens; all pairs.
        margin: Of pairs, the differences of the rewards.
    """

    loss: float = 0.0
    correct: int = 0
    replies: int = 0
    margin: float = 0.0

    def add(self, loss: float, correct: int, replies: int, margin: float) -> None:
        """Add the sums of a part."""
        self.loss += loss
        self.correct += correct
        self.replies += replies
        self.margin += margin

    @property
    def mean_loss(self) -> float:
        return self.loss / self.replies

    @property
    def accuracy(self) -> float:
        return self.correct / self.replies

    @property
    def mean_margin(self) -> float:
        return self.margin / self.replies


class RunProgress(msgspec.Struct, kw_only=True):
    """The part of a run's state that is no tensor; the trainer changes it in place.

    Attributes:
        epoch: Epochs that are over.
        batch: Batches of the present epoch that are done.
        tally: Sums over the present epoch.
        losses: Mean loss per reply token, or per pair, of each step.
        accuracies: Share of reply tokens that were the model's first choice, or of pairs whose better reply had the
            higher reward, of each step.
        margins: Mean difference of the rewards of each step; empty where no preferences are learnt.
        epochs: The measurements at the end of each epoch.
        tokens: Tokens that went through the model, padding not counted.
        rows: Rows that did; each counts once per epoch.
        seconds: Time in steps.
        best_step: The step after which the validation loss was the lowest; None before there is one.
        best_loss: That loss.
    """

    epoch: int = 0
    batch: int = 0
    tally: ReplyTally = msgspec.field(default_factory=ReplyTally)
    losses: list[float] = []
    accuracies: list[float] = []
    margins: list[float] = []
    epochs: list[EpochMetrics] = []
    tokens: int = 0
    rows: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_loss: float | None = None

    @property
    def step(self) -> int:
        """The number of steps that are done."""
        return len(self.losses)
