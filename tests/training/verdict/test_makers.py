"""Adapters as the tools of others write them: taken where they can be served as meant, else refused by the key."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.files import Tensors, lora_tensors, write_adapter, write_base
from training.verdict import BaseShape, judge

NEWEST_PEFT: dict[str, Any] = {
    "alora_invocation_tokens": None,
    "alpha_pattern": {},
    "arrow_config": None,
    "auto_mapping": None,
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "init_lora_weights": True,
    "layer_replication": None,
    "layers_pattern": None,
    "layers_to_transform": None,
    "loftq_config": {},
    "lora_bias": False,
    "lora_dropout": 0.05,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "peft_version": "0.21.2",
    "qalora_group_size": 16,
    "rank_pattern": {},
    "revision": None,
    "target_parameters": None,
    "trainable_token_indices": None,
    "use_bdlora": None,
    "use_qalora": False,
    "use_rslora": False,
}
OLDEST_PEFT: dict[str, Any] = {
    "enable_lora": None,
    "fan_in_fan_out": False,
    "init_lora_weights": True,
    "lora_dropout": 0.1,
    "merge_weights": False,
}
UNSLOTH: dict[str, Any] = {
    **NEWEST_PEFT,
    "auto_mapping": {
        "base_model_class": "LlamaForCausalLM",
        "parent_library": "transformers.models.llama",
        "unsloth_fixed": True,
    },
    "base_model_name_or_path": "unsloth/tiny-bnb-4bit",
    "lora_dropout": 0,
}
AXOLOTL: dict[str, Any] = {**NEWEST_PEFT, "base_model_name_or_path": "./models/tiny", "peft_version": "0.17.0"}
FACTORY: dict[str, Any] = {**NEWEST_PEFT, "base_model_name_or_path": "/data/hub/tiny", "use_rslora": True}
REGEX = r"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|up_proj|down_proj).*?)"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseShape:
    more = {f"model.layers.{layer}.self_attn.o_proj.weight": (8, 8) for layer in range(2)}
    return write_base(tmp_path_factory.mktemp("base") / "tiny", more=more)


@pytest.mark.parametrize(
    "config",
    [
        NEWEST_PEFT,
        OLDEST_PEFT,
        UNSLOTH,
        AXOLOTL,
        FACTORY,
        {**NEWEST_PEFT, "init_lora_weights": "eva", "eva_config": {"rho": 2}},
        {**NEWEST_PEFT, "init_lora_weights": "mica"},
        {**UNSLOTH, "target_modules": REGEX},
        {**NEWEST_PEFT, "target_modules": ["q_proj", "up_proj", "down_proj", "o_proj"], "exclude_modules": ["o_proj"]},
        {**NEWEST_PEFT, "target_modules": ["q_proj", "up_proj", "down_proj", "o_proj"], "exclude_modules": ".*o_proj"},
    ],
    ids=[
        "PEFT 0.21",
        "PEFT 0.2",
        "Unsloth",
        "Axolotl",
        "LLaMA-Factory",
        "EVA",
        "MiCA",
        "Unsloth on a base that sees",
        "names left out",
        "a pattern left out",
    ],
)
@pytest.mark.case("adapter-weight-names")
def test_an_adapter_of_another_maker_is_taken(tmp_path: Path, base: BaseShape, config: dict[str, Any]) -> None:
    verdict = judge(write_adapter(tmp_path / "a", **config), base, max_rank=16, base_names=("acme/tiny",))
    assert verdict.ok, verdict.reasons


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern). Engines take their keys for regular expressions"),
        ({"alpha_pattern": {"q_proj": 64}}, "alpha_pattern). Engines take their keys for regular expressions"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head", "embed_tokens"]}, "modules_to_save"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"lora_bias": True}, "lora_bias"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa', which changes the base's own weights"),
        ({"init_lora_weights": "lora_ga"}, "init_lora_weights 'lora_ga', which changes the base's own weights"),
        ({"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}}, "init_lora_weights 'loftq', which changes"),
        ({"alora_invocation_tokens": [5]}, "alora_invocation_tokens"),
        ({"use_qalora": True}, "use_qalora"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.case("adapter-config-unserved")
def test_a_feature_that_the_engine_does_not_apply_is_refused_by_its_key(
    tmp_path: Path, base: BaseShape, config: dict[str, Any], key: str
) -> None:
    verdict = judge(write_adapter(tmp_path / "a", **NEWEST_PEFT | config), base, max_rank=16, base_names=("tiny",))
    (reason,) = [reason for reason in verdict.reasons if reason.code == "unsupported_feature"]
    assert key in reason.message


def renamed(old: str, new: str) -> Tensors:
    return {name.replace(old, new): tensor for name, tensor in lora_tensors().items()}


@pytest.mark.parametrize(
    ("tensors", "example"),
    [
        (renamed("lora_A.weight", "lora_A.default.weight"), "lora_A.default.weight"),
        (renamed("base_model.model.model.", "model."), "model.layers.0.self_attn.q_proj.lora_A.weight"),
        (renamed("model.layers.", "model.language_model.layers."), "language_model"),
        (
            lora_tensors() | {"base_model.model.lm_head.lora_A.weight": lora_tensors().popitem()[1]},
            "base_model.model.lm_head.lora_A.weight",
        ),
    ],
    ids=["the name of the adapter in them", "no prefix", "another model's stack", "the head"],
)
@pytest.mark.case("adapter-weight-names")
def test_weights_under_names_that_the_engine_would_pass_over_are_named(
    tmp_path: Path, base: BaseShape, tensors: Tensors, example: str
) -> None:
    verdict = judge(write_adapter(tmp_path / "a", tensors), base, max_rank=16, base_names=("tiny",))
    (reason,) = [reason for reason in verdict.reasons if reason.code == "unknown_module"]
    assert example in reason.message


@pytest.mark.parametrize(
    "name",
    [
        "C:\\models\\tiny",
        "D:\\models\\tiny\\",
        "/root/.cache/huggingface/hub/models--acme--tiny/snapshots/0a1b2c",
        "models--acme--tiny/snapshots/0a1b2c/",
        "C:\\hub\\models--tiny\\snapshots\\0a1b2c",
        "/data/tiny/",
        "acme/tiny",
    ],
)
def test_a_path_to_the_base_is_a_name_of_it(tmp_path: Path, base: BaseShape, name: str) -> None:
    adapter = write_adapter(tmp_path / "a", base_model_name_or_path=name)
    assert judge(adapter, base, max_rank=16, base_names=("acme/tiny",)).notes == []


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("adapter_model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("adapter_config.json", '{"fine_tune_type": "lora", "lora_parameters": {"rank": 8, "scale": 20.0}}', "MLX's"),
    ],
)
def test_what_is_no_adapter_of_peft_is_called_by_its_name(
    tmp_path: Path, base: BaseShape, file: str, content: str, words: str
) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / file).write_text(content)
    (reason,) = judge(adapter, base, max_rank=16, base_names=("tiny",)).reasons
    assert words in reason.message
