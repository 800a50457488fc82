"""Unix sessions of processes, found in /proc: also the members that were orphaned when their leader was killed."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessSession"]

_PROC = Path("/proc")
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    session: int
    start: int


@dataclass(frozen=True, slots=True)
class ProcessSession:
    """One session by the number of its leader, with what tells it from a later one of the same number.

    `started` is the leader's start time in clock ticks since the boot `boot`. Methods block: call them in a thread.
    """

    number: int
    start: int
    boot: str

    @classmethod
    def read(cls, note: Path) -> "ProcessSession | None":
        """Read the note that a child left when it started; None if there is none, or it makes no sense."""
        try:
            number, start, boot = note.read_text().split()
            return cls(int(number), int(start), boot)
        except (OSError, ValueError):
            return None

    def list_members(self) -> list[int]:
        """Return the living processes that belong to it, the leader too if it lives."""
        if self.boot != _boot():
            return []
        members = [process for process in _processes() if process.session == self.number]
        leader = next((process for process in members if process.pid == self.number), None)
        if leader is not None and leader.start != self.start:
            return []
        return [process.pid for process in members if process.start >= self.start]

    def end(self, grace: float) -> list[int]:
        """Ask all members to end, kill what is left after `grace` seconds, and return what even then remains."""
        if grace > 0 and self._signal(signal.SIGTERM):
            self._wait(grace)
        deadline = time.monotonic() + 5
        # A member can fork while it is being looked for, so look until none is found.
        while (survivors := self._signal(signal.SIGKILL)) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        return survivors

    def _signal(self, number: signal.Signals) -> list[int]:
        pids = self.list_members()
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        return pids

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.list_members() and time.monotonic() < deadline:
            time.sleep(_PAUSE)


def _processes() -> Iterator[_Process]:
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        # A zombie holds no memory and waits for its parent: it has ended.
        if fields[0] not in ("Z", "X"):
            yield _Process(int(entry.name), int(fields[3]), int(fields[19]))


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
