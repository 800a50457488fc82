"""The assignment of a process that trains: what to load, where, and what to make of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError

from training.errors import TrainingError
from training.events import Event, Started
from training.hardware import TrainingDevice
from training.loop import LoopResult, Trainer
from training.model import AdaptedModel
from training.objective import Objective, ReplyObjective
from training.preferences import PreferenceObjective
from training.process_group import ProcessGroup
from training.run_rows import RunRows, count_rows
from training.spec import TrainSpec
from training.state import StateKeeper

__all__ = ["MOST_CHECKPOINTS", "Assignment", "EpochAdapter", "TrainedAdapters", "train_adapter"]

MOST_CHECKPOINTS = 2
"""Ends of epochs that are kept besides the best one: with it as many as OpenAI keeps."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """The training of a run, when its rows are read and its devices chosen; the same for all of its processes.

    Attributes:
        spec: With the recipe as it is run, and the base's name.
        out: The folder that takes the adapter's files.
        checkpoints: The folder for adapters of other epochs; None makes none.
        devices: One per process.
        dtype: The type of the base weights, such as `bfloat16`.
        gradient_checkpointing: See `training.memory_plan.MemoryPlan`.
        memory_forecast: Bytes per device.
        memory_free: The same.
        fingerprint: See `training.state.fingerprint_run`.
        state: The file of the run's state; None saves nothing.
        save_seconds: See `training.state.StateFile`.
    """

    spec: TrainSpec
    out: str
    checkpoints: str | None = None
    devices: list[str]
    dtype: str
    gradient_checkpointing: bool
    memory_forecast: int
    memory_free: int
    fingerprint: str
    state: str | None = None
    save_seconds: float = 0.0

    def choose_hardware(self, rank: int) -> TrainingDevice:
        """Return the hardware of a process."""
        return TrainingDevice(self.devices[rank], getattr(torch, self.dtype))

    def name_checkpoint(self, step: int) -> Path:
        """Return the folder of the adapter as it was at the end of an epoch."""
        assert self.checkpoints is not None
        return Path(self.checkpoints) / f"step-{step}"


class EpochAdapter(msgspec.Struct, frozen=True):
    """The end of an epoch whose adapter is written; see `training.loop.EpochEnd`."""

    step: int
    tokens: int


class TrainedAdapters(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of a training whose files are written; see `training.loop.LoopResult`."""

    tokens: int
    losses: list[float]
    best_step: int
    checkpoints: list[EpochAdapter]


def train_adapter(
    assignment: Assignment,
    rows: RunRows,
    send: Callable[[Event], None],
    keeper: StateKeeper | None = None,
    group: ProcessGroup | None = None,
) -> TrainedAdapters:
    """Train, and write the adapters' files; in several processes the leader's `send` and files are the run's.

    Raises:
        TrainingError: See `AdaptedModel.create` and `Trainer.train`; `output_unwritable`.
        RunPaused: See `Trainer.train`.
    """
    group = group or ProcessGroup()
    spec, recipe = assignment.spec, assignment.spec.recipe
    hardware = assignment.choose_hardware(group.rank)
    model = AdaptedModel.create(
        Path(spec.base_model),
        recipe,
        hardware,
        spec.base_name or "",
        start=Path(spec.start) if spec.start is not None else None,
        gradient_checkpointing=assignment.gradient_checkpointing,
    )
    send(
        Started(
            rows=count_rows(rows.rows),
            dropped=rows.dropped,
            steps=recipe.count_steps(len(rows.rows)),
            tokens=sum(row.length for row in rows.rows),
            reply_tokens=sum(row.replies for row in rows.rows),
            device=", ".join(dict.fromkeys(assignment.devices)),
            processes=group.size,
            dtype=hardware.dtype_name,
            micro_batch_tokens=recipe.micro_batch_tokens,
            gradient_checkpointing=assignment.gradient_checkpointing,
            memory_forecast=assignment.memory_forecast,
            memory_free=assignment.memory_free,
        )
    )
    objective: Objective[Any] = ReplyObjective(model)
    if recipe.method == "dpo":
        objective = PreferenceObjective(model, recipe, rows.pairs, group)
    most = 0 if assignment.checkpoints is None else MOST_CHECKPOINTS
    trainer = Trainer(model, recipe, rows.rows, rows.validation, send, keeper, objective, group, checkpoints=most)
    result = trainer.train()
    if group.leads:
        _save(model, assignment, result)
    ends = [EpochAdapter(end.step, end.tokens) for end in result.checkpoints]
    return TrainedAdapters(tokens=result.tokens, losses=result.losses, best_step=result.best_step, checkpoints=ends)


def _save(model: AdaptedModel, assignment: Assignment, result: LoopResult) -> None:
    try:
        model.save(Path(assignment.out))
        for end in result.checkpoints:
            model.set_weights(end.weights)
            model.save(assignment.name_checkpoint(end.step))
    except (OSError, SafetensorError) as error:
        message = f"The adapter was trained and can't be written: {error}. Make room on that disk and start again."
        raise TrainingError("output_unwritable", message) from error
