"""Executors: where the trainer's program runs. `LocalExecutor` runs it as a child of the worker."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from gateway.jobs import JobDelayed
from gateway.processes import TRAINER, Program, open_program
from training.events import PAUSE_SIGNAL

__all__ = ["Execution", "Executor", "ExecutorAway", "LocalExecutor"]


class ExecutorAway(JobDelayed):
    """An executor takes no program, doesn't answer, or has lost one: nothing is wrong with the job itself."""


class Execution(Protocol):
    """A program that is running somewhere."""

    async def read_line(self) -> bytes:
        """Return the next line of its standard output; empty at the end."""
        ...

    def pause(self) -> None:
        """Have it save its state soon, and end."""
        ...

    async def wait(self) -> int:
        """Return its exit status, negative for a signal; read its lines first.

        Raises:
            ExecutorAway: It never began, or nobody knows what became of it.
        """
        ...


class Executor(Protocol):
    """Runs `python -m training` with arguments whose paths it can read and write."""

    def open(self, arguments: Sequence[str], work: Path, errors: Path) -> AbstractAsyncContextManager[Execution]:
        """Run the program until the block is left; then it is ended.

        Args:
            arguments: Of the program.
            work: A folder of this run alone, for whatever the executor has to write.
            errors: The file for its standard error.

        Raises:
            ExecutorAway: It can't be run now.
        """
        ...


class LocalExecutor:
    """Runs the program on this machine; it ends with this process.

    Args:
        python: The interpreter of the environment that has torch.
    """

    def __init__(self, python: Path) -> None:
        self._python = str(python.absolute())  # not resolved: an environment's python is a link, and works as one only

    @asynccontextmanager
    async def open(self, arguments: Sequence[str], work: Path, errors: Path) -> AsyncGenerator[Execution]:
        command = (self._python, "-m", "training", *arguments)
        async with open_program(command, TRAINER.take(os.environ), errors=errors) as program:
            yield _LocalExecution(program)


class _LocalExecution:
    def __init__(self, program: Program) -> None:
        self._program = program

    async def read_line(self) -> bytes:
        return await self._program.read_line()

    def pause(self) -> None:
        self._program.send_signal(PAUSE_SIGNAL)

    async def wait(self) -> int:
        return await self._program.wait()
