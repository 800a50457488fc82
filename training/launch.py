"""The launch of a training in several processes, and the watch over them: they end together."""

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import msgspec

from training.assignment import Assignment, TrainedAdapters
from training.errors import TrainingError
from training.events import PAUSE_SIGNAL, Event, Failed, Paused
from training.member import Membership, TrainingEnd
from training.state import RunPaused

__all__ = ["train_together"]

_PROGRAM = ("-m", "training", "member")
_LOOK_SECONDS = 0.25
_LAST_WORDS_SECONDS = 10.0
"""The time for which the others may go on when one has failed: what it said, or they, is the reason."""

_READ_BYTES = 1 << 16


def train_together(
    assignment: Assignment, send: Callable[[Event], None], wants_pause: Callable[[], bool]
) -> TrainedAdapters:
    """Train in one process per device; return when all have ended.

    Args:
        assignment: Its `devices` say where.
        send: Takes the leader's events.
        wants_pause: Asked now and then; when it says yes, the leader is told to save its state and pause.

    Raises:
        TrainingError: What the first process that failed said; `process_killed`: one was ended from outside. The
            others were ended then, and the files that the leader may have written are nothing whole.
        RunPaused: The state is saved.
    """
    with tempfile.TemporaryDirectory(prefix="braid-training-") as folder:
        with _start(assignment, Path(folder) / "rendezvous") as members:
            watch = _Watch(members, send, wants_pause)
            watch.follow()
        return watch.conclude()


class _Member:
    """A process, and what it has said."""

    def __init__(self, rank: int, device: str, process: "subprocess.Popen[bytes]") -> None:
        self.rank = rank
        self.device = device
        self.process = process
        self.output = cast("IO[bytes]", process.stdout)
        self._rest = b""

    def read_lines(self) -> list[bytes] | None:
        """Return the lines that have come whole; None at the end of all."""
        data = os.read(self.output.fileno(), _READ_BYTES)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


class _Watch:
    def __init__(self, members: list[_Member], send: Callable[[Event], None], wants_pause: Callable[[], bool]) -> None:
        self._members = members
        self._send = send
        self._wants_pause = wants_pause
        self._can_pause = False
        self._failures: list[Failed] = []
        self._end: TrainingEnd | Paused | None = None
        self._statuses: dict[int, int] = {}
        self._decoder = msgspec.json.Decoder(Event | TrainingEnd)

    def follow(self) -> None:
        """Pass the leader's events on until all have ended, or one has and the others had time to say why."""
        deadline: float | None = None
        with selectors.DefaultSelector() as selector:
            for member in self._members:
                selector.register(member.output, selectors.EVENT_READ, member)
            while selector.get_map() and (deadline is None or time.monotonic() < deadline):
                for key, _ in selector.select(_LOOK_SECONDS):
                    lines = key.data.read_lines()
                    if lines is None:
                        selector.unregister(key.fileobj)
                        with suppress(subprocess.TimeoutExpired):  # how it ended is known a moment after its last line
                            key.data.process.wait(_LOOK_SECONDS)
                    for line in lines or ():
                        self._take(line)
                if self._note_ends() and deadline is None:
                    deadline = time.monotonic() + _LAST_WORDS_SECONDS
                # Before it has said anything it may not listen to the signal yet, and would die of it.
                if self._can_pause and self._wants_pause():
                    self._members[0].process.send_signal(PAUSE_SIGNAL)
                    self._can_pause = False
        # Who has said the last word needs a moment to leave.
        while not self._note_ends():
            time.sleep(_LOOK_SECONDS)

    def conclude(self) -> TrainedAdapters:
        """Return what came of it, when all have ended; see `train_together`."""
        if isinstance(self._end, Paused):
            raise RunPaused(self._end.step)
        if isinstance(self._end, TrainingEnd):
            return self._end.result
        # What a process knows of itself goes before what it makes of the loss of another.
        self._failures.sort(key=lambda failed: failed.code == "internal")
        for failed in self._failures:
            raise TrainingError(failed.code, failed.message, failed.problems)
        raise TrainingError("process_killed", self._describe_death())

    def _take(self, line: bytes) -> None:
        event = self._decoder.decode(line)
        if isinstance(event, Failed):
            self._failures.append(event)
        elif isinstance(event, TrainingEnd | Paused):
            self._end = event
        else:
            self._can_pause = True
            self._send(event)

    def _note_ends(self) -> bool:
        """Tell whether one has failed, or the leader is done: nobody has to be waited for any longer."""
        for member in self._members:
            if status := member.process.poll():
                self._statuses.setdefault(member.rank, status)
        return bool(self._statuses) or self._members[0].process.poll() is not None

    def _describe_death(self) -> str:
        # One that lost another ends by itself; who was ended from outside comes first.
        rank, status = min(self._statuses.items(), key=lambda one: one[1], default=(0, 0))
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status} and without a reason"
        return (
            f"Process {rank + 1} of the {len(self._members)} of the training, on {self._members[rank].device}, {how}; "
            "perhaps the machine's memory ran out. The others were ended too, and nothing was made. Start it again: it "
            "goes on from the state that was saved last."
        )


@contextmanager
def _start(assignment: Assignment, rendezvous: Path) -> Generator[list[_Member]]:
    """Start one process per device; none is left when the block ends."""
    members: list[_Member] = []
    try:
        for rank, device in enumerate(assignment.devices):
            process = subprocess.Popen(
                [sys.executable, *_PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **_list_variables(rank, device, len(assignment.devices))},
            )
            members.append(_Member(rank, device, process))
            membership = Membership(assignment=assignment, rank=rank, rendezvous=str(rendezvous), parent=os.getpid())
            # One that is gone already is noticed by the watch.
            with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as stdin:
                stdin.write(msgspec.json.encode(membership))
        yield members
    finally:
        for member in members:
            member.process.kill()
        for member in members:
            member.process.wait()
            member.output.close()


def _list_variables(rank: int, device: str, size: int) -> dict[str, str]:
    """Return the environment by which accelerate and the backends know what they are; all is on this machine."""
    kind, _, number = device.partition(":")
    threads = max(1, len(os.sched_getaffinity(0)) // size) if kind == "cpu" else 1
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        # accelerate takes the device of this number.
        "LOCAL_RANK": number or str(rank),
        "LOCAL_WORLD_SIZE": str(size),
        "OMP_NUM_THREADS": str(threads),
        # Gradients go through no network.
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
    }
