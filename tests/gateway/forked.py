"""Programs in processes of their own, forked from one that has imported the gateway already.

To import what `python -m gateway.cli worker` needs takes 1.7 s, and the suite starts a hundred processes to kill them.
"""

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

__all__ = ["ForkedProgram", "forked_program"]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["gateway.cli", "gateway.composition", "gateway.serve"])


class ForkedProgram:
    """A running program, with what `asyncio.subprocess.Process` has for signals and for the end."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        self._process = process
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        await asyncio.to_thread(self._process.join)
        assert self._process.exitcode is not None
        return self._process.exitcode


@asynccontextmanager
async def forked_program(
    module: str, *arguments: str, environment: Mapping[str, str], log: Path
) -> AsyncGenerator[ForkedProgram]:
    """Run `python -m MODULE ARGUMENTS` until the end of the block.

    Args:
        module: Of a program.
        environment: Beside this process's.
        log: A file that takes what the program prints.
    """
    process = _SERVER.Process(target=_run, args=(module, arguments, os.environ | environment, log))
    process.start()
    program = ForkedProgram(process)
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()
        process.close()


def _run(module: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
