"""The demo's own Braid: `braid up` with a home and ports of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path

from gateway.client import Client, ClientError, Profile
from gateway.demo.progress import Progress
from gateway.settings import Settings
from gateway.stack.instance import Instance, free_ports
from gateway.tenants.authenticator import new_key
from gateway.terminal import CommandError

__all__ = ["running_services"]

_START_SECONDS = 900.0
_STOP_SECONDS = 60.0


@asynccontextmanager
async def running_services(settings: Settings, progress: Progress, *, keep: bool) -> AsyncGenerator[Profile]:
    """Start Braid with `settings.home`, or take the one that runs there since an earlier demo with `KEEP=1`.

    Processes that were started here are stopped on leaving, unless `keep`.
    """
    profile = Profile.load(settings.home)
    running = Instance.running(settings.home)
    if running is not None and profile is not None and profile.key is not None:
        progress.tell(f"Braid runs already at {profile.url} (process {running}): taking that one")
        yield profile
        return
    port = free_ports(settings.host, settings.port, 2)
    log = settings.home / "logs" / "up.log"
    process = _start(settings, port, log)
    try:
        yield await _wait_until_ready(settings, f"http://{settings.host}:{port}", process, log, progress)
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            await _stop(process)


def _start(settings: Settings, port: int, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    # A key that comes from here is never printed to a log.
    saved = Profile.load(settings.home)
    key = (saved.key if saved else None) or new_key()
    environment = os.environ | {
        "BRAID_HOME": str(settings.home.resolve()),
        "BRAID_PORT": str(port),
        "BRAID_ADMIN_KEY": key,
    }
    with log.open("wb") as file:
        # A process session of its own: Ctrl-C reaches the demo alone, which then stops Braid in order.
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "up"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


async def _wait_until_ready(
    settings: Settings, url: str, process: subprocess.Popen[bytes], log: Path, progress: Progress
) -> Profile:
    shown = 0
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    async with Client(url, "none", timeout=5) as client:
        while asyncio.get_running_loop().time() < deadline:
            # What follows the first empty line is for a person who started 'braid up' by hand.
            lines = list(takewhile(str.strip, log.read_text(errors="replace").splitlines()))
            for line in lines[shown:]:
                progress.tell(line)
            shown = len(lines)
            if process.poll() is not None:
                raise CommandError(f"Braid didn't start (exit status {process.returncode}). Its log: {log}")
            profile = Profile.load(settings.home)
            if profile is not None and profile.url == url and await _is_ready(client):
                return profile
            await asyncio.sleep(0.5)
    raise CommandError(f"Braid wasn't ready after {_START_SECONDS:.0f} s. Its log: {log}")


async def _is_ready(client: Client) -> bool:
    try:
        await client.get("/readyz")
    except ClientError:
        return False
    return True


async def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.to_thread(process.wait, _STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
