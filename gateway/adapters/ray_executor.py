"""The executor on a Ray cluster: the trainer is a job there, and meets the worker in a folder that both see.

Rows, base model, state and adapter are files under paths that are the same on the cluster's nodes as here. Events come
back through a file in the run's folder, since Ray gives logs only as a whole or by a stream of its own; a pause and the
end go by `training.control`, since Ray can't send a signal and its own processes may die before the trainer does.
"""

import asyncio
import secrets
import shlex
import signal
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from gateway.adapters.executor import Execution, ExecutorAway
from gateway.adapters.ray_jobs import RayJob, RayJobMissing, RayJobs, RayUnavailable
from gateway.errors import blur
from training.control import BEAT_SECONDS, Control, write_control

__all__ = ["RayExecutor", "RayTimings"]

_log = structlog.get_logger()

_NEVER_BEGAN = (
    "RUNTIME_ENV_SETUP_FAILURE",
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
    "JOB_SUPERVISOR_ACTOR_START_FAILURE",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE",
)
_DELAY_SECONDS = 30.0
_LOG_CHARACTERS = 4_000
_PART = 1 << 20


@dataclass(frozen=True, slots=True)
class RayTimings:
    """The pace at which a run is followed, in seconds; tests have a faster one.

    Attributes:
        beat: Between two signs of life to the trainer.
        look: Between two looks at the job.
        read: Between two looks at the events.
        patience: The longest time that neither the cluster nor the run may say anything before the run is given up.
        grace: The longest wait for the end of a run that was stopped.
    """

    beat: float = BEAT_SECONDS
    look: float = 2.0
    read: float = 0.25
    patience: float = 300.0
    grace: float = 15.0


class RayExecutor:
    """Runs the program as a job of a Ray cluster.

    Args:
        jobs: The cluster.
        python: The interpreter on its nodes.
        cpus: Cores that a run asks for.
        gpus: GPUs that it asks for.
        timings: Its pace.
    """

    def __init__(
        self, jobs: RayJobs, python: Path, *, cpus: int, gpus: float, timings: RayTimings | None = None
    ) -> None:
        self._jobs = jobs
        self._python = str(python.absolute())
        self._cpus = cpus
        self._gpus = gpus
        self._timings = timings or RayTimings()

    @asynccontextmanager
    async def open(self, arguments: Sequence[str], work: Path, errors: Path) -> AsyncGenerator[Execution]:
        execution = _RayExecution(self._jobs, work, errors, self._timings)
        await execution.submit(self._write_command(arguments, execution), cpus=self._cpus, gpus=self._gpus)
        following = asyncio.create_task(execution.follow())
        try:
            yield execution
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await execution.end()

    def _write_command(self, arguments: Sequence[str], execution: "_RayExecution") -> str:
        command = shlex.join((self._python, "-m", "training", *arguments, "--control", str(execution.control)))
        # The shell's place is taken, so that the parent of the trainer is Ray's own process.
        output, errors = shlex.quote(str(execution.events)), shlex.quote(str(execution.errors))
        return f"exec {command} >> {output} 2>> {errors}"


class _RayExecution:
    """One job of the cluster, see `Execution`."""

    def __init__(self, jobs: RayJobs, work: Path, errors: Path, timings: RayTimings) -> None:
        self.control = work / "control.json"
        self.events = work / "events.jsonl"
        self.errors = errors
        self._jobs = jobs
        self._job = work.name
        self._id = f"braid-{work.name}-{secrets.token_hex(4)}"
        self._timings = timings
        self._beat = 0
        self._paused = False
        self._last: RayJob | None = None
        self._loss = "It can't be followed any more."
        self._last_contact = time.monotonic()
        self._over = asyncio.Event()
        self._position = 0
        self._rest = b""
        self._lines: list[bytes] = []

    async def submit(self, command: str, *, cpus: int, gpus: float) -> None:
        """Hand the job over.

        Raises:
            ExecutorAway: The cluster doesn't take it.
        """
        await asyncio.to_thread(self._prepare)
        # Ray sets OMP_NUM_THREADS to 1 where nobody says otherwise.
        environment = {"OMP_NUM_THREADS": str(max(1, cpus))}
        try:
            await self._jobs.submit(self._id, command, cpus=cpus, gpus=gpus, environment=environment, job=self._job)
        except RayUnavailable as error:
            await self.end()  # it may have come there all the same
            _log.warning("ray_job_refused", job=self._job, reason=str(error))
            message = f"The training can't be handed over. {blur(str(error))}"
            raise ExecutorAway(message, seconds=_DELAY_SECONDS) from error
        _log.info("ray_job_submitted", job=self._job, submission=self._id)

    async def read_line(self) -> bytes:
        while not self._lines:
            is_over = self._over.is_set()
            new = await asyncio.to_thread(self._read_events)
            *whole, self._rest = (self._rest + new).split(b"\n")
            self._lines += [line + b"\n" for line in whole]
            if self._lines or new:
                continue
            if is_over:
                return b""
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._timings.read)
        return self._lines.pop(0)

    def pause(self) -> None:
        self._paused = True
        self._write_control("pause")

    async def wait(self) -> int:
        await self._over.wait()
        last = self._last
        if last is None:
            raise ExecutorAway(f"The run on the Ray cluster was given up. {self._loss}", seconds=_DELAY_SECONDS)
        if last.error_type in _NEVER_BEGAN:
            reason = blur(last.message or last.error_type or "")
            raise ExecutorAway(f"The Ray cluster couldn't begin the training. {reason}", seconds=_DELAY_SECONDS)
        if last.status == "SUCCEEDED":
            return 0
        if last.status == "STOPPED":
            return -signal.SIGTERM
        # Without an exit status Ray's own process died, and the trainer with it: another try may help.
        return -signal.SIGKILL if last.driver_exit_code is None else last.driver_exit_code

    async def follow(self) -> None:
        """Look at the job until it has ended, and show the trainer meanwhile that somebody does.

        However this ends, the run is over then: who waits for it would wait for ever.
        """
        self._last_contact = looked = time.monotonic()
        beaten = 0.0
        try:
            while not self._over.is_set():
                now = time.monotonic()
                if now - beaten >= self._timings.beat:
                    await asyncio.to_thread(self._write_control, "pause" if self._paused else "run")
                    beaten = now
                if now - looked >= self._timings.look:
                    looked = now
                    await self._look()
                await asyncio.sleep(min(self._timings.beat, self._timings.look) / 2)
        except Exception:
            _log.exception("ray_job_not_followed", job=self._job)
        finally:
            self._over.set()

    async def end(self) -> None:
        """Have the trainer end, and wait a while until Ray says so."""
        if self._last is not None and self._last.has_ended:
            return
        await asyncio.to_thread(self._write_control, "stop")
        with suppress(RayUnavailable, TimeoutError):
            await self._jobs.stop(self._id)
            async with asyncio.timeout(self._timings.grace):
                while True:
                    if (await self._jobs.get(self._id)).has_ended:
                        return
                    await asyncio.sleep(self._timings.read)

    async def _look(self) -> None:
        """Ask for the job once."""
        try:
            job = await self._jobs.get(self._id)
        except RayUnavailable as error:
            is_missing = isinstance(error, RayJobMissing)
            is_lost = is_missing or time.monotonic() - self._last_contact > self._timings.patience
            _log.warning("ray_job_unseen", job=self._job, reason=str(error), given_up=is_lost)
            if is_lost:
                silent = f"Nothing was heard of it for {self._timings.patience:.0f} seconds."
                self._loss = blur(str(error)) if is_missing else f"{silent} {blur(str(error))}"
                self._write_control("stop")
                self._over.set()
            return
        self._last_contact = time.monotonic()
        if job.has_ended:
            if job.status != "SUCCEEDED":
                await self._note(f"Ray: {job.status}. {job.message or ''}", logs=not self.events.exists())
            if job.driver_exit_code is None:
                self._write_control("stop")  # where Ray's process died, the trainer may not know it yet
            self._last = job
            self._over.set()

    async def _note(self, message: str, *, logs: bool = False) -> None:
        """Add Ray's words to the log of the run, if that can be written: it may be on a share that is full or away."""
        if logs:  # the command itself may not have begun
            with suppress(RayUnavailable):
                message += "\n" + (await self._jobs.read_logs(self._id))[-_LOG_CHARACTERS:]

        def write() -> None:
            with self.errors.open("a") as file:
                file.write(f"{message}\n")

        try:
            await asyncio.to_thread(write)
        except OSError as error:
            _log.warning("ray_job_note_lost", job=self._job, note=message, reason=str(error))

    def _prepare(self) -> None:
        self.events.unlink(missing_ok=True)
        self.errors.unlink(missing_ok=True)
        self._write_control("run")

    def _write_control(self, wish: Literal["run", "pause", "stop"]) -> None:
        self._beat += 1
        with suppress(OSError):  # the folder may be gone, which means the same as a stop
            write_control(self.control, Control(self._beat, wish))

    def _read_events(self) -> bytes:
        """Return what is new, from a file that is opened anew: a share shows others' writes to who opens it."""
        try:
            with self.events.open("rb") as file:
                file.seek(self._position)
                new = file.read(_PART)
        except FileNotFoundError:
            return b""
        self._position += len(new)
        if new:  # a run that speaks is well, whether or not the dashboard is
            self._last_contact = time.monotonic()
        return new
