"""The events of a run: one JSON object per line, named by its key `event`."""

import signal
from typing import Any

import msgspec

from training.dataset import Problem
from training.manifest import Manifest

__all__ = [
    "PAUSE_SIGNAL",
    "Checkpoint",
    "EpochMetrics",
    "Event",
    "Failed",
    "Finished",
    "Notice",
    "Paused",
    "PromptSamples",
    "Resumed",
    "Saved",
    "Started",
    "Step",
    "TokenizedPrompt",
    "decode_event",
]


PAUSE_SIGNAL = signal.SIGUSR1
"""Asks a run to save its state after the present step, and to end."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    pass


class TokenizedPrompt(msgspec.Struct, frozen=True):
    """A row's prompt, as it is learnt.

    Attributes:
        row: The row's line in its owner's file, from 1.
        tokens: Token ids of all that stands before its last learnt reply, up to the one at which the reply begins.
    """

    row: int
    tokens: list[int]


class PromptSamples(_Event, frozen=True, kw_only=True, tag="tokenized"):
    """The rows are tokenized; whoever serves compares a few prompts with its own.

    Attributes:
        prompts: Of the shortest row, the longest, and some between.
        chat_template_kwargs: The values of the chat template's own names that they were rendered with, and that each
            request for the adapter will have.
    """

    prompts: list[TokenizedPrompt]
    chat_template_kwargs: dict[str, Any] = {}


class Started(_Event, frozen=True, kw_only=True):
    """The rows are tokenized and the model is loaded.

    Attributes:
        rows: Rows to train on.
        dropped: Rows that were left out, with the reasons.
        tokens: Tokens of all rows, each row counted once.
        reply_tokens: Those tokens that the loss is on.
        device: `cpu`, or `cuda:0` and so on; several have commas between them.
        processes: Processes that train together.
        dtype: The type of the base weights during training.
        micro_batch_tokens: The recipe's, or fewer where the device has room for fewer.
        gradient_checkpointing: Whether layers are computed twice, to save memory.
        memory_forecast: Bytes that the run is expected to take on each device at its peak.
        memory_free: Bytes that were free there, on the fullest of several.
    """

    rows: int
    dropped: list[Problem]
    steps: int
    tokens: int
    reply_tokens: int
    device: str
    dtype: str
    processes: int = 1
    micro_batch_tokens: int | None = None
    gradient_checkpointing: bool = False
    memory_forecast: int | None = None
    memory_free: int | None = None


class Step(_Event, frozen=True, kw_only=True):
    """One optimizer step is done.

    Attributes:
        step: From 1.
        epoch: Passes over the rows so far, a fraction.
        loss: Mean over the step's reply tokens, or pairs of replies, before the update.
        mean_token_accuracy: Share of reply tokens that were the model's first choice, before the update.
        reward_accuracy: Of preferences, the share of pairs whose better reply had the higher reward, before the update.
        reward_margin: Of preferences, the mean difference of the two rewards, before the update.
        learning_rate: The rate of this step.
        tokens_per_second: Mean over the run so far, padding not counted.
        seconds_left: Estimated time until the last step.
        trained_tokens: Tokens that went through the model so far, padding not counted.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    mean_token_accuracy: float | None = None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    learning_rate: float
    tokens_per_second: float
    seconds_left: float
    trained_tokens: int


class EpochMetrics(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Measurements at a checkpoint; the names are OpenAI's, as far as it has them.

    Attributes:
        train_loss: Mean over the epoch's reply tokens, or pairs of replies.
        valid_loss: The same over all validation rows; absent without validation rows.
        train_mean_token_accuracy: Absent where preferences are learnt.
        train_reward_accuracy: Share of pairs whose better reply had the higher reward; only of preferences.
        train_reward_margin: Mean difference of the two rewards; only of preferences.
    """

    step: int
    train_loss: float
    train_mean_token_accuracy: float | None = None
    train_reward_accuracy: float | None = None
    train_reward_margin: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    valid_reward_accuracy: float | None = None
    valid_reward_margin: float | None = None


class Checkpoint(_Event, frozen=True, kw_only=True):
    """An epoch is over."""

    step: int
    epoch: int
    metrics: EpochMetrics


class Resumed(_Event, frozen=True, kw_only=True):
    """The run goes on from what an earlier process saved; the next step is the one after `step`.

    Attributes:
        losses: Mean loss per reply token, or per pair of replies, of each step so far.
        accuracies: Share of reply tokens that were the model's first choice, or of pairs whose better reply had the
            higher reward, of each.
        margins: Mean difference of the rewards of each; empty where no preferences are learnt.
        epochs: The measurements of the epochs that are over.
    """

    step: int
    losses: list[float]
    accuracies: list[float]
    margins: list[float] = []
    epochs: list[EpochMetrics]


class Saved(_Event, frozen=True, kw_only=True):
    """The state of the run is on the disk: another process can go on from it.

    Attributes:
        step: Steps that are done in it.
        bytes: Its size.
        seconds: Time that saving took.
    """

    step: int
    bytes: int
    seconds: float


class Paused(_Event, frozen=True, kw_only=True):
    """The last event of a run that was told to stop and whose state is saved."""

    step: int


class Notice(_Event, frozen=True, kw_only=True, tag="warning"):
    """A warning to the run's reader; the run goes on."""

    code: str
    message: str


class Finished(_Event, frozen=True, kw_only=True):
    """The adapter lies in its folder, complete."""

    manifest: Manifest


class Failed(_Event, frozen=True, kw_only=True):
    """The last event of a run that made nothing.

    Attributes:
        problems: The rows at fault, where rows are.
    """

    code: str
    message: str
    problems: list[Problem] = []


Event = PromptSamples | Started | Resumed | Step | Checkpoint | Saved | Notice | Paused | Finished | Failed


def decode_event(line: bytes) -> Event:
    """Read one line of a run's output.

    Raises:
        msgspec.MsgspecError: The line is no event.
    """
    return msgspec.json.decode(line, type=Event)
