"""A child program that works for one job: read while it runs, and gone, with all that it started, when the job is."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

__all__ = ["Program", "open_program"]

_GRACE_SECONDS = 3.0
_LINE_BYTES = 64 << 20

# Runs in the child before the program takes its place. It has the kernel kill the child when the thread that started it
# is gone, however that went, and looks whether it has gone already. (A preexec_fn could do it too, but not safely in a
# process with threads, which the database driver makes this one.)
_TETHER = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]): os._exit(70)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Program:
    """A running program."""

    def __init__(self, process: asyncio.subprocess.Process, output: asyncio.StreamReader) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    async def read_line(self) -> bytes:
        """Return the next line of its stdout; empty at the end. Raises `ValueError` for a line over 64 MiB."""
        return await self._output.readline()

    async def read_output(self, limit: int) -> bytes:
        """Read all of its stdout, and return the first `limit` bytes."""
        start = b""
        while part := await self._output.read(1 << 16):
            start += part[: limit - len(start)]
        return start

    async def wait(self) -> int:
        """Return its exit status, negative for a signal; read its stdout first, or it may wait for a reader."""
        return await self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone; one that is gone doesn't mind."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def end(self) -> None:
        """Let it end with SIGTERM, and make it end with SIGKILL; what it left in its process group gets SIGKILL."""
        try:
            if self._process.returncode is None:
                self._signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wait_for_end(), _GRACE_SECONDS)
        finally:
            self._signal(signal.SIGKILL)
        with suppress(TimeoutError):  # a descendant that left the group may hold the pipe for as long as it likes
            await asyncio.wait_for(self._wait_for_end(), _GRACE_SECONDS)

    async def _wait_for_end(self) -> None:
        await self.read_output(0)
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@asynccontextmanager
async def open_program(
    command: Sequence[str], environment: Mapping[str, str], *, errors: Path
) -> AsyncGenerator[Program]:
    """Start `command` in a process group of its own; its stderr goes to the file `errors`.

    `environment` is the whole of it: nothing is inherited. On leaving it is ended. It also ends when this process is
    killed. Call it from the main thread: the kernel watches the thread.
    """
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid()), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=dict(environment),
            limit=_LINE_BYTES,
            start_new_session=True,
        )
    assert process.stdout is not None
    program = Program(process, process.stdout)
    try:
        yield program
    finally:
        await program.end()
