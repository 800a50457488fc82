"""Runs that end early at any step, and go on: they make what an uninterrupted one makes."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors import safe_open

from tests.training.model.conftest import RECIPE, conversation
from training.dataset import read_rows
from training.errors import TrainingError
from training.events import Checkpoint, Event, Finished, Notice, Paused, Resumed, Saved, Started, Step, decode_event
from training.hardware import TrainingDevice
from training.loop import LoopResult, Trainer
from training.model import AdaptedModel
from training.progress import RunProgress
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec
from training.state import RunPaused, StateFile, StateKeeper
from training.tokenization import RowTokenizer, TokenizedRow

ROOT = Path(__file__).parents[3]
STEPS = 9
# Dropout takes random numbers: a run that goes on has to take those that it would have taken.
DROPOUT = msgspec.structs.replace(RECIPE, dropout=0.1)


class Killed(BaseException):
    """Stands for a signal that nobody hears."""


class Runs:
    """Starts the same run again and again, each time with a new model, as a new process would."""

    def __init__(self, base_model: Path, rows: list[TokenizedRow], folder: Path) -> None:
        self.file = folder / "state"
        self._base_model = base_model
        self._rows = rows

    def start(
        self,
        send: Callable[[Event], None],
        *,
        recipe: Recipe = DROPOUT,
        run: str = "one",
        seconds: float = 0.0,
        wants_pause: Callable[[], bool] | None = None,
        checkpoints: int = 2,
    ) -> tuple[LoopResult, list[torch.Tensor]]:
        model = AdaptedModel.create(self._base_model, recipe, TrainingDevice("cpu", torch.float32), "tiny")
        options = StateFile(self.file, seconds, *([wants_pause] if wants_pause else []))
        keeper = StateKeeper(options, run, send)
        trainer = Trainer(model, recipe, self._rows[:12], self._rows[12:], send, keeper, checkpoints=checkpoints)
        result = trainer.train()
        return result, model.copy_weights()

    def kill(self, kind: type[Event], step: int, **options: Any) -> list[Event]:
        """Start, and end at once when this event comes."""
        events: list[Event] = []

        def receive(event: Event) -> None:
            events.append(event)
            if isinstance(event, kind) and isinstance(event, Step | Saved | Checkpoint) and event.step == step:
                raise Killed

        with pytest.raises(Killed):
            self.start(receive, **options)
        return events


@pytest.fixture
def runs(base_model: Path, tokenizer: RowTokenizer, tmp_path: Path) -> Iterator[Runs]:
    data = b"\n".join(msgspec.json.encode(conversation(number)) for number in range(16))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the model is tiny
    yield Runs(base_model, tokenizer.tokenize_rows(read_rows(data)[0], 512)[0], tmp_path)
    torch.set_num_threads(threads)


def is_alike(weights: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> bool:
    return all(torch.allclose(one, other, rtol=1e-6, atol=1e-8) for one, other in zip(weights, others, strict=True))


def resumed_at(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, Resumed)]


def test_a_run_killed_at_every_step_goes_on_with_the_same_curve(runs: Runs) -> None:
    whole, expected = runs.start(lambda _: None)
    runs.file.unlink()
    # Before a step is saved, right after, and when an epoch has been measured; steps are done again then.
    for step in range(1, STEPS + 1):
        kind = random.choice([Step, Saved])
        events = runs.kill(kind, step)
        if step % 3 == 0:
            runs.kill(Checkpoint, step)
        if step > 2:
            assert resumed_at(events)[0] in (step - 1, step - 2)
    events: list[Event] = []
    result, weights = runs.start(events.append)
    assert resumed_at(events) == [STEPS]
    assert result.losses == pytest.approx(whole.losses, rel=1e-6)
    assert (result.best_step, result.tokens) == (whole.best_step, whole.tokens)
    assert is_alike(weights, expected)
    assert [end.step for end in result.checkpoints] == [end.step for end in whole.checkpoints]
    assert len(whole.checkpoints) == 2
    for one, other in zip(result.checkpoints, whole.checkpoints, strict=True):
        assert one.tokens == other.tokens
        assert is_alike(one.weights, other.weights)


def test_a_run_that_goes_on_tells_what_was_before(runs: Runs) -> None:
    before = runs.kill(Saved, 4)
    events: list[Event] = []
    result, _ = runs.start(events.append)
    (resumed,) = [event for event in events if isinstance(event, Resumed)]
    steps = [event for event in before if isinstance(event, Step)]
    assert resumed.losses == [event.loss for event in steps] == result.losses[:4]
    assert resumed.accuracies == [event.mean_token_accuracy for event in steps]
    assert resumed.epochs == [event.metrics for event in before if isinstance(event, Checkpoint)]
    assert [event.step for event in events if isinstance(event, Step)] == list(range(5, STEPS + 1))


def test_a_run_that_is_asked_to_pause_saves_its_state_at_the_next_step(runs: Runs) -> None:
    events: list[Event] = []
    with pytest.raises(RunPaused) as caught:
        runs.start(events.append, seconds=60, wants_pause=lambda: sum(isinstance(event, Step) for event in events) >= 5)
    assert caught.value.step == 5
    assert isinstance(events[-1], Saved)
    more: list[Event] = []
    runs.start(more.append)
    assert resumed_at(more) == [5]


@pytest.mark.parametrize("damage", ["cut", "words", "other"])
def test_a_state_that_cannot_be_used_is_told_and_the_run_starts_over(runs: Runs, damage: str) -> None:
    runs.kill(Saved, 2)
    if damage == "cut":
        runs.file.write_bytes(runs.file.read_bytes()[:-100])
    elif damage == "words":
        runs.file.write_text("no state")
    events = runs.kill(Step, 1, run="two" if damage == "other" else "one")
    assert [event.code for event in events if isinstance(event, Notice)] == ["state_unusable"]
    assert not resumed_at(events)


def test_a_worker_with_less_memory_goes_on_in_smaller_parts(runs: Runs) -> None:
    runs.kill(Saved, 4)
    events: list[Event] = []
    result, _ = runs.start(events.append, recipe=msgspec.structs.replace(DROPOUT, micro_batch_tokens=64))
    assert resumed_at(events) == [4]
    assert len(result.losses) == STEPS


def test_the_state_is_plain_numbers_and_json(runs: Runs) -> None:
    runs.kill(Saved, 4)
    with safe_open(runs.file, framework="pt") as opened:
        state: Any = opened
        metadata, names = state.metadata(), set(state.keys())
    progress = json.loads(metadata["braid.state.3"])["progress"]
    assert (progress["epoch"], progress["batch"], len(progress["losses"])) == (1, 1, 4)
    assert {"weights.0", "epoch.3.0", "optimizer.0.exp_avg", "optimizer.0.exp_avg_sq"} <= names


def test_a_state_that_cannot_be_written_ends_the_run_with_a_reason(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    runs.file = tmp_path / "file" / "state"
    with pytest.raises(TrainingError, match="can't be saved") as caught:
        runs.start(lambda _: None)
    assert caught.value.code == "output_unwritable"


@contextmanager
def program(tmp_path: Path, base_model: Path, rows: Path, recipe: Recipe, *options: str) -> Iterator[Any]:
    spec = TrainSpec(base_model=str(base_model), rows=RowsFile(str(rows)), recipe=recipe)
    (tmp_path / "spec").write_bytes(msgspec.json.encode(spec))
    arguments = ["--out", str(tmp_path / "out"), "--state", str(tmp_path / "state"), *options]
    command = [sys.executable, "-m", "training", "run", str(tmp_path / "spec"), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_program_goes_on_with_the_same_curve(base_model: Path, rows: Path, tmp_path: Path) -> None:
    """SIGKILL at a random step; a new process goes on."""
    expected: list[Event] = []
    spec = TrainSpec(base_model=str(base_model), rows=RowsFile(str(rows)), recipe=DROPOUT)
    run(spec, tmp_path / "whole", expected.append)
    fatal = random.randint(2, STEPS - 1)
    with program(tmp_path, base_model, rows, DROPOUT, "--save-seconds", "0") as process:
        for line in process.stdout:
            event = decode_event(line)
            if isinstance(event, Step) and event.step == fatal:
                process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with program(tmp_path, base_model, rows, DROPOUT, "--save-seconds", "0") as process:
        events = [decode_event(line) for line in process.stdout]
        assert process.wait() == 0
    assert resumed_at(events), fatal
    assert isinstance(events[-1], Finished)
    assert isinstance(expected[-1], Finished)
    (dtype,) = {event.dtype for event in expected if isinstance(event, Started)}
    exact = 1e-6 if dtype == "float32" else 1e-3
    assert events[-1].manifest.losses == pytest.approx(expected[-1].manifest.losses, rel=exact), fatal
    assert not list(tmp_path.glob("out.*"))
    assert not list(tmp_path.glob("state*"))


def test_the_program_pauses_at_a_signal(base_model: Path, rows: Path, tmp_path: Path) -> None:
    with program(tmp_path, base_model, rows, msgspec.structs.replace(RECIPE, epochs=100_000)) as process:
        events: list[Event] = []
        for line in process.stdout:
            events.append(decode_event(line))
            if isinstance(events[-1], Step) and events[-1].step == 3:
                process.send_signal(signal.SIGUSR1)
        assert process.wait() == 0
    assert isinstance(events[-1], Paused)
    assert (tmp_path / "state").exists()
    assert not list(tmp_path.glob("out*"))


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_saves_come_each_quarter_of_an_epoch_or_minute_and_take_little_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("training.state.time.monotonic", clock)
    cost = 0.0

    def save_slowly(*_: object, **__: object) -> None:
        clock.now += cost
        (tmp_path / "state.partial").write_bytes(b"")

    monkeypatch.setattr("training.state.save_file", save_slowly)

    def simulate(steps: int, seconds: float, each: float, batches: int) -> tuple[list[int], float]:
        nonlocal cost
        clock.now, cost = 0.0, each
        saved: list[int] = []
        spent = 0.0

        def receive(event: Event) -> None:
            nonlocal spent
            assert isinstance(event, Saved)
            saved.append(event.step)
            spent += event.seconds

        keeper = StateKeeper(StateFile(tmp_path / "state"), "run", receive)
        progress = RunProgress()
        for _ in range(steps):
            clock.now += seconds
            progress.losses.append(1.0)
            keeper.save_if_due(progress, batches, dict)
        return saved, spent / clock.now

    # 100 steps of a second per epoch: each quarter of it.
    assert simulate(200, 1, 0.1, 100) == ([25, 50, 75, 100, 125, 150, 175, 200], pytest.approx(0.004, abs=1e-4))
    # Long epochs: each minute.
    assert simulate(240, 1, 0.1, 10_000)[0] == [60, 120, 180, 240]
    # Tiny steps, and saves that take as long as one: no more than 2 % of the time.
    saved, share = simulate(1000, 0.01, 0.01, 4)
    assert saved
    assert share < 0.03
    # A large model on a slow disk: rarer than each minute.
    saved, share = simulate(600, 1, 3, 10_000)
    assert len(saved) >= 3
    assert share < 0.03
