"""The state of an unfinished run: one file, from which another process goes on as if nothing had happened.

It is a safetensors file: the tensors are the adapter's weights, the optimizer's moments, and the weights at the ends of
the best epoch and of the newest others; everything else is JSON in its header. Random numbers aren't in it: those of a
step follow from the seed and the step. It is replaced whole, so nobody ever reads half of one.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from training.errors import TrainingError
from training.events import Event, Notice, Saved
from training.progress import RunProgress
from training.state_header import STATE_KEY, StateHeader

__all__ = [
    "SAVE_SECONDS",
    "RunPaused",
    "StateFile",
    "StateKeeper",
    "collect_optimizer",
    "fingerprint_run",
    "refuse_pause",
    "restore_optimizer",
]

SAVE_SECONDS = 60.0
"""The longest time between two saves, as long as they are cheap."""

_MOST_SHARE = 0.02  # of the time; hashing and storing what was saved may cost others as much again
_PER_EPOCH = 4


class RunPaused(Exception):
    """The run stopped because its caller wanted it to; its state is saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"paused after step {step}")
        self.step = step


def refuse_pause() -> bool:
    """Say that nobody wants a pause."""
    return False


@dataclass(frozen=True, slots=True)
class StateFile:
    """The wishes of a caller who may want to go on later.

    Attributes:
        file: The state's place: it is read where it is there, and replaced again and again.
        seconds: The longest time between two saves; 0 saves after every step, whatever that costs.
        wants_pause: Asked after each step; when it says yes, the state is saved and the run raises `RunPaused`.
    """

    file: Path
    seconds: float = SAVE_SECONDS
    wants_pause: Callable[[], bool] = refuse_pause


class StateKeeper:
    """Saves a run's state at the right times, and gives back what an earlier process saved.

    A save is due after a quarter of an epoch or after `seconds`, whichever comes first, as long as saves take no more
    than 2 % of the time.

    Args:
        options: Where, and how often.
        run: See `fingerprint_run`: the state of another run isn't taken.
        send: Takes the event of each save.
        reads_only: Where another process of the run saves for all.
    """

    def __init__(
        self, options: StateFile, run: str, send: Callable[[Event], None], *, reads_only: bool = False
    ) -> None:
        self._options = options
        self._run = run
        self._send = send
        self._reads_only = reads_only
        self._start = self._last_save = time.monotonic()
        self._spent = self._cost = 0.0
        self._saved_step = 0

    def load(self) -> tuple[RunProgress, dict[str, Tensor]] | None:
        """Return what an earlier process saved of this run; None where there is nothing, or nothing that can be used.

        The latter is told by an event.
        """
        file = self._options.file
        if not file.exists():
            return None
        try:
            with cast("Any", safe_open)(file, framework="pt") as state:
                metadata: dict[str, str] = state.metadata() or {}
                if STATE_KEY not in metadata:
                    self._tell_unusable("It is no state of a run, or one of another version of Braid.")
                    return None
                header = msgspec.json.decode(metadata[STATE_KEY], type=StateHeader)
                names: list[str] = list(state.keys())
                tensors: dict[str, Tensor] = {name: state.get_tensor(name) for name in names}
        except (OSError, SafetensorError, msgspec.MsgspecError) as error:
            self._tell_unusable(f"It can't be read: {error}.")
            return None
        if header.run != self._run:
            self._tell_unusable("It is of other rows, another recipe or another base model.")
            return None
        self._saved_step = header.progress.step
        return header.progress, tensors

    def wants_pause(self) -> bool:
        """Tell whether the caller wants to stop."""
        return self._options.wants_pause()

    def pause(self, progress: RunProgress, collect: Callable[[], Mapping[str, Tensor]]) -> NoReturn:
        """Save and raise `RunPaused`."""
        if not self._reads_only:
            self._save(progress, collect())
        raise RunPaused(progress.step)

    def save_if_due(self, progress: RunProgress, batches: int, collect: Callable[[], Mapping[str, Tensor]]) -> None:
        """Save where it is time to; `batches` are those of the present epoch."""
        if not self._reads_only and self._is_due(progress, batches, time.monotonic()):
            self._save(progress, collect())

    def _is_due(self, progress: RunProgress, batches: int, now: float) -> bool:
        if self._options.seconds == 0:
            return True
        if self._spent + self._cost > _MOST_SHARE * (now - self._start):
            return False
        quarter = progress.step - self._saved_step >= batches / _PER_EPOCH
        return quarter or now - self._last_save >= self._options.seconds

    def _save(self, progress: RunProgress, tensors: Mapping[str, Tensor]) -> None:
        start = time.monotonic()
        file = self._options.file
        partial = file.with_name(f"{file.name}.partial")
        header = StateHeader(run=self._run, nonce=secrets.token_hex(8), progress=progress)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            metadata = {STATE_KEY: msgspec.json.encode(header).decode()}
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata=metadata)
            with partial.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(partial, file)
        except (OSError, SafetensorError) as error:
            message = f"The state of the run can't be saved: {error}. Make room on that disk and start again."
            raise TrainingError("output_unwritable", message) from error
        self._last_save, self._saved_step = start, progress.step
        self._cost = time.monotonic() - start
        self._spent += self._cost
        self._send(Saved(step=progress.step, bytes=file.stat().st_size, seconds=round(self._cost, 3)))

    def _tell_unusable(self, reason: str) -> None:
        message = f"The saved state of the run can't be used. {reason} The training starts over."
        self._send(Notice(code="state_unusable", message=message))


def fingerprint_run(*parts: object) -> str:
    """Return 64 hex digits that are equal for two runs that make the same steps; `parts` are what those depend on."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def collect_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's tensors by name."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"optimizer.{number}.{name}": tensor for number, entry in state.items() for name, tensor in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `collect_optimizer` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, _, entry = rest.partition(".")
            state.setdefault(int(number), {})[entry] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
