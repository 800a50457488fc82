"""One virtual environment: made, filled by pip with progress, and stamped when it is complete."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["Environment", "PipFailed", "SetupFailed", "fingerprint"]

_HEARTBEAT_SECONDS = 10.0


class SetupFailed(Exception):
    """An environment can't be made; the message says why and what to do."""


class PipFailed(SetupFailed):
    """pip ended with an error; `output` is what it said."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


def fingerprint(files: Iterable[Path], *words: str) -> str:
    """Digest of everything an environment is made from: files (their names and bytes), and this Python."""
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

    def is_complete(self, wanted: str) -> bool:
        return self.python.exists() and self._stamp.exists() and self._stamp.read_text() == wanted

    def complete(self, wanted: str) -> None:
        self._stamp.write_text(wanted)

    def prepare(self) -> None:
        """Make the environment, or take the one that is there if it belongs to this Python."""
        self._stamp.unlink(missing_ok=True)
        if self._fits():
            return
        self.say(f"making {self.folder.name} with Python {sys.version.split()[0]}")
        command = [sys.executable, "-m", "venv", "--clear", str(self.folder)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise SetupFailed(
                f"{' '.join(command)} failed:\n{(made.stdout + made.stderr).strip()}\n"
                f"If ensurepip is missing, install it (Debian and Ubuntu: apt install python{version}-venv), "
                "or name another Python: make PYTHON=/path/to/python3.11"
            )

    def pip(self, *arguments: str, doing: str) -> None:
        """Run pip here; its output goes to `install.log`, and a line now and then to the terminal.

        pip's own configuration (files and `PIP_…` variables) stays in force.

        Raises:
            PipFailed: With the end of the output.
        """
        self.say(doing)
        started = time.monotonic()
        command = [str(self.python), "-m", "pip", *arguments, "--progress-bar", "off", "--no-input"]
        output = self._run(command)
        if output is not None:
            tail = "\n".join(output.splitlines()[-15:])
            raise PipFailed(
                f"{self.folder.name}: pip failed while {doing}:\n{tail}\n"
                f"All of its output is in {self._log}. If the network failed, run the same command again: "
                "what was downloaded is kept.",
                output,
            )
        self.say(f"{doing}: done in {time.monotonic() - started:.0f} s")

    def remove(self, packages: Sequence[str]) -> None:
        self.say(f"removing {', '.join(packages)}")
        self._run([str(self.python), "-m", "pip", "uninstall", "-y", *packages])

    def say(self, text: str) -> None:
        sys.stderr.write(f"braid: {self.folder.name}: {text}\n")
        sys.stderr.flush()

    def _fits(self) -> bool:
        if not self.python.exists():
            return False
        code = "import sys, pip; print(sys.version_info[:2])"
        asked = subprocess.run([str(self.python), "-c", code], capture_output=True, text=True, check=False)
        return asked.returncode == 0 and asked.stdout.strip() == str(tuple(sys.version_info[:2]))

    def _run(self, command: list[str]) -> str | None:
        """Run a command; returns None, or its output if it failed."""
        lines: list[str] = []
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
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
        return None if process.returncode == 0 else "".join(lines)


class _Heartbeat:
    """Says every few seconds what pip is at, so that a long download never looks like a hang."""

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
        started = time.monotonic()
        while not self._stop.wait(_HEARTBEAT_SECONDS):
            at = next((line for line in reversed(self._lines) if not line.startswith("WARNING")), "starting").strip()[
                :100
            ]
            self._environment.say(f"{time.monotonic() - started:4.0f} s  {at}")
