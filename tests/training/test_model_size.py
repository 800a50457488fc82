"""The sizes of models whose layers aren't all alike, from made-up headers."""

import json
from pathlib import Path

import pytest

from training.checkpoint import CheckpointUnreadable
from training.model_size import read_model_size
from training.verdict import BaseShape

Shapes = dict[str, tuple[int, int]]
ATTENTION: Shapes = {"self_attn.q_proj": (64, 32), "self_attn.v_proj": (16, 32), "self_attn.o_proj": (32, 64)}
GATED: Shapes = {"gate_proj": (96, 32), "up_proj": (96, 32), "down_proj": (32, 96)}


def base(linears: Shapes, parameters: int = 1000) -> BaseShape:
    return BaseShape(digest="", chat_template_digest="", linears=linears, parameters=parameters)


def stack(prefix: str, layers: int, linears: Shapes) -> Shapes:
    return {f"{prefix}.{layer}.{name}": shape for layer in range(layers) for name, shape in linears.items()}


def write_config(folder: Path, **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps({"vocab_size": 500, **config}))
    return folder


def test_a_decoder_is_measured_by_its_linears(tmp_path: Path) -> None:
    linears = stack("model.layers", 3, ATTENTION | {f"mlp.{name}": shape for name, shape in GATED.items()})
    size = read_model_size(write_config(tmp_path), base(linears), "all-linear")
    assert (size.parameters, size.layers, size.hidden, size.vocabulary) == (1000, 3, 32, 500)
    assert (size.inputs, size.outputs, size.widest, size.adapter_linears) == (288, 336, 96, 6)
    assert size.adapter_width == 3 * (288 + 336)


def test_only_modules_with_an_adapter_copy_their_inputs(tmp_path: Path) -> None:
    linears = stack("model.layers", 2, ATTENTION)
    size = read_model_size(write_config(tmp_path), base(linears), ["q_proj", "v_proj"])
    assert (size.inputs, size.outputs, size.adapter_linears, size.adapter_width) == (64, 112, 2, 2 * (64 + 80))


def test_a_tower_that_sees_is_left_out(tmp_path: Path) -> None:
    text = stack("model.language_model.layers", 2, ATTENTION)
    vision = stack("model.vision_tower.encoder.layers", 9, {"fc1": (8, 8)})
    size = read_model_size(write_config(tmp_path), base(text | vision), "all-linear")
    assert (size.layers, size.adapter_linears) == (2, 3)


def test_a_token_goes_through_few_experts_and_every_expert_has_an_adapter(tmp_path: Path) -> None:
    experts = {f"mlp.experts.{number}.{name}": shape for number in range(8) for name, shape in GATED.items()}
    linears = stack("model.layers", 2, ATTENTION | experts)
    size = read_model_size(write_config(tmp_path, num_experts_per_tok=2), base(linears), "all-linear")
    assert size.adapter_linears == 3 + 2 * 3
    assert size.inputs == 128 + 2 * 160
    assert size.adapter_width == 2 * (128 + 112 + 8 * (160 + 224))


def test_a_model_without_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match="no layers"):
        read_model_size(write_config(tmp_path), base({"classifier": (2, 32)}), "all-linear")
