"""`braid demo` as a newcomer runs it: its report, what it printed, and the services that it leaves."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from gateway.client import Profile
from gateway.demo import make_tenants

ROOT = Path(__file__).parents[2]
BRAID = str(Path(sys.executable).parent / "braid")


@dataclass
class Demo:
    """What a demo left; `key` is the first tenant's, `admin` the administrator's."""

    home: Path
    output: str
    report: dict[str, Any]
    url: str
    key: str
    admin: str

    @property
    def base(self) -> str:
        return self.report["base_model"]

    def ask(self, **fields: Any) -> httpx2.Response:
        """Ask the first tenant's assistant; by default its first held-out question."""
        body = {"model": "kestrel-assistant", "max_tokens": 40, "temperature": 0, **fields}
        body.setdefault("messages", [{"role": "user", "content": make_tenants()[0].questions[0].question}])
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx2.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=120)

    def up(self) -> psutil.Process:
        return psutil.Process(int((self.home / "run" / "up.lock").read_text()))


@contextmanager
def keeping_demo(home: Path, size: str) -> Generator[Demo]:
    """Run a demo of that size, and stop the services that it leaves in the end."""
    environment = {**os.environ, "BRAID_HOME": str(home), "BRAID_PORT": "8180", "HF_HUB_OFFLINE": "1"}
    with (home / "output.txt").open("w") as file:
        done = subprocess.run(
            [BRAID, "demo", "--keep", "--size", size], cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    output = (home / "output.txt").read_text()
    print(output)  # noqa: T201 - the report belongs in the log of a test run
    own = home / "demo"
    profile = Profile.load(own)
    try:
        # 1 is how the demo ends when it breaks a promise, which tests of their own judge.
        assert done.returncode in (0, 1), output
        assert (own / "report.json").exists(), output
        assert profile is not None
        assert profile.key is not None
        key = re.search(r"Key of kestrel-assistant's tenant: (\S+)", output)
        assert key is not None
        report = json.loads((own / "report.json").read_text())
        yield Demo(own, output, report, profile.url, key.group(1), profile.key)
    finally:
        lock = own / "run" / "up.lock"
        if lock.exists() and psutil.pid_exists(int(lock.read_text() or 0)):
            os.kill(int(lock.read_text()), signal.SIGTERM)
            psutil.wait_procs([psutil.Process(int(lock.read_text()))], timeout=60)


def session_of(leader: int | None) -> list[psutil.Process]:
    """The living processes of a session."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["status"]):
        try:
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == leader:
                found.append(process)
        except ProcessLookupError:
            continue
    return found
