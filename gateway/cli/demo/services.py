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

from gateway.cli.client import Gateway
from gateway.cli.demo.narration import Narration
from gateway.cli.exits import CliError
from gateway.cli.profile import Profile
from gateway.cli.stack.instance import Instance
from gateway.cli.stack.ports import free_ports
from gateway.settings import Settings
from gateway.tenants.authenticator import new_key

__all__ = ["running_services"]

_START_SECONDS = 900.0
_STOP_SECONDS = 60.0


@asynccontextmanager
async def running_services(settings: Settings, narration: Narration, *, keep: bool) -> AsyncGenerator[Profile]:
    """Start Braid with `settings.home`, or take the one that runs there since an earlier demo with `KEEP=1`.

    What was started here is stopped on leaving, unless `keep`.
    """
    profile = Profile.load(settings.home)
    running = Instance.running(settings.home)
    if running is not None and profile is not None and profile.key is not None:
        narration.tell(f"Braid runs already at {profile.url} (process {running}): taking that one")
        yield profile
        return
    port = free_ports(settings.host, settings.port, 2)
    log = settings.home / "logs" / "up.log"
    process = _start(settings, port, log)
    try:
        yield await _ready(settings, f"http://{settings.host}:{port}", process, log, narration)
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            await _stop(process)


def _start(settings: Settings, port: int, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    # A key given by us never stands in a log.
    held = Profile.load(settings.home)
    key = (held.key if held else None) or new_key()
    environment = os.environ | {
        "BRAID_HOME": str(settings.home.resolve()),
        "BRAID_PORT": str(port),
        "BRAID_ADMIN_KEY": key,
    }
    with log.open("wb") as opened:
        # A session of its own: Ctrl-C reaches the demo alone, which then stops Braid in order.
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "up"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


async def _ready(
    settings: Settings, url: str, process: subprocess.Popen[bytes], log: Path, narration: Narration
) -> Profile:
    told = 0
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    async with Gateway(url, "none", timeout=5) as gateway:
        while asyncio.get_running_loop().time() < deadline:
            # What follows the first empty line is for a person who started 'braid up' by hand.
            lines = list(takewhile(str.strip, log.read_text(errors="replace").splitlines()))
            for line in lines[told:]:
                narration.tell(line)
            told = len(lines)
            if process.poll() is not None:
                raise CliError(f"Braid didn't start (exit status {process.returncode}). Its log: {log}")
            profile = Profile.load(settings.home)
            if profile is not None and profile.url == url and await _answers(gateway):
                return profile
            await asyncio.sleep(0.5)
    raise CliError(f"Braid wasn't ready after {_START_SECONDS:.0f} s. Its log: {log}")


async def _answers(gateway: Gateway) -> bool:
    try:
        await gateway.get("/readyz")
    except CliError:
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
