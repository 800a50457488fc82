"""The trainer, wherever it runs: its events, and the ways in which it can end."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from gateway.adapters.executor import Execution, Executor
from gateway.errors import blur
from gateway.jobs import JobFailed
from training.events import Event, Failed, decode_event

__all__ = ["TrainerDied", "TrainerProgram", "TrainerRun", "summarise_log"]

_TAIL_BYTES = 8_192
_LINES = 4
_CHARACTERS = 600

_log = structlog.get_logger()
_KEPT_LOGS = 20
_OUTSIDE_SIGNALS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_OUTSIDE_CODES = ("cancelled", "process_killed")


class TrainerDied(Exception):
    """The trainer was ended from outside: by a person, or for the machine's memory. Another try may help."""


class TrainerRun:
    """A trainer that is running. Call `read_event` to its end, then ask for `check`."""

    def __init__(self, execution: Execution, errors: Path) -> None:
        self.has_failed = False
        self._execution = execution
        self._errors = errors
        self._failed: Failed | None = None

    async def read_event(self) -> Event | None:
        """Return the next event, None when there will be no more. A line that is none is logged and passed over."""
        while line := await self._execution.read_line():
            try:
                event = decode_event(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                _log.warning("trainer_line_unreadable", line=line[:200].decode(errors="replace"))
                continue
            if isinstance(event, Failed):
                self._failed = event
            return event
        return None

    def pause(self) -> None:
        """Have it save its state after the present step and end; its last event then says so."""
        self._execution.pause()

    async def check(self) -> None:
        """Read what is left, and return if the trainer succeeded.

        Raises:
            JobFailed: It gave a reason for failing, or crashed: trying again wouldn't change that.
            TrainerDied: It was ended from outside.
            ExecutorAway: Nobody knows what became of it.
        """
        while await self.read_event():
            pass
        status = await self._execution.wait()
        failed = self._failed
        if failed is None and status == 0:
            return
        self.has_failed = True
        is_from_outside = failed is not None and failed.code in _OUTSIDE_CODES
        if failed is not None and not is_from_outside and failed.code != "internal":
            raise JobFailed(failed.code, blur(failed.message))
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        end = summarise_log(self._errors)
        _log.warning("trainer_died", how=how, log=str(self._errors))
        if failed is not None and failed.code == "process_killed":
            raise TrainerDied(f"{blur(failed.message)} {end}")
        if -status in _OUTSIDE_SIGNALS or is_from_outside:
            raise TrainerDied(f"The trainer {how} without saying why; perhaps the machine's memory ran out. {end}")
        reason = f" {blur(failed.message)}" if failed is not None else ""
        message = f"The trainer {how}, which another try wouldn't change.{reason} {end}"
        raise JobFailed("trainer_crashed", message)


class TrainerProgram:
    """Runs `python -m training`; leaving a run ends it, whatever it is doing.

    Args:
        executor: Runs it, on this machine or on others.
        logs: Folder for the trainer's own words, a file per run; those of the last failed runs are kept.
        device: Where it computes, see `training.hardware.list_rooms`.
        wait_seconds: How long it may wait for memory there.
        processes: See `gateway.settings.Settings.training_processes`.
        engine_dtype: What the operator has the engine compute in; None leaves it to the base.
    """

    def __init__(
        self,
        executor: Executor,
        logs: Path,
        *,
        device: str = "auto",
        wait_seconds: float = 0.0,
        processes: int | Literal["auto"] = 1,
        engine_dtype: str | None = None,
    ) -> None:
        self._executor = executor
        self._logs = logs
        self._proof = ("--device", device, *(() if engine_dtype is None else ("--engine-dtype", engine_dtype)))
        self._wait = ("--wait-seconds", str(wait_seconds))
        self._processes = ("--processes", str(processes))

    @asynccontextmanager
    async def train(self, spec: Path, out: Path, state: Path, checkpoints: Path) -> AsyncGenerator[TrainerRun]:
        """Train as `spec` says into `out`, from the state that is in the file `state` if there is one.

        The folder `checkpoints` gets the adapters of other epochs, see `training.run.run`.
        """
        files = ("--out", str(out), "--state", str(state), "--checkpoints", str(checkpoints))
        options = (*self._proof, *self._wait, *self._processes)
        async with self._run(spec.parent, "run", str(spec), *files, *options) as run:
            yield run

    @asynccontextmanager
    async def make_reference(self, base: Path, adapter: Path, out: Path) -> AsyncGenerator[TrainerRun]:
        """Write a `training.manifest.Reference` for a judged adapter to the file `out`."""
        arguments = ("reference", "--base", str(base), "--adapter", str(adapter), "--out", str(out))
        async with self._run(out.parent, *arguments, *self._proof) as run:
            yield run

    @asynccontextmanager
    async def _run(self, work: Path, *arguments: str) -> AsyncGenerator[TrainerRun]:
        errors = self._logs / f"{work.name}.log"
        await asyncio.to_thread(self._make_room)
        run: TrainerRun | None = None
        try:
            async with self._executor.open(arguments, work, errors) as execution:
                run = TrainerRun(execution, errors)
                yield run
        finally:
            if run is not None and not run.has_failed:
                errors.unlink(missing_ok=True)

    def _make_room(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        logs = sorted(self._logs.glob("*.log"), key=lambda log: log.stat().st_mtime)
        for log in logs[: max(0, len(logs) - _KEPT_LOGS + 1)]:
            log.unlink(missing_ok=True)


def summarise_log(log: Path) -> str:
    """Return a sentence with the last lines of a log, blurred, and the log's name for the operator."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES), os.SEEK_SET)
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return "It left no log."
    words = [blur(" ".join(line.split())) for line in lines if line.strip()]
    if not words:
        return "Its log is empty."
    end = " | ".join(words[-_LINES:])[-_CHARACTERS:]
    return f"Its log, which the operator has as {log.name}, ends: {end}"
