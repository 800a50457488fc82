"""Several processes that train one adapter: two on the processor, connected by gloo, make what one makes."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from tests.training.model.conftest import conversation, write_rows
from tests.training.model.test_preferences import preference
from tests.training.model.test_resume import program, resumed_at
from training.assignment import Assignment, TrainedAdapters, train_adapter
from training.errors import TrainingError
from training.events import Event, Finished, Paused, Saved, Started, Step, decode_event
from training.hardware import TrainingDevice
from training.launch import train_together
from training.manifest import WEIGHTS_FILE
from training.rendered_rows import RowsFile
from training.run import run
from training.run_rows import read_run_rows
from training.spec import Recipe, TrainSpec
from training.state import RunPaused, StateFile, refuse_pause
from training.tokenization import RowTokenizer

ROWS = 24
# A rate as it is used: at 30 times that AdamW makes of a difference in the last digit one in the fourth.
SFT = Recipe(epochs=2, batch_size=8, learning_rate=7e-4, rank=8)
DPO = msgspec.structs.replace(SFT, method="dpo", learning_rate=7e-5)
BOUND = 1e-6  # relative, in float32: the same sums in another order


class Trainings:
    """Starts trainings of the same rows in float32, each into a folder of its own."""

    def __init__(self, base_model: Path, tokenizer: RowTokenizer, folder: Path) -> None:
        self.state = folder / "state"
        self.started: list[subprocess.Popen[str]] = []
        self._base_model = base_model
        self._tokenizer = tokenizer
        self._folder = folder

    def assign(self, recipe: Recipe, name: str, processes: int, **options: Any) -> Assignment:
        make = preference if recipe.method == "dpo" else conversation
        files = [
            write_rows(self._folder / f"{recipe.method}-{place}.jsonl", *map(make, numbers))
            for place, numbers in enumerate((range(ROWS), range(ROWS, ROWS + 5)))
        ]
        out = self._folder / name
        out.mkdir(exist_ok=True)
        rows, validation = (RowsFile(str(file)) for file in files)
        spec = TrainSpec(base_model=str(self._base_model), rows=rows, validation_rows=validation, recipe=recipe)
        return Assignment(
            spec=spec,
            out=str(out),
            devices=["cpu"] * processes,
            dtype="float32",
            gradient_checkpointing=False,
            memory_forecast=0,
            memory_free=0,
            fingerprint="one",
            **options,
        )

    def train_alone(self, recipe: Recipe, name: str) -> TrainedAdapters:
        assignment = self.assign(recipe, name, 1)
        rows = read_run_rows(assignment.spec, self._tokenizer, recipe, lambda _: None)
        return train_adapter(assignment, rows, lambda _: None)

    def train_together(
        self,
        recipe: Recipe,
        name: str,
        send: Callable[[Event], None] = lambda _: None,
        wants_pause: Callable[[], bool] = refuse_pause,
        **options: Any,
    ) -> TrainedAdapters:
        self.started.clear()
        return train_together(self.assign(recipe, name, 2, **options), send, wants_pause)

    def read_weights(self, name: str) -> dict[str, torch.Tensor]:
        return load_file(self._folder / name / WEIGHTS_FILE)


@pytest.fixture
def trainings(base_model: Path, tokenizer: RowTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    trainings = Trainings(base_model, tokenizer, tmp_path)
    start = subprocess.Popen

    def remember(*arguments: Any, **options: Any) -> Any:
        trainings.started.append(start(*arguments, **options))
        return trainings.started[-1]

    monkeypatch.setattr("training.launch.subprocess.Popen", remember)
    return trainings


@pytest.mark.parametrize("recipe", [SFT, DPO], ids=["sft", "dpo"])
def test_eight_rows_at_once_one_by_one_and_four_in_each_of_two_processes_are_the_same(
    trainings: Trainings, recipe: Recipe
) -> None:
    at_once = trainings.train_alone(recipe, "at-once")
    one_by_one = trainings.train_alone(msgspec.structs.replace(recipe, micro_batch_tokens=1), "one-by-one")
    events: list[Event] = []
    together = trainings.train_together(recipe, "together", events.append)
    assert len(at_once.losses) == 2 * ROWS / 8
    assert one_by_one.losses == pytest.approx(at_once.losses, rel=BOUND)
    assert together.losses == pytest.approx(at_once.losses, rel=BOUND)
    assert (together.tokens, together.best_step) == (at_once.tokens, at_once.best_step)
    expected = trainings.read_weights("at-once")
    weights = trainings.read_weights("together")
    assert all(torch.allclose(weights[name], expected[name], rtol=1e-4, atol=1e-6) for name in expected)
    # The leader alone tells.
    (started,) = [event for event in events if isinstance(event, Started)]
    assert (started.processes, started.device) == (2, "cpu")
    assert [event.step for event in events if isinstance(event, Step)] == list(range(1, len(at_once.losses) + 1))


DYING = """
import os, signal, sys
from training.loop import Trainer

send = Trainer._send_step

def die(self, number, *rest):
    send(self, number, *rest)
    if (number, os.environ["RANK"]) == ({fatal}, "{victim}"):
        os.kill(os.getpid(), signal.SIGKILL)

Trainer._send_step = die
sys.argv = ["training", "member"]
from training.__main__ import main
sys.exit(main())
"""


def test_a_run_goes_on_after_one_of_its_processes_was_killed(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.room.choose_training_hardware", lambda _: TrainingDevice("cpu", torch.float32))
    expected: list[Event] = []
    spec = trainings.assign(SFT, "whole", 1).spec
    run(spec, tmp_path / "out", expected.append, device="cpu")
    fatal, victim = random.randint(2, 5), random.randrange(2)
    state = StateFile(trainings.state, 0.0)
    monkeypatch.setattr("training.launch._PROGRAM", ("-c", DYING.format(fatal=fatal, victim=victim)))
    with pytest.raises(TrainingError, match=rf"Process {victim + 1} of the 2 .* by signal 9") as caught:
        run(spec, tmp_path / "again", lambda _: None, device="cpu", processes=2, state=state)
    assert caught.value.code == "process_killed"
    assert all(process.poll() is not None for process in trainings.started)
    assert not list(tmp_path.glob("again*"))
    monkeypatch.setattr("training.launch._PROGRAM", ("-m", "training", "member"))
    events: list[Event] = []
    run(spec, tmp_path / "again", events.append, device="cpu", processes=2, state=state)
    assert resumed_at(events)[0] in (fatal - 1, fatal)
    assert isinstance(expected[-1], Finished)
    assert isinstance(events[-1], Finished)
    manifest, whole = events[-1].manifest, expected[-1].manifest
    assert manifest.losses == pytest.approx(whole.losses, rel=BOUND), (fatal, victim)
    assert (manifest.best_step, manifest.recipe) == (whole.best_step, whole.recipe)
    files = sorted(file.name for file in (tmp_path / "again").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors", "manifest.json"]
    assert not list(tmp_path.glob("state*"))


def test_the_program_pauses_its_processes_and_they_end_with_it(base_model: Path, rows: Path, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(SFT, epochs=3000)
    options = ("--device", "cpu", "--processes", "2")
    for number in (signal.SIGUSR1, signal.SIGKILL):
        with program(tmp_path, base_model, rows, recipe, *options) as process:
            events: list[Event] = []
            members: list[int] = []
            for line in process.stdout:
                events.append(decode_event(line))
                if isinstance(events[-1], Step) and not members:
                    members = list_children(process.pid)
                    process.send_signal(number)
            assert process.wait() == (0 if number == signal.SIGUSR1 else -number)
        assert len(members) == 2
        end = time.monotonic() + 20
        while (left := [pid for pid in members if is_alive(pid)]) and time.monotonic() < end:
            time.sleep(0.05)
        assert not left
        assert isinstance(events[-1], Paused) == (number == signal.SIGUSR1)
        assert (tmp_path / "state").exists()
        assert not (tmp_path / "out").exists()
    assert resumed_at(events)


MEMBER = """
import json, os, signal, sys, time
membership = json.loads(sys.stdin.buffer.read())
def say(**line): print(json.dumps(line), flush=True)
signal.signal(signal.SIGUSR1, lambda *_: (say(event="paused", step=7), os._exit(0)))
signal.signal(signal.SIGTERM, signal.SIG_DFL)
if membership["rank"] == 0:
    say(event="saved", step=7, bytes=1, seconds=0.1)
"""
DEAF = "time.sleep(600)"


@pytest.mark.parametrize(
    ("leader", "other", "code", "words"),
    [
        ("sys.exit(3)", "say(event='failed', code='out_of_memory', message='No room.')", "out_of_memory", "No room"),
        ("say(event='failed', code='internal', message='Odd.')", "sys.exit(3)", "internal", "Odd"),
        (DEAF, "os.kill(os.getpid(), 9)", "process_killed", "Process 2 of the 2 .* on cpu, was ended by signal 9"),
        ("os.kill(os.getpid(), 15)", DEAF, "process_killed", "Process 1 of the 2 .* was ended by signal 15"),
        ("sys.exit(3)", "os.kill(os.getpid(), 9)", "process_killed", "Process 2 of the 2"),
        ("sys.exit(1)", "sys.exit(0)", "process_killed", "ended with status 1 and without a reason"),
    ],
)
def test_one_reason_is_told_and_all_end(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch, leader: str, other: str, code: str, words: str
) -> None:
    """Processes that only talk: how several end, in seconds."""
    # Of two that end by themselves one may start seconds later on a busy machine.
    monkeypatch.setattr("training.launch._LAST_WORDS_SECONDS", 0.5 if DEAF in (leader, other) else 30)
    script = f"{MEMBER}\n    {leader}\nelse:\n    {other}\nsys.exit(1)"
    monkeypatch.setattr("training.launch._PROGRAM", ("-c", script))
    events: list[Event] = []
    with pytest.raises(TrainingError, match=words) as caught:
        trainings.train_together(SFT, "out", events.append)
    assert caught.value.code == code
    assert [event.step for event in events if isinstance(event, Saved)] == [7]
    assert all(process.poll() is not None for process in trainings.started)


def test_a_pause_is_passed_on_when_the_leader_listens(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.launch._PROGRAM", ("-c", f"{MEMBER}\n    {DEAF}\nelse:\n    time.sleep(1)"))
    with pytest.raises(RunPaused) as caught:
        trainings.train_together(SFT, "out", wants_pause=lambda: True)
    assert caught.value.step == 7


def list_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
