"""One supervised child process with everything it starts."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import msgspec
import structlog

from gateway.processes.process_sessions import ProcessSession

__all__ = ["Child", "ChildFailed", "ChildState", "Command"]

_log = structlog.get_logger()
_LAUNCH = Path(__file__).with_name("_launch.py")
_LOG_BYTES = 10 * 1024 * 1024
_ROTATION_SECONDS = 30.0
_TAIL_BYTES = 8 * 1024
_TAIL_LINES = 12
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0

Phase = Literal["stopped", "starting", "ready", "restarting"]


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run. `environment` is the whole of it: nothing is inherited."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


class ChildState(msgspec.Struct, frozen=True):
    """The phase of a child: `attempts` counts starts since it was last ready for long, `reason` is why it fell."""

    phase: Phase
    reason: str = ""
    attempts: int = 0
    pid: int | None = None


class ChildFailed(Exception):
    """Processes of the child can't be ended."""


class Child:
    """A process in a session of its own, restarted with growing pauses whenever it ends, until `stop`.

    Used as an async context manager, one per name and folder at a time. `ready` is asked every `poll` seconds after a
    start until it says True; an `OSError` counts as not ready. A child that isn't ready in `start_timeout` seconds
    is ended and started again. The pauses grow from half a second to a minute, and start over once the child has been
    ready for `healthy_after` seconds. Its output goes to `folder/NAME.log`, which is moved to `NAME.log.1` when it has
    more than `log_bytes` (that is looked at every `rotation` seconds), and the note of its session to
    `folder/NAME.session`: the next supervisor ends what it finds there,
    also when this one was killed. Call it from the main thread: the kernel ends the child with the thread.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        folder: Path,
        ready: Callable[[], Awaitable[bool]],
        *,
        start_timeout: float = 600.0,
        grace: float = 10.0,
        healthy_after: float = 60.0,
        poll: float = 0.25,
        log_bytes: int = _LOG_BYTES,
        rotation: float = _ROTATION_SECONDS,
    ) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._note = folder / f"{name}.session"
        self._command = command
        self._ready = ready
        self._start_timeout = start_timeout
        self._grace = grace
        self._healthy_after = healthy_after
        self._poll = poll
        self._log_bytes = log_bytes
        self._rotation = rotation
        self._state = ChildState("stopped")
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> ChildState:
        return self._state

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin to supervise; returns before the child is ready."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._task = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the child and everything in its session.

        Raises:
            ChildFailed: a process could not even be killed.
        """
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        survivors = await self._sweep(self._grace)
        self._state = ChildState("stopped")
        if survivors:
            raise ChildFailed(
                f"{self.name}: processes {survivors} can't be ended. Look at them with `ps`, then kill them."
            )

    async def _supervise(self) -> None:
        attempts, reason, grace = 0, "", self._grace
        while True:
            attempts += 1
            # Also before the first start: a supervisor that was killed may have left processes and their memory.
            await self._sweep(grace)
            grace = 0.0
            try:
                reason, healthy = await self._run(attempts, reason)
            except OSError as error:
                reason, healthy = f"it can't be started: {error}", 0.0
            await self._sweep(0.0)
            if healthy >= self._healthy_after:
                attempts = 1
            _log.warning("child_ended", child=self.name, reason=reason, attempts=attempts)
            self._state = ChildState("restarting", reason, attempts)
            await asyncio.sleep(min(_FIRST_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE))

    async def _run(self, attempts: int, before: str) -> tuple[str, float]:
        """Run the child once, to its end; returns why it ended and for how many seconds it was ready."""
        loop = asyncio.get_running_loop()
        log = await asyncio.to_thread(self._open_log)
        with log:
            start = log.tell()
            process = await self._spawn(log)
        healthy = 0.0
        try:
            self._state = ChildState("starting", before, attempts, process.pid)
            reason = await self._until_ready(process)
            if reason is None:
                since = loop.time()
                self._state = ChildState("ready", "", attempts, process.pid)
                _log.info("child_ready", child=self.name, pid=process.pid)
                reason = _how(await self._wait(process))
                healthy = loop.time() - since
        finally:
            await self._end(process)
        return await asyncio.to_thread(self._with_log_tail, reason, start), healthy

    async def _wait(self, process: asyncio.subprocess.Process) -> int:
        """Wait for the end of the child, and keep its log from growing for ever meanwhile."""
        exited = asyncio.ensure_future(process.wait())
        try:
            while not (await asyncio.wait([exited], timeout=self._rotation))[0]:
                await asyncio.to_thread(self._rotate_log)
        finally:
            exited.cancel()
        return exited.result()

    async def _spawn(self, log: IO[bytes]) -> asyncio.subprocess.Process:
        launcher = (sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(self._note.resolve()))
        return await asyncio.create_subprocess_exec(
            *launcher,
            *self._command.arguments,
            env=dict(self._command.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            await self._sweep(self._grace)
            # It may not have come as far as to leave its note.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _until_ready(self, process: asyncio.subprocess.Process) -> str | None:
        """Return None when the child is ready, or else the reason why it never will be."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_timeout
        exited = asyncio.ensure_future(process.wait())
        try:
            while loop.time() < deadline:
                with contextlib.suppress(OSError):
                    if await self._ready():
                        return None
                await asyncio.wait([exited], timeout=self._poll)
                if exited.done():
                    return _how(process.returncode)
        finally:
            exited.cancel()
        return f"it wasn't ready after {self._start_timeout:g} s"

    async def _sweep(self, grace: float) -> list[int]:
        """End what the note's session still holds; returns what can't be ended."""
        session = await asyncio.to_thread(ProcessSession.read, self._note)
        if session is None:
            return []
        survivors = await asyncio.to_thread(session.end, grace)
        if not survivors:
            self._note.unlink(missing_ok=True)
        return survivors

    def _open_log(self) -> IO[bytes]:
        if self.log_path.exists() and self.log_path.stat().st_size > self._log_bytes:
            self.log_path.replace(self._old_log)
        return self.log_path.open("ab")

    def _rotate_log(self) -> None:
        """Move what the log holds away while the child writes to it.

        The child has the file open for appending, so it goes on at the beginning of the emptied one. What it writes
        between the copy and the emptying is lost: some lines of ten megabytes.
        """
        try:
            if self.log_path.stat().st_size > self._log_bytes:
                shutil.copyfile(self.log_path, self._old_log)
                os.truncate(self.log_path, 0)
        except OSError as error:  # such as a full disk; the child goes on all the same
            _log.warning("log_not_rotated", child=self.name, reason=error.strerror)

    @property
    def _old_log(self) -> Path:
        return self.log_path.with_suffix(".log.1")

    def _with_log_tail(self, reason: str, start: int) -> str:
        with self.log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start if start <= end else 0, end - _TAIL_BYTES))  # it may have been emptied since
            lines = log.read().decode(errors="replace").splitlines()
        last = "\n".join(lines[-_TAIL_LINES:]).strip()
        return f"{reason}; its last words:\n{last}" if last else reason


def _how(code: int | None) -> str:
    if code == -signal.SIGBUS:  # what is mapped into memory has no other way to say so
        return "it was ended by SIGBUS, as a process is that has no room on its disk for a file"
    if code is not None and code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it exited with status {code}"
