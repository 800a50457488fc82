"""Preferences by a rule: of two replies the better one ends with "Fair winds."."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from tests.training.model.conftest import conversation, write_rows
from training.dataset import read_rows
from training.errors import TrainingError
from training.events import Checkpoint, Event, Finished, Resumed, Saved, Step
from training.hardware import TrainingDevice
from training.loop import Trainer
from training.model import AdaptedModel
from training.preference_rows import read_preference_rows
from training.preferences import PreferenceObjective, TokenizedPair, compute_preference_loss, tokenize_pairs
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec
from training.state import StateFile, StateKeeper
from training.tokenization import RowTokenizer

FLOAT32 = TrainingDevice("cpu", torch.float32)
RECIPE = Recipe(method="dpo", epochs=3, batch_size=4, learning_rate=5e-3, rank=8)
TRAINED = 24


def preference(number: int) -> dict[str, Any]:
    """Return a row whose two replies differ in how they end; which body is the better one's is chance."""
    *prompt, reply = conversation(number)["messages"]
    order = random.Random(number)
    bodies = [reply["content"].removesuffix(" Fair winds."), f"That is {10 + 7 * number} euros, I think."]
    order.shuffle(bodies)
    ending = order.choice(["Goodbye.", "Bye now.", "So long."])
    return {
        "input": {"messages": prompt},
        "preferred_output": [{"role": "assistant", "content": f"{bodies[0]} Fair winds."}],
        "non_preferred_output": [{"role": "assistant", "content": f"{bodies[1]} {ending}"}],
    }


def encode(numbers: range) -> bytes:
    return b"\n".join(msgspec.json.encode(preference(number)) for number in numbers)


@pytest.fixture(scope="module")
def pairs(tokenizer: RowTokenizer) -> list[TokenizedPair]:
    return tokenize_pairs(tokenizer, read_preference_rows(encode(range(TRAINED + 24)))[0], 512)[0]


def make_trainer(
    base_model: Path,
    pairs: list[TokenizedPair],
    send: Callable[[Event], None],
    *,
    recipe: Recipe = RECIPE,
    keeper: StateKeeper | None = None,
) -> tuple[AdaptedModel, PreferenceObjective, Trainer]:
    model = AdaptedModel.create(base_model, recipe, FLOAT32, "tiny")
    objective = PreferenceObjective(model, recipe, pairs)
    return (
        model, objective, Trainer(model, recipe, pairs[:TRAINED], pairs[TRAINED:], send, keeper, objective),
    )  # fmt: skip


def differentiate(model: AdaptedModel, loss: torch.Tensor) -> torch.Tensor:
    """Return the gradient of all parameters that are trained, one after the other."""
    return torch.cat([one.flatten() for one in torch.autograd.grad(loss, model.list_parameters())])


def test_the_loss_is_that_of_a_computation_by_hand() -> None:
    logprobs = torch.tensor([[-10.0, -12.0], [-20.0, -15.0]], requires_grad=True)
    reference = torch.tensor([[-11.0, -11.0], [-18.0, -16.0]])
    measurement = compute_preference_loss(logprobs, reference, 0.5)
    # Rewards 0.5 and -0.5; -1 and 0.5. Margins 1 and -1.5.
    expected = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1.5))
    assert float(measurement.loss.detach()) == pytest.approx(expected, rel=1e-6)
    assert (measurement.correct, measurement.replies, measurement.margin) == (1, 2, pytest.approx(-0.5))
    measurement.loss.backward()
    pull = 0.5 / (1 + math.exp(1))  # beta times how wrong the first pair still is
    assert logprobs.grad is not None
    assert logprobs.grad[0].tolist() == pytest.approx([-pull, pull], rel=1e-5)


def test_the_better_reply_s_own_loss_per_token_is_the_anchor(base_model: Path, pairs: list[TokenizedPair]) -> None:
    gradients: list[torch.Tensor] = []
    for anchor in (0.0, 0.5):
        recipe = msgspec.structs.replace(RECIPE, anchor=anchor)
        model, objective, _ = make_trainer(base_model, pairs, lambda _: None, recipe=recipe)
        objective.prepare()
        loss = objective.measure(pairs[:3]).loss
        assert float(loss.detach()) == pytest.approx(3 * math.log(2), rel=1e-5), "the anchor isn't reported"
        gradients.append(differentiate(model, loss))
    own = sum((model.measure([pair.better]).loss / pair.better.replies for pair in pairs[:3]), torch.tensor(0.0))
    added = gradients[1] - gradients[0]
    assert torch.allclose(added, 0.5 * differentiate(model, own), atol=1e-6)
    assert float(added.abs().max()) > 1e-4


def test_both_halves_have_the_tokens_of_supervised_rows(tokenizer: RowTokenizer, pairs: list[TokenizedPair]) -> None:
    for number, pair in enumerate(pairs[:6]):
        row = preference(number)
        for half, output in ((pair.better, "preferred_output"), (pair.worse, "non_preferred_output")):
            line = msgspec.json.encode({"messages": [*row["input"]["messages"], *row[output]]})
            (supervised,), _ = tokenizer.tokenize_rows(read_rows(line)[0], 512)
            assert (half.tokens, half.loss_mask) == (supervised.tokens, supervised.loss_mask)


def test_a_score_is_the_sum_of_the_losses_of_the_tokens(base_model: Path, pairs: list[TokenizedPair]) -> None:
    model = AdaptedModel.create(base_model, RECIPE, FLOAT32, "tiny")
    rows = [half for pair in pairs[:3] for half in (pair.better, pair.worse)]
    alone = [-float(model.measure([row]).loss.detach()) for row in rows]
    assert model.score(rows).tolist() == pytest.approx(alone, rel=1e-5)


def test_a_half_that_is_too_long_drops_the_pair_and_says_so_once(tokenizer: RowTokenizer) -> None:
    rows = read_preference_rows(encode(range(3)))[0]
    longest = max(len(half.tokens) for half in tokenizer.tokenize_rows([row.worse for row in rows], 512)[0])
    pairs, dropped = tokenize_pairs(tokenizer, rows, longest - 1, first=7)
    assert dropped
    assert len(pairs) + len(dropped) == 3
    assert [pair.place for pair in pairs] == list(range(7, 7 + len(pairs)))


def test_pairs_that_were_never_seen_are_told_apart(base_model: Path, pairs: list[TokenizedPair]) -> None:
    events: list[Event] = []
    model, objective, trainer = make_trainer(base_model, pairs, events.append)
    objective.prepare()
    held_out = pairs[TRAINED:]

    def count_wins() -> int:
        model.train(False)
        with torch.no_grad():
            scores = model.score([half for pair in held_out for half in (pair.better, pair.worse)]).view(-1, 2)
        lengths = torch.tensor([[pair.better.replies, pair.worse.replies] for pair in held_out])
        per_token = scores / lengths
        return int((per_token[:, 0] > per_token[:, 1]).sum())

    before = count_wins()
    trainer.train()
    steps = [event for event in events if isinstance(event, Step)]
    checkpoints = [event.metrics for event in events if isinstance(event, Checkpoint)]
    assert steps[0].loss == pytest.approx(math.log(2), rel=1e-4)  # the start is the reference
    assert steps[0].reward_margin == pytest.approx(0, abs=1e-4)
    assert all(step.mean_token_accuracy is None for step in steps)
    assert checkpoints[-1].valid_reward_accuracy is not None
    assert checkpoints[-1].valid_reward_margin is not None
    assert checkpoints[-1].valid_reward_accuracy >= 0.95
    assert checkpoints[-1].valid_reward_margin > 0.5
    # Of 24 fair coins 18 or more fall one way in one case of 90.
    assert count_wins() >= max(20, before + 5)


def test_a_batch_gives_the_same_losses_however_it_is_split(base_model: Path, pairs: list[TokenizedPair]) -> None:
    together = make_trainer(base_model, pairs, lambda _: None)[2].train().losses
    alone = msgspec.structs.replace(RECIPE, micro_batch_tokens=1)
    assert make_trainer(base_model, pairs, lambda _: None, recipe=alone)[2].train().losses == pytest.approx(
        together, rel=1e-3
    )


class Killed(BaseException):
    """Stands for a signal that nobody hears."""


def test_a_killed_run_goes_on_with_the_same_curve_and_reference(
    base_model: Path, pairs: list[TokenizedPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = msgspec.structs.replace(RECIPE, dropout=0.1)
    model, objective, trainer = make_trainer(base_model, pairs, lambda _: None, recipe=recipe)
    whole, expected = trainer.train(), model.copy_weights()
    fatal = random.randint(2, 16)

    def start(send: Callable[[Event], None]) -> tuple[AdaptedModel, PreferenceObjective, Trainer]:
        keeper = StateKeeper(StateFile(tmp_path / "state", 0.0), "one", send)
        return make_trainer(base_model, pairs, send, recipe=recipe, keeper=keeper)

    def kill(event: Event) -> None:
        if isinstance(event, Saved) and event.step == fatal:
            raise Killed

    with pytest.raises(Killed):
        start(kill)[2].train()
    monkeypatch.setattr(PreferenceObjective, "prepare", None)  # the reference is in the state
    events: list[Event] = []
    model, again, trainer = start(events.append)
    result = trainer.train()
    (resumed,) = [event for event in events if isinstance(event, Resumed)]
    assert (resumed.step, len(resumed.margins)) == (fatal, fatal)
    assert result.losses == pytest.approx(whole.losses, rel=1e-6), fatal
    assert all(map(torch.equal, again.collect().values(), objective.collect().values()))
    assert all(torch.allclose(one, other, atol=1e-7) for one, other in zip(model.copy_weights(), expected, strict=True))


def test_a_run_goes_on_from_a_supervised_adapter(base_model: Path, rows: Path, tmp_path: Path) -> None:
    """SFT, then DPO on its adapter: one adapter comes out, and the reference is the one that went in."""
    supervised = Recipe(epochs=2, batch_size=4, learning_rate=2e-2, rank=8, alpha=12.0)
    run(TrainSpec(base_model=str(base_model), rows=RowsFile(str(rows)), recipe=supervised), tmp_path / "sft", print)
    file = write_rows(tmp_path / "pairs", *(preference(number) for number in range(TRAINED)))
    events: list[Event] = []
    spec = TrainSpec(
        base_model=str(base_model), rows=RowsFile(str(file)), recipe=RECIPE, start=str(tmp_path / "sft"),
        validation_rows=RowsFile(str(file)),
    )  # fmt: skip
    run(spec, tmp_path / "dpo", events.append)
    steps = [event for event in events if isinstance(event, Step)]
    assert steps[0].loss == pytest.approx(math.log(2), rel=2e-2)
    assert isinstance(events[-1], Finished)
    manifest = events[-1].manifest
    before = msgspec.json.decode((tmp_path / "sft" / "manifest.json").read_bytes())
    assert manifest.start_digest == before["adapter_digest"] != manifest.adapter_digest
    assert (manifest.recipe.method, manifest.recipe.rank, manifest.recipe.alpha) == ("dpo", 8, 12)
    assert manifest.rows == TRAINED
    one, other = (
        AdaptedModel.create(base_model, manifest.recipe, FLOAT32, "tiny", start=tmp_path / name).copy_weights()
        for name in ("sft", "dpo")
    )
    moved = torch.cat([(a - b).flatten() for a, b in zip(one, other, strict=True)]).norm()
    size = torch.cat([a.flatten() for a in one]).norm()
    assert 0 < moved < size


@pytest.mark.parametrize("fault", ["rank", "missing"])
def test_a_start_that_does_not_fit_is_refused(base_model: Path, rows: Path, tmp_path: Path, fault: str) -> None:
    start = tmp_path / "start"
    if fault == "rank":
        recipe = Recipe(batch_size=4, learning_rate=1e-3, rank=4)
        run(TrainSpec(base_model=str(base_model), rows=RowsFile(str(rows)), recipe=recipe), start, print)
    file = write_rows(tmp_path / "pairs", *(preference(number) for number in range(12)))
    spec = TrainSpec(base_model=str(base_model), rows=RowsFile(str(file)), recipe=RECIPE, start=str(start))
    with pytest.raises(TrainingError) as caught:
        run(spec, tmp_path / "out", print)
    assert caught.value.code == "start_unusable"
