"""Adapters as they were at the ends of epochs: whole, proven, bounded in number, and none where nobody wants them."""

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.training.model.conftest import RECIPE, conversation, write_rows
from training.assignment import MOST_CHECKPOINTS
from training.epoch_weights import EpochWeights
from training.errors import TrainingError
from training.events import EpochMetrics, Event, Finished, Notice
from training.loop import Trainer
from training.manifest import digest_adapter, read_manifest
from training.probe import Prober
from training.progress import ReplyTally
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import TrainSpec
from training.verdict import BaseShape, judge

FIVE = msgspec.structs.replace(RECIPE, epochs=5)


def train(base_model: Path, rows: Path, tmp_path: Path, **changes: Any) -> list[Event]:
    spec = TrainSpec(base_model=str(base_model), rows=RowsFile(str(rows)), recipe=FIVE, **changes)
    events: list[Event] = []
    run(spec, tmp_path / "out", events.append, checkpoints=tmp_path / "checkpoints")
    return events


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_epochs_are_adapters_that_pass_the_verdict(base_model: Path, rows: Path, tmp_path: Path) -> None:
    (finished,) = [event for event in train(base_model, rows, tmp_path) if isinstance(event, Finished)]
    whole = finished.manifest
    assert names(tmp_path / "checkpoints") == ["step-12", "step-9"]
    base = BaseShape.read(base_model)
    for step in (9, 12):
        folder = tmp_path / "checkpoints" / f"step-{step}"
        manifest = read_manifest(folder)
        assert manifest.losses == whole.losses[:step]
        assert (manifest.best_step, manifest.rows_digest) == (step, whole.rows_digest)
        assert manifest.trained_tokens == whole.trained_tokens * step / 15
        assert manifest.adapter_digest == digest_adapter(folder) != whole.adapter_digest
        verdict = judge(folder, base, max_rank=RECIPE.rank)
        assert verdict.ok, verdict.reasons
        assert names(folder) == names(tmp_path / "out")
        plain = cast("Any", AutoModelForCausalLM).from_pretrained(base_model, dtype=torch.float32)
        adapted = cast("Any", PeftModel.from_pretrained(plain, str(folder)))
        probe = manifest.probe[0]
        with torch.no_grad():
            logits = adapted(torch.tensor([probe.tokens])).logits[0].log_softmax(-1)
        scored = range(probe.start, len(probe.tokens))
        expected = [float(logits[index - 1, probe.tokens[index]]) for index in scored]
        assert probe.logprobs == pytest.approx(expected, abs=1e-3)
        assert probe.base_logprobs == whole.probe[0].base_logprobs
        assert probe.logprobs != whole.probe[0].logprobs


def test_the_best_epoch_is_the_adapter_and_the_newest_others_are_checkpoints(
    base_model: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([3.0, 1.0, 2.0, 2.0, 2.0])
    measure = Trainer._measure_epoch  # pyright: ignore[reportPrivateUsage]

    def invent(self: Trainer, tally: ReplyTally) -> EpochMetrics:
        return msgspec.structs.replace(measure(self, tally), valid_loss=next(left))

    monkeypatch.setattr(Trainer, "_measure_epoch", invent)
    validation = write_rows(tmp_path / "validation.jsonl", conversation(3))
    train(base_model, rows, tmp_path, validation_rows=RowsFile(str(validation)))
    assert read_manifest(tmp_path / "out").best_step == 6
    assert names(tmp_path / "checkpoints") == ["step-12", "step-15"]


def test_a_checkpoint_that_can_not_be_proven_is_told_and_left_out(
    base_model: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Prober.compute

    def fail(self: Prober, adapter: Path) -> Any:
        if adapter.name == "step-9":
            raise TrainingError("reference_not_finite", "It computes NaN.")
        return compute(self, adapter)

    monkeypatch.setattr(Prober, "compute", fail)
    events = train(base_model, rows, tmp_path)
    assert isinstance(events[-1], Finished)
    (notice,) = [event for event in events if isinstance(event, Notice) and event.code == "checkpoint_left_out"]
    assert notice.message == "The checkpoint of step 9 was left out. It computes NaN."
    assert names(tmp_path / "checkpoints") == ["step-12"]


def test_a_run_that_fails_leaves_no_checkpoints(
    base_model: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise TrainingError("reference_not_finite", "It computes NaN.")

    monkeypatch.setattr(Prober, "compute", fail)
    with pytest.raises(TrainingError):
        train(base_model, rows, tmp_path)
    assert not list(tmp_path.glob("out*"))
    assert not list(tmp_path.glob("checkpoints*"))


@pytest.mark.parametrize(
    ("others", "best", "steps"),
    [
        (MOST_CHECKPOINTS, [None] * 5, [3, 4, 5]),
        (MOST_CHECKPOINTS, [1, 1, 1, 1, 1], [1, 4, 5]),
        (MOST_CHECKPOINTS, [1, 2, 2, 4, 4], [3, 4, 5]),
        (0, [1, 2, 2, 4, 4], [4]),
    ],
)
def test_only_so_many_weights_are_in_memory(others: int, best: list[int | None], steps: list[int]) -> None:
    weights = EpochWeights(others)
    for step, so_far in enumerate(best, 1):
        weights.add(step, [torch.tensor([float(step)])], so_far)
        assert len(weights.steps) <= others + 1
    assert weights.steps == steps
    again = EpochWeights(others)
    again.restore({**weights.collect(), "weights.0": torch.zeros(1)})
    assert again.steps == steps
    assert all(torch.equal(again.get(step)[0], torch.tensor([float(step)])) for step in steps)
