"""The control file of a run on another machine: its caller writes what it wants, and that it is still there.

A child process has signals and a parent for that. A run on a cluster has neither: the file lies in a folder that both
machines see. A run ends when its caller has stopped writing, when the file is gone, and when its own parent is.
"""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["BEAT_SECONDS", "Control", "ControlWatch", "read_control", "write_control"]

BEAT_SECONDS = 5.0
"""The time between two beats of the caller."""

_SILENCE_SECONDS = 120.0  # a caller that is killed doesn't come back: the next one starts another run
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 30.0


class Control(msgspec.Struct, frozen=True):
    """The wish of a run's caller; `beat` is another number each time."""

    beat: int
    wish: Literal["run", "pause", "stop"] = "run"


def write_control(file: Path, control: Control) -> None:
    """Replace the file whole."""
    partial = file.with_name(f"{file.name}.partial")
    partial.write_bytes(msgspec.json.encode(control))
    os.replace(partial, file)


def read_control(file: Path) -> Control:
    """Return what the caller wants; that is to stop where the file is gone.

    Raises:
        OSError: The folder can't be read now.
        msgspec.MsgspecError: The file is no control file.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Control)
    except FileNotFoundError:
        return Control(-1, "stop")


class ControlWatch:
    """Looks at the control file from a thread of its own, and ends this process when nobody wants it any more.

    It sends SIGTERM, and SIGKILL some time later. Called, it says whether the caller wants a pause.

    Args:
        file: The control file.
        silence_seconds: The longest time without another beat.
        grace_seconds: The time between the two signals.
        look_seconds: The time between two looks.
    """

    def __init__(
        self,
        file: Path,
        *,
        silence_seconds: float = _SILENCE_SECONDS,
        grace_seconds: float = _GRACE_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._file = file
        self._silence_seconds = silence_seconds
        self._grace_seconds = grace_seconds
        self._look_seconds = look_seconds
        self._parent = os.getppid()
        self._beat: int | None = None
        self._beaten_at = time.monotonic()
        self._wants_pause = False

    def __call__(self) -> bool:
        return self._wants_pause

    def start(self) -> None:
        """Begin to look, for the rest of the process's life."""
        threading.Thread(target=self._watch, name="control", daemon=True).start()

    def _watch(self) -> None:
        while self._is_wanted():
            time.sleep(self._look_seconds)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._grace_seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    def _is_wanted(self) -> bool:
        try:
            control = read_control(self._file)
        except (OSError, msgspec.MsgspecError):  # a share that is away for a moment: silence decides
            control = None
        now = time.monotonic()
        if control is not None:
            if control.wish == "stop":
                return False
            self._wants_pause = control.wish == "pause"
            if control.beat != self._beat:
                self._beat, self._beaten_at = control.beat, now
        return os.getppid() == self._parent and now - self._beaten_at < self._silence_seconds
