import math
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from tests.training.model.conftest import RECIPE, conversation
from training.dataset import read_rows
from training.errors import TrainingError
from training.events import Checkpoint, EpochMetrics, Event, Step
from training.hardware import TrainingDevice
from training.loop import Trainer, compute_rate_factor
from training.model import AdaptedModel
from training.progress import ReplyTally
from training.spec import Recipe
from training.tokenization import RowTokenizer, TokenizedRow

FLOAT32 = TrainingDevice("cpu", torch.float32)


@pytest.fixture(scope="module")
def rows(tokenizer: RowTokenizer) -> list[TokenizedRow]:
    data = b"\n".join(msgspec.json.encode(conversation(number)) for number in range(16))
    return tokenizer.tokenize_rows(read_rows(data)[0], 512)[0]


def losses(base_model: Path, rows: list[TokenizedRow], recipe: Recipe) -> list[float]:
    model = AdaptedModel.create(base_model, recipe, FLOAT32, "tiny")
    return Trainer(model, recipe.resolve(1), rows, [], lambda _: None).train().losses


def test_the_loss_is_that_of_the_plain_model_on_the_reply_tokens(base_model: Path, rows: list[TokenizedRow]) -> None:
    """Rows of different lengths at once, against transformers' own forward, one row at a time."""
    model = AdaptedModel.create(base_model, RECIPE, FLOAT32, "tiny")
    measurement = model.measure(rows[:3])
    plain = cast("Any", AutoModelForCausalLM).from_pretrained(base_model)
    expected = 0.0
    for row in rows[:3]:
        labels = torch.tensor([token if on else -100 for token, on in zip(row.tokens, row.loss_mask, strict=True)])
        logits = plain(torch.tensor([row.tokens])).logits[0]
        expected += float(nn.functional.cross_entropy(logits[:-1], labels[1:], reduction="sum").detach())
    assert len({len(row.tokens) for row in rows[:3]}) > 1
    assert float(measurement.loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert measurement.replies == sum(sum(row.loss_mask) for row in rows[:3])


def test_a_batch_gives_the_same_losses_however_it_is_split(base_model: Path, rows: list[TokenizedRow]) -> None:
    recipe = Recipe(epochs=2, batch_size=8, learning_rate=2e-2)
    together = losses(base_model, rows, recipe)
    one_by_one = losses(base_model, rows, Recipe(epochs=2, batch_size=8, learning_rate=2e-2, micro_batch_tokens=1))
    assert len(together) == 4
    assert one_by_one == pytest.approx(together, rel=1e-4)
    assert together[-1] < together[0] - 0.2


def test_the_same_seed_gives_the_same_numbers(base_model: Path, rows: list[TokenizedRow]) -> None:
    recipe = Recipe(batch_size=8, learning_rate=2e-2, dropout=0.1)
    first = losses(base_model, rows, recipe)
    assert losses(base_model, rows, recipe) == first
    assert losses(base_model, rows, Recipe(batch_size=8, learning_rate=2e-2, dropout=0.1, seed=1)) != first


def test_only_the_adapter_is_trained_and_in_float32(base_model: Path, rows: list[TokenizedRow]) -> None:
    model = AdaptedModel.create(base_model, RECIPE, TrainingDevice("cpu", torch.bfloat16), "tiny")
    assert {parameter.dtype for parameter in model.list_parameters()} == {torch.float32}
    # Two layers, rank 8: q and o (64, 64), k and v (64, 32), gate, up and down (64, 96).
    assert sum(parameter.numel() for parameter in model.list_parameters()) == 2 * 8 * (2 * 128 + 2 * 96 + 3 * 160)
    assert model.measure(rows[:2]).loss.dtype == torch.float32


def test_a_diverging_run_ends_with_its_reason(base_model: Path, rows: list[TokenizedRow]) -> None:
    model = AdaptedModel.create(base_model, RECIPE, FLOAT32, "tiny")
    with torch.no_grad():
        model.list_parameters()[0][0, 0] = float("nan")
    events: list[Event] = []
    with pytest.raises(TrainingError) as caught:
        Trainer(model, RECIPE, rows, [], events.append).train()
    assert caught.value.code == "diverged"
    assert events == []


def test_steps_count_up_and_their_time_left_goes_down_to_zero(base_model: Path, rows: list[TokenizedRow]) -> None:
    events: list[Event] = []
    model = AdaptedModel.create(base_model, RECIPE, FLOAT32, "tiny")
    Trainer(model, RECIPE, rows, [], events.append).train()
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.step for step in steps] == list(range(1, 13))
    assert [step.epoch for step in steps][3::4] == [1, 2, 3]
    assert steps[-1].seconds_left == 0
    assert steps[0].seconds_left > 0
    assert steps[-1].trained_tokens == 3 * sum(len(row.tokens) for row in rows)
    assert all(step.mean_token_accuracy is not None and 0 <= step.mean_token_accuracy <= 1 for step in steps)


def test_the_last_epoch_ends_with_the_steps_that_were_asked_for(base_model: Path, rows: list[TokenizedRow]) -> None:
    recipe = msgspec.structs.replace(RECIPE, steps=6)
    events: list[Event] = []
    Trainer(AdaptedModel.create(base_model, recipe, FLOAT32, "tiny"), recipe, rows, [], events.append).train()
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.epoch for step in steps] == [0.25, 0.5, 0.75, 1, 1.25, 1.5]
    assert {step.steps for step in steps} == {6}
    assert steps[-1].seconds_left == 0
    checkpoints = [event for event in events if isinstance(event, Checkpoint)]
    assert [(checkpoint.epoch, checkpoint.step) for checkpoint in checkpoints] == [(1, 4), (2, 6)]


@pytest.mark.parametrize(("measured", "best"), [([2.0, 1.0, 3.0], 2), ([3.0, 2.0, 1.0], 3), ([1.0, math.nan, 2.0], 1)])
def test_the_weights_of_the_epoch_with_the_lowest_validation_loss_are_kept(
    base_model: Path,
    rows: list[TokenizedRow],
    monkeypatch: pytest.MonkeyPatch,
    measured: list[float],
    best: int,
) -> None:
    left = iter(measured)
    measure = Trainer._measure_epoch  # pyright: ignore[reportPrivateUsage]

    def invent(self: Trainer, tally: ReplyTally) -> EpochMetrics:
        return msgspec.structs.replace(measure(self, tally), valid_loss=next(left))

    monkeypatch.setattr(Trainer, "_measure_epoch", invent)
    model = AdaptedModel.create(base_model, RECIPE, FLOAT32, "tiny")
    copies: list[list[torch.Tensor]] = []

    def copy(event: Event) -> None:
        if isinstance(event, Checkpoint):
            copies.append(model.copy_weights())

    result = Trainer(model, RECIPE, rows, rows[:2], copy).train()
    assert result.best_step == 4 * best
    assert len(copies) == 3
    for number, weights in enumerate(copies, 1):
        is_same = all(torch.equal(one, other) for one, other in zip(model.copy_weights(), weights, strict=True))
        assert is_same == (number == best)


def test_checkpointing_gives_the_same_losses(base_model: Path, rows: list[TokenizedRow]) -> None:
    model = AdaptedModel.create(base_model, RECIPE, FLOAT32, "tiny", gradient_checkpointing=True)
    recomputed = Trainer(model, RECIPE, rows, [], lambda _: None).train().losses
    assert recomputed == pytest.approx(losses(base_model, rows, RECIPE), rel=1e-4)


def test_the_learning_rate_rises_then_falls_and_never_reaches_zero() -> None:
    rates = [compute_rate_factor(step, 20, 0.1) for step in range(1, 21)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert compute_rate_factor(1, 1, 0.1) == 1
    assert compute_rate_factor(3, 3, 1.0) == 1
