"""The forecast against what autograd really saves, for models of several families."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    LlamaConfig,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from training.hardware import TrainingDevice
from training.memory_plan import Load, forecast_memory
from training.model import AdaptedModel
from training.model_size import read_model_size
from training.spec import Recipe
from training.tokenization import TokenizedRow
from training.verdict import BaseShape

TOKENS, REPLIES = 512, 128
SHAPE = {
    "vocab_size": 3000,
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}
FAMILIES: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**cast("Any", SHAPE)),
    "qwen2": lambda: Qwen2Config(**cast("Any", SHAPE)),
    "qwen3": lambda: Qwen3Config(**cast("Any", SHAPE), head_dim=32),
    "gemma2": lambda: Gemma2Config(**cast("Any", SHAPE), head_dim=32),
    "phi3": lambda: Phi3Config(**cast("Any", SHAPE)),
}


def measure_saved(model: AdaptedModel) -> int:
    """Return the bytes of the different storages that a forward pass keeps for the backward pass."""
    inner: Any = model._model  # pyright: ignore[reportPrivateUsage]
    own = {tensor.untyped_storage().data_ptr() for tensor in [*inner.parameters(), *inner.buffers()]}
    saved: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        pointer = tensor.untyped_storage().data_ptr()
        if pointer not in own:
            saved[pointer] = tensor  # which keeps its memory from being used again
        return tensor

    row = TokenizedRow(1, list(range(TOKENS)), [False] * (TOKENS - REPLIES) + [True] * REPLIES)
    model.train(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.measure([row])
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_forecast_is_what_a_pass_saves_and_not_much_more(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    cast("Any", AutoModelForCausalLM).from_config(FAMILIES[family]()).save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    size = read_model_size(tmp_path, BaseShape.read(tmp_path), "all-linear")
    assert (size.layers, size.hidden, size.vocabulary) == (6, 256, 3000)
    model = AdaptedModel.create(tmp_path, Recipe(), TrainingDevice("cpu", dtype), "x")
    trained = sum(parameter.numel() for parameter in model.list_parameters())
    assert size.adapter_width * 16 == trained
    load, item = Load(TOKENS, REPLIES), dtype.itemsize
    forecast = forecast_memory(size, load, rank=16, item_bytes=item, dropout=False, gradient_checkpointing=False)
    assert 1.0 <= (forecast.activations + forecast.logits) / measure_saved(model) <= 1.8


def test_a_checkpointed_pass_saves_little(tmp_path: Path) -> None:
    cast("Any", AutoModelForCausalLM).from_config(FAMILIES["llama"]()).save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    hardware = TrainingDevice("cpu", torch.bfloat16)
    saved = [
        measure_saved(AdaptedModel.create(tmp_path, Recipe(), hardware, "x", gradient_checkpointing=on))
        for on in (False, True)
    ]
    assert saved[1] * 10 < saved[0]
