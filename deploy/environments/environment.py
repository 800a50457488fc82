"""One virtual environment: created, filled by an installer with progress, and stamped when it is complete."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["Environment", "InstallFailed", "SetupFailed", "digest_inputs", "progress"]

_HEARTBEAT_SECONDS = 10.0
_MISMATCHES = ("Hash mismatch for", "DO NOT MATCH THE HASHES")


class SetupFailed(Exception):
    """An environment can't be made; the message says why and what to do."""


class InstallFailed(SetupFailed):
    """uv or pip ended with an error.

    Attributes:
        reason: The last line of the output, which as a rule says why.
        is_mismatch: A file isn't the one whose digest was locked.
    """

    def __init__(self, doing: str, output: str, log: Path) -> None:
        lines = output.strip().splitlines() or ["no output"]
        self.reason = lines[-1].strip()
        self.is_mismatch = any(sign in output for sign in _MISMATCHES)
        advice = "If the network failed, run the same command again: what was downloaded is kept."
        if self.is_mismatch:
            advice = (
                "That file isn't the one that was locked, so it wasn't installed. A mirror or proxy may have changed "
                "it: name another index with PIP_INDEX_URL. If deploy/locks was edited: git checkout deploy/locks"
            )
        tail = "\n".join(lines[-15:])
        super().__init__(f"{doing} failed:\n{tail}\n{advice}\nThe whole output is in {log}.")


def digest_inputs(files: Iterable[Path], *words: str) -> str:
    """Return the digest of all that an environment is made from: files (their names and bytes), and this Python."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {' '.join(words)}".encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


class Environment:
    """A folder with a virtual environment, and a stamp in it that says from what it was completed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._stamp = folder / ".braid-stamp"
        self._log = folder / "install.log"

    def is_complete(self, stamp: str) -> bool:
        return self.python.exists() and self._stamp.exists() and self._stamp.read_text() == stamp

    def complete(self, stamp: str) -> None:
        self._stamp.write_text(stamp)

    def prepare(self) -> None:
        """Make the environment, or take the one that is there if it belongs to this Python."""
        self._stamp.unlink(missing_ok=True)
        if not self._fits():
            self.create()

    def create(self) -> None:
        """Make the environment anew, with pip alone in it."""
        self.say(f"making it with Python {sys.version.split()[0]}")
        log = self._log.read_text() if self._log.exists() else ""
        command = [sys.executable, "-m", "venv", "--clear", str(self.folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise SetupFailed(
                f"{' '.join(command)} failed:\n{(result.stdout + result.stderr).strip()}\n"
                f"If ensurepip is missing, install it (Debian and Ubuntu: apt install python{version}-venv), "
                "or name another Python: make PYTHON=/path/to/python3.11"
            )
        self._log.write_text(log)

    def run(self, command: Sequence[str], doing: str, variables: Mapping[str, str]) -> None:
        """Run an installer; its output goes to `install.log`, and a line now and then to the terminal.

        Raises:
            InstallFailed: With the end of the output.
        """
        self.say(doing)
        start = time.monotonic()
        lines: list[str] = []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
        with (
            self._log.open("a") as log,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
            ) as process,
            _Heartbeat(self, lines),
        ):
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                lines.append(line)
        if process.returncode != 0:
            raise InstallFailed(f"{self.folder.name}: {doing}", "".join(lines), self._log)
        self.say(f"{doing}: done in {time.monotonic() - start:.0f} s")

    def say(self, text: str) -> None:
        sys.stderr.write(f"braid: {self.folder.name}: {text}\n")
        sys.stderr.flush()

    def _fits(self) -> bool:
        if not self.python.exists():
            return False
        code = "import sys, pip; print(sys.version_info[:2])"
        answer = subprocess.run([str(self.python), "-c", code], capture_output=True, text=True, check=False)
        return answer.returncode == 0 and answer.stdout.strip() == str(tuple(sys.version_info[:2]))


class _Heartbeat:
    """Says every few seconds what the installer is at, so that a long download never looks like a hang."""

    def __init__(self, environment: Environment, lines: list[str]) -> None:
        self._environment = environment
        self._lines = lines
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        start = time.monotonic()
        while not self._stop.wait(_HEARTBEAT_SECONDS):
            self._environment.say(f"{time.monotonic() - start:4.0f} s  {progress(self._lines)}")


def progress(lines: Sequence[str]) -> str:
    """Return what an installer is at, by the last line that it wrote."""
    last = next((line for line in reversed(lines) if not line.startswith("WARNING")), "starting").strip()
    # uv says this and then compiles in silence, which takes longer than all the rest.
    return "compiling to bytecode" if last.startswith("Installed ") else last[:100]
