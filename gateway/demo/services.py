"""The demo's own Braid: `braid up` with a home and ports of its own."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from gateway.client import Client, ClientError, Profile
from gateway.progress import Progress
from gateway.settings import Settings
from gateway.stack.instance import Instance, find_free_ports
from gateway.terminal import CommandError, Exit

__all__ = ["Services", "running_services"]

_START_SECONDS = 900.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.5
# What only the gateway that was started here answers: another program may have come to the port meanwhile.
_OWN = "/api/tenants"
_ENDS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Services:
    """A Braid whose gateway can be called; `wait_until_ready` returns when it can answer questions, too."""

    profile: Profile
    wait_until_ready: Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def running_services(settings: Settings, progress: Progress, *, keep: bool) -> AsyncGenerator[Services]:
    """Start Braid with `settings.home`, or take the one that runs there since an earlier demo with `KEEP=1`.

    The engine is still starting when the gateway can be called: documents are indexed meanwhile. Processes that were
    started here are stopped on leaving, unless `keep`.

    Raises:
        CommandError: Braid doesn't start, or one that was started before isn't ready yet.
        CancelledError: The demo got SIGTERM, or its terminal was closed.
    """
    profile = Profile.load(settings.home)
    running = Instance.find_process(settings.home)
    if running is not None and profile is not None and profile.key is not None:
        progress.tell(f"Braid runs already at {profile.url} (process {running}): taking that one")
        yield Services(profile, _return_at_once)
        return
    if running is not None:
        raise CommandError(
            f"Braid runs already with the home folder {settings.home} (process {running}), and has not been ready yet. "
            f"Wait until it is, or stop it: kill {running}",
            Exit.CONFLICT,
        )
    port = find_free_ports(settings.host, settings.port, 2)
    key = (profile.key if profile else None) or secrets.token_urlsafe(32)
    with _ended_by_signals():
        start = _Start(settings, port, key, progress)
        try:
            await start.wait_for(_OWN)
            yield Services(Profile(start.url, key), lambda: start.wait_for("/readyz", whole=True))
        except BaseException:
            keep = False
            raise
        finally:
            if keep:
                start.leave()
            else:
                await start.stop()


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Let SIGTERM and a closed terminal cancel this task, as Ctrl-C does: else Braid would outlive the demo."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    # `nohup` has SIGHUP ignored, and means it.
    numbers = [number for number in _ENDS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _return_at_once() -> None:
    pass


class _Start:
    """`braid up` in a process of its own, watched until it is ready."""

    def __init__(self, settings: Settings, port: int, key: str, progress: Progress) -> None:
        self.url = f"http://{settings.host}:{port}"
        self._key = key
        self._progress = progress
        self._lines_told = 0
        self._log = settings.home / "logs" / "up.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "BRAID_HOME": str(settings.home.resolve()),
            "BRAID_PORT": str(port),
            # A key that comes from here is never printed to a log.
            "BRAID_ADMIN_KEY": key,
        }
        with self._log.open("wb") as file:
            # A process session of its own: Ctrl-C reaches the demo alone, which then stops Braid in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "up"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def wait_for(self, path: str, *, whole: bool = False) -> None:
        """Return when `path` answers, and tell meanwhile what `braid up` tells.

        If `whole`, an answer that names parts as degraded isn't enough.

        Raises:
            CommandError: The process ended, or it takes too long.
        """
        deadline = time.monotonic() + _START_SECONDS
        async with Client(self.url, self._key, timeout=5) as client:
            while time.monotonic() < deadline:
                self._tell_log()
                if self._process.poll() is not None:
                    raise CommandError(
                        f"Braid didn't start (exit status {self._process.returncode}). Its log: {self._log}"
                    )
                if await _answers(client, path, whole=whole):
                    return
                await asyncio.sleep(_POLL_SECONDS)
        raise CommandError(f"Braid wasn't ready after {_START_SECONDS:.0f} s. Its log: {self._log}")

    def leave(self) -> None:
        """Let Braid outlive this program."""
        self._process.returncode = 0  # else Python complains that nobody waited for it

    async def stop(self) -> None:
        """Stop Braid in order, or kill it where that takes too long."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell_log(self) -> None:
        # What follows the first empty line is for a person who started 'braid up' by hand.
        lines = list(takewhile(str.strip, self._log.read_text(errors="replace").splitlines()))
        for line in lines[self._lines_told :]:
            self._progress.tell(line)
        self._lines_told = len(lines)


async def _answers(client: Client, path: str, *, whole: bool) -> bool:
    try:
        answer = await client.get(path)
    except ClientError:
        return False
    return not (whole and answer.get("degraded"))
