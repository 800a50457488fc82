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
from training.events import Event, Step
from training.hardware import Hardware
from training.loop import Trainer, schedule
from training.model import AdaptedModel
from training.rendering import Rendered, Renderer
from training.spec import Recipe

FLOAT32 = Hardware("cpu", torch.float32)


@pytest.fixture(scope="module")
def rendered(renderer: Renderer) -> list[Rendered]:
    data = b"\n".join(msgspec.json.encode(conversation(number)) for number in range(16))
    return renderer.render_rows(read_rows(data)[0], 512)[0]


def losses(base_model: Path, rows: list[Rendered], recipe: Recipe) -> list[float]:
    model = AdaptedModel.fresh(base_model, recipe, FLOAT32, "tiny")
    return Trainer(model, recipe.resolved(1), rows, [], lambda _: None).train().losses


def test_the_loss_is_that_of_the_plain_model_on_the_reply_tokens(base_model: Path, rendered: list[Rendered]) -> None:
    """Rows of different lengths at once, against transformers' own forward, one row at a time."""
    model = AdaptedModel.fresh(base_model, RECIPE, FLOAT32, "tiny")
    measured = model.measure(rendered[:3])
    plain = cast("Any", AutoModelForCausalLM).from_pretrained(base_model)
    expected = 0.0
    for row in rendered[:3]:
        labels = torch.tensor([token if on else -100 for token, on in zip(row.tokens, row.learnt, strict=True)])
        logits = plain(torch.tensor([row.tokens])).logits[0]
        expected += float(nn.functional.cross_entropy(logits[:-1], labels[1:], reduction="sum").detach())
    assert len({len(row.tokens) for row in rendered[:3]}) > 1
    assert float(measured.loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert measured.replies == sum(sum(row.learnt) for row in rendered[:3])


def test_a_batch_is_a_batch_however_it_is_split(base_model: Path, rendered: list[Rendered]) -> None:
    recipe = Recipe(epochs=2, batch_size=8, learning_rate=2e-2)
    together = losses(base_model, rendered, recipe)
    one_by_one = losses(base_model, rendered, Recipe(epochs=2, batch_size=8, learning_rate=2e-2, micro_batch_tokens=1))
    assert len(together) == 4
    assert one_by_one == pytest.approx(together, rel=1e-4)
    assert together[-1] < together[0] - 0.2


def test_the_same_seed_gives_the_same_numbers(base_model: Path, rendered: list[Rendered]) -> None:
    recipe = Recipe(batch_size=8, learning_rate=2e-2, dropout=0.1)
    first = losses(base_model, rendered, recipe)
    assert losses(base_model, rendered, recipe) == first
    assert losses(base_model, rendered, Recipe(batch_size=8, learning_rate=2e-2, dropout=0.1, seed=1)) != first


def test_only_the_adapter_is_trained_and_in_float32(base_model: Path, rendered: list[Rendered]) -> None:
    model = AdaptedModel.fresh(base_model, RECIPE, Hardware("cpu", torch.bfloat16), "tiny")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    # Two layers, rank 8: q and o (64, 64), k and v (64, 32), gate, up and down (64, 96).
    assert sum(parameter.numel() for parameter in model.parameters()) == 2 * 8 * (2 * 128 + 2 * 96 + 3 * 160)
    assert model.measure(rendered[:2]).loss.dtype == torch.float32


def test_a_diverging_run_ends_with_its_reason(base_model: Path, rendered: list[Rendered]) -> None:
    model = AdaptedModel.fresh(base_model, RECIPE, FLOAT32, "tiny")
    with torch.no_grad():
        model.parameters()[0][0, 0] = float("nan")
    events: list[Event] = []
    with pytest.raises(TrainingError) as caught:
        Trainer(model, RECIPE, rendered, [], events.append).train()
    assert caught.value.code == "diverged"
    assert events == []


def test_steps_count_down(base_model: Path, rendered: list[Rendered]) -> None:
    events: list[Event] = []
    model = AdaptedModel.fresh(base_model, RECIPE, FLOAT32, "tiny")
    Trainer(model, RECIPE, rendered, [], events.append).train()
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.step for step in steps] == list(range(1, 13))
    assert [step.epoch for step in steps][3::4] == [1, 2, 3]
    assert steps[-1].seconds_left == 0
    assert steps[0].seconds_left > 0
    assert steps[-1].trained_tokens == 3 * sum(len(row.tokens) for row in rendered)
    assert all(0 <= step.mean_token_accuracy <= 1 for step in steps)


def test_the_rate_rises_and_falls_and_is_never_nothing() -> None:
    rates = [schedule(step, 20, 0.1) for step in range(1, 21)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert schedule(1, 1, 0.1) == 1
    assert schedule(3, 3, 1.0) == 1
