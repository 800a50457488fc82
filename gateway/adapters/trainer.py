"""The trainer as a child process: its events, and the ways in which it can end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from gateway.jobs import JobFailed
from gateway.processes.program import Program, open_program
from training.events import Event, Failed, decode_event

__all__ = ["Trainer", "TrainerDied", "TrainerRun"]

_log = structlog.get_logger()
_LOG_TAIL = 2_000
_NO_REASONS = frozenset({"internal", "cancelled"})  # a bug or a signal: nothing that the job itself is to blame for


class TrainerDied(Exception):
    """The trainer ended for no reason in its job: killed, out of memory, or a bug. Another try may help."""


class TrainerRun:
    """A trainer that is running. Read `next_event` to its end, then ask for `check`."""

    def __init__(self, program: Program, errors: Path) -> None:
        self._program = program
        self._errors = errors
        self._failed: Failed | None = None

    async def next_event(self) -> Event | None:
        """Return the next event, None when there will be no more. A line that is none is logged and passed over."""
        while line := await self._program.line():
            try:
                event = decode_event(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                _log.warning("trainer_line_unreadable", line=line[:200].decode(errors="replace"))
                continue
            if isinstance(event, Failed):
                self._failed = event
            return event
        return None

    async def check(self) -> None:
        """Read what is left, and return if the trainer succeeded.

        Raises:
            JobFailed: It gave a reason for failing, which trying again wouldn't change.
            TrainerDied: It gave none.
        """
        while await self.next_event():
            pass
        status = await self._program.wait()
        if self._failed is not None and self._failed.code not in _NO_REASONS:
            raise JobFailed(self._failed.code, self._failed.message)
        if status != 0:
            how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
            _log.warning("trainer_died", how=how, log=_tail(self._errors))
            raise TrainerDied(f"The trainer {how} without saying why. Its log and the machine's memory may tell.")


class Trainer:
    """Runs `python -m training` of the environment that has torch; leaving a run ends it, whatever it is doing."""

    def __init__(self, python: Path) -> None:
        self._python = str(python.absolute())  # not resolved: an environment's python is a link, and works as one only

    @asynccontextmanager
    async def train(self, spec: Path, out: Path) -> AsyncGenerator[TrainerRun]:
        """Train as `spec` says into `out`."""
        async with self._run(spec.parent, "run", str(spec), "--out", str(out)) as run:
            yield run

    @asynccontextmanager
    async def make_reference(self, base: Path, adapter: Path, out: Path) -> AsyncGenerator[TrainerRun]:
        """Write a `training.manifest.Reference` for a judged adapter to the file `out`."""
        arguments = ("reference", "--base", str(base), "--adapter", str(adapter), "--out", str(out))
        async with self._run(out.parent, *arguments) as run:
            yield run

    @asynccontextmanager
    async def _run(self, work: Path, *arguments: str) -> AsyncGenerator[TrainerRun]:
        errors = work / "trainer.log"
        async with open_program((self._python, "-m", "training", *arguments), errors=errors) as program:
            yield TrainerRun(program, errors)


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
