"""A quantised base learns the same whatever is measured with it in between, on any processor."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import bitsandbytes
import msgspec
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.training.model.conftest import RECIPE as REPLIES
from tests.training.model.conftest import conversation
from tests.training.model.test_preferences import RECIPE as PREFERENCES
from tests.training.model.test_preferences import encode
from training.dataset import read_rows
from training.events import Event, Step
from training.hardware import TrainingDevice
from training.loop import Trainer
from training.model import AdaptedModel, load_base
from training.preference_rows import read_preference_rows
from training.preferences import PreferenceObjective, tokenize_pairs
from training.state import StateFile, StateKeeper
from training.tokenization import RowTokenizer

FLOAT32 = TrainingDevice("cpu", torch.float32)
SFT = msgspec.structs.replace(REPLIES, quantization="nf4")
DPO = msgspec.structs.replace(PREFERENCES, quantization="nf4")


@pytest.fixture(scope="module", autouse=True)
def single_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the model is tiny
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=[96, 128], ids=["widths that no kernel packs", "widths that it packs"])
def base(base_model: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    if request.param == 96:
        return base_model
    folder = shutil.copytree(base_model, tmp_path_factory.mktemp("wide") / "base")
    loading: Any = AutoModelForCausalLM
    config = loading.from_pretrained(base_model).config
    config.intermediate_size = request.param
    torch.manual_seed(0)
    loading.from_config(config).save_pretrained(folder)
    return folder


def create(base: Path) -> AdaptedModel:
    return AdaptedModel.create(base, SFT, FLOAT32, "tiny")


def tokenize(base: Path, count: int) -> list[Any]:
    data = b"\n".join(msgspec.json.encode(conversation(number)) for number in range(count))
    return RowTokenizer.load(base).tokenize_rows(read_rows(data)[0], 512)[0]


def compute_gradients(model: AdaptedModel, rows: Sequence[Any]) -> list[torch.Tensor]:
    model.train(True)
    model.measure(rows).loss.backward()
    gradients = [cast("torch.Tensor", parameter.grad).clone() for parameter in model.list_parameters()]
    for parameter in model.list_parameters():
        parameter.grad = None
    return gradients


def test_gradients_after_a_measurement_are_those_before(base: Path) -> None:
    model, rows = create(base), tokenize(base, 4)
    generator = torch.Generator().manual_seed(0)
    model.set_weights([0.02 * torch.randn(one.shape, generator=generator) for one in model.list_parameters()])
    before = compute_gradients(model, rows)
    assert all(bool(one.any()) for one in before)
    model.train(False)
    with torch.no_grad():
        model.measure(rows)
    for one, other in zip(before, compute_gradients(model, rows), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-9)


def test_validation_rows_change_nothing_of_what_is_learnt(base: Path) -> None:
    rows = tokenize(base, 16)
    curves = [
        Trainer(create(base), SFT, rows[:12], validation, lambda _: None).train().losses
        for validation in (rows[12:], [])
    ]
    assert curves[0] == pytest.approx(curves[1], rel=1e-6)
    assert curves[0][-1] < curves[0][0] - 0.2


class Stopped(BaseException):
    """Stands for a signal that nobody hears."""


def test_preferences_are_learnt_alike_after_the_reference_pass_and_after_a_state(base: Path, tmp_path: Path) -> None:
    """A run that begins has scored the reference without gradients just before; one that goes on hasn't."""
    pairs = tokenize_pairs(RowTokenizer.load(base), read_preference_rows(encode(range(16)))[0], 512)[0]

    def start(fatal: int | None, state: Path) -> list[float]:
        def receive(event: Event) -> None:
            if isinstance(event, Step) and event.step == fatal:
                raise Stopped

        model = create(base)
        objective = PreferenceObjective(model, DPO, pairs)
        keeper = StateKeeper(StateFile(state, 0.0), "one", receive)
        return Trainer(model, DPO, pairs[:12], pairs[12:], receive, keeper, objective).train().losses

    whole = start(None, tmp_path / "whole")
    with pytest.raises(Stopped):
        start(3, tmp_path / "state")
    assert start(None, tmp_path / "state") == pytest.approx(whole, rel=1e-6)
    assert whole[-1] < whole[0]


def test_a_run_on_a_quantised_base_goes_on_after_a_validation_with_the_same_curve(base: Path, tmp_path: Path) -> None:
    rows = tokenize(base, 16)

    def start(fatal: int | None, state: Path) -> list[float]:
        def receive(event: Event) -> None:
            if isinstance(event, Step) and event.step == fatal:
                raise Stopped

        keeper = StateKeeper(StateFile(state, 0.0), "one", receive)
        return Trainer(create(base), SFT, rows[:12], rows[12:], receive, keeper).train().losses

    whole = start(None, tmp_path / "whole")
    with pytest.raises(Stopped):
        start(5, tmp_path / "state")  # in the second of three epochs
    assert start(None, tmp_path / "state") == pytest.approx(whole, rel=1e-6)


def test_no_layer_is_packed_for_inference_where_a_processor_could(
    base_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nn: Any = bitsandbytes.nn
    monkeypatch.setattr(nn.modules, "has_avx512bf16", lambda: True)
    assert nn.Linear4bit(64, 64).support_avx512bf16_for_cpu
    packed = [
        layer for layer in load_base(base_model, FLOAT32, quantized=True).modules() if isinstance(layer, nn.Linear4bit)
    ]
    assert len(packed) == 2 * 7
    assert not any(layer.support_avx512bf16_for_cpu for layer in packed)
