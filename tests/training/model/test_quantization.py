"""Adapters that are trained on a base in 4 bits, by bitsandbytes' kernels for the processor, and proven on the base."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from tests.training.model.conftest import RECIPE, Train
from training.errors import TrainingError
from training.events import Event, Finished, Started
from training.hardware import TrainingDevice
from training.manifest import BaseQuantization, Manifest
from training.memory_plan import GIB, Load, forecast_memory
from training.model import AdaptedModel
from training.model_size import ModelSize, read_model_size
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import TrainSpec
from training.verdict import BaseShape, judge

NF4 = msgspec.structs.replace(RECIPE, quantization="nf4")


def manifest_of(events: list[Event]) -> Manifest:
    assert isinstance(events[-1], Finished)
    return events[-1].manifest


def test_an_adapter_is_trained_on_a_quantised_base_and_proven_on_the_base_that_is_served(
    base_model: Path, train: Train, tmp_path: Path
) -> None:
    events = train("quantised", NF4)
    manifest, plain = manifest_of(events), manifest_of(train("plain"))
    (started,) = [event for event in events if isinstance(event, Started)]
    assert manifest.base_quantization == BaseQuantization(
        kind="nf4", compute_dtype=started.dtype, double_quantization=True
    )
    assert plain.base_quantization is None
    assert manifest.recipe.quantization == "nf4"
    assert "bitsandbytes" in manifest.versions
    # Another base was trained on, a little, and it was learnt from all the same.
    assert manifest.losses[0] == pytest.approx(plain.losses[0], rel=0.05)
    assert manifest.losses[0] != pytest.approx(plain.losses[0], rel=1e-6)
    assert manifest.losses[-1] < manifest.losses[0] - 0.2
    # The proof is of the base as it is: without the adapter it says what it says in any proof.
    assert [probe.base_logprobs for probe in manifest.probe] == [probe.base_logprobs for probe in plain.probe]
    assert manifest.base_digest == plain.base_digest
    assert judge(tmp_path / "quantised", BaseShape.read(base_model), max_rank=16).ok


def test_the_layers_are_packed_and_the_rest_is_as_it_was(base_model: Path) -> None:
    model = AdaptedModel.create(base_model, NF4, TrainingDevice("cpu", torch.float32), "tiny")
    inner: Any = model._model  # pyright: ignore[reportPrivateUsage]
    weights = {name: weight.dtype for name, weight in inner.named_parameters()}
    packed = [name for name, dtype in weights.items() if dtype == torch.uint8]
    assert len(packed) == 2 * 7  # all linears of two layers
    assert all(dtype == torch.float32 for name, dtype in weights.items() if name not in packed)
    assert {parameter.dtype for parameter in model.list_parameters()} == {torch.float32}


def test_the_plan_counts_packed_weights(base_model: Path) -> None:
    size = read_model_size(base_model, BaseShape.read(base_model), "all-linear")
    per_layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96
    assert (size.quantizable, size.largest_linear) == (2 * per_layer, 64 * 96)
    shape = {"layers": 28, "hidden": 3584, "vocabulary": 152_064, "inputs": 40_000, "outputs": 50_000}
    large = ModelSize(
        **shape,
        parameters=7_615_000_000,
        widest=18_944,
        adapter_linears=7,
        adapter_width=2_500_000,
        quantizable=6_525_000_000,
        largest_linear=3584 * 18_944,
    )
    forecasts = [
        forecast_memory(
            large,
            Load(2048, 500),
            rank=16,
            item_bytes=2,
            dropout=False,
            gradient_checkpointing=True,
            quantized=quantized,
        )
        for quantized in (False, True)
    ]
    assert forecasts[0].weights / GIB == pytest.approx(14.2, abs=0.1)
    assert forecasts[1].weights / GIB == pytest.approx(5.2, abs=0.1)  # 3.1 of them packed, the rest of the words
    assert forecasts[1].activations == forecasts[0].activations


@pytest.mark.parametrize("cause", ["missing", "unable"])
def test_where_the_base_can_not_be_quantised_a_run_is_refused_before_it_reads_a_row(
    base_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    def fail(device: str) -> None:
        raise NotImplementedError(f"no kernel for {device}")

    if cause == "missing":
        monkeypatch.setattr("training.quantization.find_spec", lambda _: None)
    else:
        monkeypatch.setattr("training.quantization._try_quantization", fail)
    spec = TrainSpec(base_model=str(base_model), rows=RowsFile(str(tmp_path / "nowhere")), recipe=NF4)
    with pytest.raises(TrainingError) as caught:
        run(spec, tmp_path / "out", lambda _: None, device="cpu")
    assert caught.value.code == "quantization_unavailable"
    expected = "make env-model" if cause == "missing" else "no kernel for cpu"
    assert expected in caught.value.message
    assert "Leave quantization out of braid.recipe" in caught.value.message
    assert not (tmp_path / "out").exists()
