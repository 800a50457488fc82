"""Bases whose modules have other names in memory than in their files, or that no adapter can be trained on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file  # pyright: ignore[reportUnknownVariableType]

from tests.training import chat_templates as templates
from tests.training.model.conftest import conversation, write_rows
from tests.training.model.tiny import llama_config, write_checkpoint, write_tokenizer
from training.dataset import Message
from training.errors import TrainingError
from training.events import Event, Finished
from training.manifest import Manifest
from training.module_names import choose_modules
from training.probe import Prober, write_reference
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec
from training.tokenization import RowTokenizer
from training.verdict import BaseShape, judge

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 259,
    "head_dim": 8,
    "max_position_embeddings": 1024,
}
SEEING: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}
GDN = {
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "full_attention_interval": 2,
}
EYES = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 4,
    "out_hidden_size": 32,
    "num_position_embeddings": 16,
}
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
MLP = {"gate_proj", "up_proj", "down_proj"}


def make_gemma() -> Any:
    config = transformers.Gemma3Config(text_config=dict(TEXT), vision_config=dict(SEEING), mm_tokens_per_image=4)
    return transformers.Gemma3ForConditionalGeneration(config)


def make_qwen() -> Any:
    config = transformers.Qwen3_5Config(text_config=TEXT | GDN, vision_config=dict(EYES))
    return transformers.Qwen3_5ForConditionalGeneration(config)


def make_moe() -> Any:
    config = transformers.Qwen3MoeConfig(
        **TEXT, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2, decoder_sparse_step=1
    )
    return transformers.Qwen3MoeForCausalLM(config)


BASES = {
    "gemma3": (make_gemma, "language_model.model.layers.", ATTENTION | MLP),
    "qwen3_5": (
        make_qwen,
        "model.language_model.layers.",
        ATTENTION | MLP | {"in_proj_qkv", "in_proj_z", "in_proj_a", "in_proj_b", "out_proj"},
    ),
    "qwen3_moe": (make_moe, "model.layers.", ATTENTION),
}


def write_base(directory: Path, name: str) -> Path:
    torch.manual_seed(0)
    BASES[name][0]().save_pretrained(directory)
    write_tokenizer(directory, templates.PLAIN)
    return directory


def train(base: Path, folder: Path, **changes: Any) -> Manifest:
    rows = write_rows(folder / "rows.jsonl", *(conversation(number) for number in range(12)))
    fields = {"steps": 2, "batch_size": 6, "rank": 4, "learning_rate": 1e-2, **changes}
    events: list[Event] = []
    spec = TrainSpec(base_model=str(base), rows=RowsFile(str(rows)), recipe=Recipe(**fields))
    run(spec, folder / "out", events.append)
    assert isinstance(events[-1], Finished)
    return events[-1].manifest


@pytest.mark.parametrize("name", BASES)
def test_an_adapter_has_the_names_of_the_bases_files_and_is_proven_under_them(name: str, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", name)
    _, prefix, modules = BASES[name]
    manifest = train(base, tmp_path)
    verdict = judge(tmp_path / "out", BaseShape.read(base), max_rank=16)
    assert verdict.ok, verdict.reasons
    assert set(verdict.modules) == modules, "the language model's layers, and nothing that sees or chooses experts"
    assert set(json.loads((tmp_path / "out" / "adapter_config.json").read_bytes())["target_modules"]) == modules
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert all(tensor.startswith(f"base_model.model.{prefix}") for tensor in tensors)
    assert all(probe.logprobs != probe.base_logprobs for probe in manifest.probe), "the adapter was read back"
    # As an import: the same files without the manifest get a reference of their own.
    (tmp_path / "out" / "manifest.json").unlink()
    write_reference(base, tmp_path / "out", tmp_path / "reference.json")
    reference = json.loads((tmp_path / "reference.json").read_bytes())
    assert all(probe["logprobs"] != probe["base_logprobs"] for probe in reference["probe"])


def refuse(base: Path, folder: Path, **changes: Any) -> TrainingError:
    def load(*_: object) -> None:
        raise AssertionError("the weights were loaded before the refusal")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.model.load_base", load)
        with pytest.raises(TrainingError) as caught:
            train(base, folder, **changes)
    assert not (folder / "out").exists()
    return caught.value


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "compressed-tensors", "bitsandbytes"])
def test_a_quantised_base_is_refused_by_its_method(method: str, tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", templates.PLAIN)
    config = json.loads((base / "config.json").read_bytes())
    (base / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": method}}))
    error = refuse(base, tmp_path)
    assert error.code == "unsupported_base_model"
    assert f"quantised ({method})" in error.message


def test_an_adapter_that_overflows_in_the_engines_type_has_a_reason(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", templates.PLAIN)
    train(base, tmp_path)
    config = json.loads((base / "config.json").read_bytes())
    (tmp_path / "out" / "manifest.json").unlink()
    file = tmp_path / "out" / "adapter_model.safetensors"
    # Finite in float32; in float16 the product of the two is not.
    large = {name: torch.full_like(tensor, 90.0) for name, tensor in load_file(file).items()}
    save_file(large, file, metadata={"format": "pt"})
    write_reference(base, tmp_path / "out", tmp_path / "float32.json")
    (base / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    with pytest.raises(TrainingError, match="in float16") as caught:
        write_reference(base, tmp_path / "out", tmp_path / "float16.json")
    assert caught.value.code == "reference_not_finite"
    assert not (tmp_path / "float16.json").exists()
    write_reference(base, tmp_path / "out", tmp_path / "option.json", engine_dtype="bfloat16")
    (base / "config.json").write_text(json.dumps(config))
    for dtype in ("half", "float16"):
        with pytest.raises(TrainingError, match="in float16"):
            write_reference(base, tmp_path / "out", tmp_path / "float16.json", engine_dtype=dtype)


def test_a_look_at_float16_leaves_the_references_as_they_are(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", templates.PLAIN)
    train(base, tmp_path)
    tokenizer = RowTokenizer.load(base)
    tokens = tokenizer.tokenize(1, [Message("user", "Hi"), Message("assistant", "Hello there.")])[:1]
    adapter, parameters = tmp_path / "out", BaseShape.read(base).parameters
    expected = Prober(base, adapter, tokens, tokenizer, parameters).compute(adapter)
    prober = Prober(base, adapter, tokens, tokenizer, parameters, engine_dtype="float16")
    assert prober.compute(adapter) == prober.compute(adapter) == expected


def test_layers_that_the_files_do_not_have_are_named(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", templates.PLAIN, llama_config(tie_word_embeddings=False))
    tensors = load_file(base / "model.safetensors")
    # As some makers write them: two layers of memory in one tensor of the files.
    for layer in range(2):
        parts = [tensors.pop(f"model.layers.{layer}.mlp.{name}_proj.weight") for name in ("gate", "up")]
        tensors[f"model.layers.{layer}.mlp.gate_up_proj.weight"] = torch.cat(parts)
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    error = refuse(base, tmp_path)
    assert error.code == "unsupported_base_model"
    assert "'model.layers.0.mlp.gate_proj'" in error.message
    names = choose_modules(base, BaseShape.read(base), ["q_proj", "v_proj"])
    assert {name.rpartition(".")[2] for name in names.files} == {"q_proj", "v_proj"}


def test_target_modules_that_the_base_lacks_are_named(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", templates.PLAIN)
    error = refuse(base, tmp_path, target_modules=["Wqkv"])
    assert error.code == "unsupported_base_model"
    assert "Wqkv" in error.message
