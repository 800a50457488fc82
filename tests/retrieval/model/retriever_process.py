"""The retriever as a process of its own, started as in production."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.waiting import until


class RetrieverProcess:
    """`start` and `stop` as often as a test likes, with the same index."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "r.sock"
        self.data = folder / "data"
        self.log = folder / "retriever.log"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [sys.executable, "-m", "retrieval", "--socket", str(self.socket), "--data", str(self.data)],
                stderr=log,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
            )
        # Loads torch, on a machine that may be busy.
        await until(self._answers, timeout=110)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 30)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            return client.connect_ex(str(self.socket)) == 0
