"""The control file: a run on another machine pauses and ends as its caller wants, and when nobody wants it any more."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.control import Control, ControlWatch, read_control, write_control

ROOT = Path(__file__).parents[2]
PROGRAM = """\
import signal, sys, time
from pathlib import Path
from training.control import ControlWatch
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
watch = ControlWatch(Path(sys.argv[1]), silence_seconds=float(sys.argv[2]), grace_seconds=0.2, look_seconds=0.02)
watch.start()
print("started", flush=True)
while not watch(): time.sleep(0.01)
print("paused", flush=True)
time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_control(tmp_path / "control.json", Control(1))
    return tmp_path / "control.json"


class Run:
    """A program that is watched, with its output read as far as its first line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.read() == "started"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    started: list[Run] = []
    yield started
    for run in started:
        run.process.kill()
        run.process.communicate()


def begin(runs: list[Run], file: Path, silence: float = 60, *more: str) -> Run:
    runs.append(Run(sys.executable, "-c", PROGRAM, str(file), str(silence), *more))
    return runs[-1]


def test_a_caller_pauses_a_run_and_stops_it(runs: list[Run], file: Path) -> None:
    run = begin(runs, file)
    write_control(file, Control(2, "pause"))
    assert run.read() == "paused"
    write_control(file, Control(3, "stop"))
    assert run.process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("ending", ["the file is gone", "no beat comes"])
def test_a_run_ends_when_nobody_wants_it(runs: list[Run], file: Path, ending: str) -> None:
    run = begin(runs, file, 60 if ending == "the file is gone" else 0.3)
    if ending == "the file is gone":
        file.unlink()
    assert run.process.wait(10) == -signal.SIGTERM


def test_a_run_lives_as_long_as_beats_come(runs: list[Run], file: Path) -> None:
    run = begin(runs, file, 0.5)
    for beat in range(2, 12):
        write_control(file, Control(beat))
        time.sleep(0.1)
    assert run.process.poll() is None


def test_a_run_that_hears_no_signal_is_killed(runs: list[Run], file: Path) -> None:
    run = begin(runs, file, 60, "deaf")
    file.unlink()
    assert run.process.wait(10) == -signal.SIGKILL


def test_a_run_ends_with_its_parent(file: Path) -> None:
    """Of whom Ray's process is one: it dies, and the command has another parent."""
    launcher = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", launcher, sys.executable, "-c", PROGRAM, str(file), "60"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip() for _ in range(2)}
        assert "started" in lines
        parent.kill()
        # The run holds the pipe's other end; the pipe ends when the run does.
        assert parent.stdout.read() == ""


def test_a_file_that_can_not_be_read_ends_nothing_at_once(tmp_path: Path) -> None:
    (tmp_path / "control.json").write_text("{")
    watch = ControlWatch(tmp_path / "control.json", silence_seconds=60)
    assert watch._is_wanted()  # pyright: ignore[reportPrivateUsage]
    assert read_control(tmp_path / "none.json").wish == "stop"
