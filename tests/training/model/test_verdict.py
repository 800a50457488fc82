"""Adapters as PEFT itself writes them, under the verdict."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from training.hardware import TrainingDevice
from training.model import load_adapted
from training.run import _adopt_start  # pyright: ignore[reportPrivateUsage]
from training.spec import Recipe
from training.verdict import BaseShape, Verdict, judge


def save(base_model: Path, out: Path, config: PeftConfig, *, touch: bool = True) -> Path:
    model: Any = get_peft_model(cast("Any", AutoModelForCausalLM).from_pretrained(base_model), config)
    if touch:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.01)
    model.save_pretrained(out, save_embedding_layers=False)
    return out


def lora(**changes: Any) -> LoraConfig:
    options: dict[str, Any] = {
        "r": 8,
        "lora_alpha": 16,
        "target_modules": "all-linear",
        "task_type": "CAUSAL_LM",
        **changes,
    }
    return LoraConfig(**options)


def verdict(base_model: Path, adapter: Path) -> Verdict:
    return judge(adapter, BaseShape.read(base_model), max_rank=8, base_names={"tiny-instruct"})


@pytest.mark.parametrize(
    "changes",
    [{}, {"use_rslora": True}, {"target_modules": ["q_proj", "v_proj"]}, {"init_lora_weights": "gaussian"},
     {"layers_to_transform": [1], "target_modules": ["q_proj"]}, {"exclude_modules": ["lm_head"]},
     {"target_modules": r".*\.q_proj"}, {"init_lora_weights": "mica"}, {"exclude_modules": ["k_proj"]}],
)  # fmt: skip
def test_a_plain_lora_of_peft_passes(base_model: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    result = verdict(base_model, save(base_model, tmp_path / "a", lora(**changes)))
    assert result.ok, result.reasons
    assert result.rank == 8


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"r": 9}, {"rank_over_limit"}),
        ({"use_dora": True}, {"unsupported_feature", "unknown_module"}),
        ({"modules_to_save": ["norm"]}, {"unsupported_feature", "unknown_module"}),
        ({"bias": "all"}, {"unsupported_feature"}),
        ({"lora_bias": True}, {"unsupported_feature", "unknown_module"}),
        ({"rank_pattern": {"q_proj": 4}}, {"unsupported_feature", "wrong_shape"}),
        ({"alpha_pattern": {"q_proj": 4}}, {"unsupported_feature"}),
        ({"target_modules": ["embed_tokens", "q_proj"]}, {"unknown_module"}),
        ({"trainable_token_indices": [3]}, {"unsupported_feature", "unknown_module"}),
    ],
)
# PEFT itself warns of some of these; they can be saved all the same.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_lora_that_the_engine_would_not_serve_as_meant_is_refused(
    base_model: Path, tmp_path: Path, changes: dict[str, Any], codes: set[str]
) -> None:
    result = verdict(base_model, save(base_model, tmp_path / "a", lora(**changes)))
    assert {reason.code for reason in result.reasons} == codes


@pytest.mark.parametrize(
    "changes",
    [{"use_rslora": True}, {"target_modules": r".*\.[kq]_proj"}, {"init_lora_weights": "mica"},
     {"layers_to_transform": [1], "target_modules": ["q_proj"]},
     {"exclude_modules": r".*layers\.0.*", "target_modules": ["q_proj"]}],
)  # fmt: skip
def test_an_adapter_is_measured_as_peft_loads_it(base_model: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    adapter = save(base_model, tmp_path / "a", lora(**changes))
    base = cast("Any", AutoModelForCausalLM).from_pretrained(base_model)
    tokens = torch.arange(1, 20)[None]
    plain = base(input_ids=tokens).logits
    meant = PeftModel.from_pretrained(base, str(adapter)).eval()(input_ids=tokens).logits
    measured = load_adapted(base_model, adapter, TrainingDevice("cpu", torch.float32)).eval()(input_ids=tokens).logits
    assert torch.equal(measured, meant)
    assert not torch.allclose(measured, plain, atol=1e-3)


def test_a_pattern_that_takes_hours_is_evaluated_by_nobody(base_model: Path, tmp_path: Path) -> None:
    adapter = save(base_model, tmp_path / "a", lora(target_modules=["q_proj"]))
    config = json.loads((adapter / "adapter_config.json").read_text())
    endless = {"target_modules": r"(([a-z._0-9])+)+!", "exclude_modules": r"(([a-z._0-9])+)+!"}
    (adapter / "adapter_config.json").write_text(json.dumps(config | endless))
    assert verdict(base_model, adapter).modules == ["q_proj"]
    loaded = load_adapted(base_model, adapter, TrainingDevice("cpu", torch.float32))
    adapted = {name for name, module in loaded.named_modules() if hasattr(module, "lora_A")}
    assert {name.rpartition(".")[2] for name in adapted} == {"q_proj"}
    start = _adopt_start(Recipe(rank=8), adapter, BaseShape.read(base_model))
    assert start.target_modules == ["q_proj"]


def test_what_an_adapter_leaves_out_is_not_trained_on_from_there(base_model: Path, tmp_path: Path) -> None:
    adapter = save(base_model, tmp_path / "a", lora(target_modules=["q_proj", "k_proj"], exclude_modules=["k_proj"]))
    assert _adopt_start(Recipe(rank=8), adapter, BaseShape.read(base_model)).target_modules == ["q_proj"]


def test_an_adapter_of_another_method_is_refused(base_model: Path, tmp_path: Path) -> None:
    config = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], task_type="CAUSAL_LM")
    result = verdict(base_model, save(base_model, tmp_path / "a", config))
    assert {"unsupported_feature", "unknown_module"} <= {reason.code for reason in result.reasons}


def test_an_untrained_adapter_is_refused(base_model: Path, tmp_path: Path) -> None:
    result = verdict(base_model, save(base_model, tmp_path / "a", lora(), touch=False))
    assert [reason.code for reason in result.reasons] == ["no_effect"]
