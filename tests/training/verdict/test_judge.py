import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.training.files import (
    HIDDEN,
    MIDDLE,
    RANK,
    VOCABULARY,
    Tensors,
    encode,
    lora_config,
    lora_tensors,
    manifest_of,
    with_header,
    write_adapter,
    write_base,
)
from training.manifest import AdapterDigest
from training.safetensors_header import read_header
from training.verdict import BaseShape, Verdict, judge
from training.verdict.folder import open_plain
from training.verdict.magnitude import decode_numbers
from training.verdict.weights import read_weights

A_PROJ = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
B_PROJ = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"


@pytest.fixture
def base(tmp_path: Path) -> BaseShape:
    return write_base(tmp_path / "base")


def verdict(adapter: Path, base: BaseShape, max_rank: int = 16) -> Verdict:
    return judge(adapter, base, max_rank=max_rank, base_names={"tiny", "acme/tiny-instruct"})


def codes(adapter: Path, base: BaseShape) -> set[str]:
    result = verdict(adapter, base)
    assert result.ok is (not result.reasons)
    assert all(len(reason.message) < 1000 and "\n" not in reason.message for reason in result.reasons)
    return {reason.code for reason in result.reasons}


def put(name: str, numbers: Any, dtype: str = "F32") -> Tensors:
    return lora_tensors() | {name: (dtype, np.asarray(numbers))}


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.full(shape, 0.1, np.float32)


def as_bf16(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def as_f32(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(np.float32)


def as_f16(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(np.float16)


TYPES: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "F32": as_f32,
    "F16": as_f16,
    "BF16": as_bf16,
}


def test_a_good_adapter_passes(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a")
    result = verdict(adapter, base)
    assert result.ok
    assert result.digest == manifest_of(adapter, base).adapter_digest
    assert result.rank == RANK
    assert result.modules == ["down_proj", "q_proj", "up_proj"]
    assert result.parameters == sum(numbers.size for _, numbers in lora_tensors().values())


def test_a_base_is_read_without_its_embeddings_and_norms(base: BaseShape) -> None:
    assert base.linears["model.layers.1.mlp.up_proj"] == (MIDDLE, HIDDEN)
    assert len(base.linears) == 6
    assert base.parameters == VOCABULARY * HIDDEN + HIDDEN + 2 * (HIDDEN * HIDDEN + 2 * MIDDLE * HIDDEN)


@pytest.mark.parametrize("dtype", TYPES)
def test_each_type_that_is_served_passes(tmp_path: Path, base: BaseShape, dtype: str) -> None:
    tensors: Tensors = {name: (dtype, TYPES[dtype](values)) for name, (_, values) in lora_tensors().items()}
    assert codes(write_adapter(tmp_path / "a", tensors), base) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": "all-linear"},
        {"target_modules": ["q_proj", "up_proj", "down_proj", "not_in_this_base"]},
        {"base_model_name_or_path": "somebody/tiny-instruct"},
        {"base_model_name_or_path": "/home/ann/models/tiny/"},
        {"use_rslora": True},
        {"target_modules": r"(?:.*?(?:language|text).*?(?:q_proj|up_proj|down_proj).*?)"},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "mica"},
        {"layers_to_transform": [0, 1], "peft_version": "0.99", "megatron_core": "megatron.core", "eva_config": None},
        {"lora_dtype": "float32", "lorap_lr_ratio": 16.0, "lorap_emb_lr": 1e-06, "swift_type": "LORA"},
        {"loftq_config": {"loftq_bits": 4}, "corda_config": {"rank": 4}, "lora_ga_config": {"scale": "stable"}},
        {"ensure_weight_tying": True, "runtime_config": {"ephemeral_gpu_offload": True}},
        {"a_key_of_the_future": None, "another": False, "and_another": {}},
    ],
)
def test_a_harmless_config_passes(tmp_path: Path, base: BaseShape, changes: dict[str, Any]) -> None:
    assert codes(write_adapter(tmp_path / "a", **changes), base) == set()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"use_dora": True}, "unsupported_feature"),
        ({"modules_to_save": ["lm_head"]}, "unsupported_feature"),
        ({"bias": "all"}, "unsupported_feature"),
        ({"lora_bias": True}, "unsupported_feature"),
        ({"trainable_token_indices": [1, 2]}, "unsupported_feature"),
        ({"rank_pattern": {"q_proj": 2}}, "unsupported_feature"),
        ({"alpha_pattern": {"q_proj": 2}}, "unsupported_feature"),
        ({"fan_in_fan_out": True}, "unsupported_feature"),
        ({"layer_replication": [[0, 2]]}, "unsupported_feature"),
        ({"alora_invocation_tokens": [1]}, "unsupported_feature"),
        ({"target_parameters": ["experts"]}, "unsupported_feature"),
        ({"init_lora_weights": "pissa"}, "unsupported_feature"),
        ({"a_key_of_the_future": True}, "unsupported_feature"),
        ({"peft_type": "IA3"}, "unsupported_feature"),
        ({"swift_type": "LONGLORA"}, "unsupported_feature"),
        ({"use_qa_lora": True}, "unsupported_feature"),
        ({"ensure_weight_tying": True, "target_modules": ".*_proj|lm_head"}, "unsupported_feature"),
        ({"ensure_weight_tying": True, "target_modules": ["q_proj", "lm_head"]}, "unsupported_feature"),
        ({"velora_config": {"num_groups": 4}}, "unsupported_feature"),
        ({"kasa_config": {"k": 4}}, "unsupported_feature"),
        ({"arrow_config": {"top_k": 3}}, "unsupported_feature"),
        ({"use_bdlora": {"nblocks": 2}}, "unsupported_feature"),
        ({"monteclora_config": {"samples": 2}}, "unsupported_feature"),
        ({"corda_config": {"rank": 4}, "init_lora_weights": "corda"}, "unsupported_feature"),
        ({"loftq_config": {"loftq_bits": 4}, "init_lora_weights": "loftq"}, "unsupported_feature"),
        ({"init_lora_weights": "lora_ga"}, "unsupported_feature"),
        ({"r": 17}, "rank_over_limit"),
        ({"r": 10**30}, "rank_over_limit"),
        ({"r": 0}, "config_invalid"),
        ({"r": -4}, "config_invalid"),
        ({"r": "4"}, "config_invalid"),
        ({"r": True}, "config_invalid"),
        ({"lora_alpha": 1e30}, "config_invalid"),
        ({"lora_alpha": 0}, "config_invalid"),
        ({"lora_alpha": -8}, "config_invalid"),
        ({"lora_alpha": float("nan")}, "config_invalid"),
        ({"lora_alpha": float("inf")}, "config_invalid"),
        ({"target_modules": ["q_proj", "up_proj"]}, "contradictory_targets"),
        ({"target_modules": ["proj"]}, "contradictory_targets"),
        ({"target_modules": []}, "contradictory_targets"),
        ({"target_modules": ""}, "contradictory_targets"),
        ({"target_modules": None}, "contradictory_targets"),
    ],
)
def test_a_config_that_would_not_be_served_as_meant_is_refused(
    tmp_path: Path, base: BaseShape, changes: dict[str, Any], code: str
) -> None:
    assert code in codes(write_adapter(tmp_path / "a", **changes), base)


def test_a_config_that_names_more_than_was_trained_contradicts_it(tmp_path: Path, base: BaseShape) -> None:
    tensors = {name: tensor for name, tensor in lora_tensors().items() if "up_proj" not in name}
    assert codes(write_adapter(tmp_path / "a", tensors), base) == {"contradictory_targets"}


def without(name: str) -> Tensors:
    return {key: tensor for key, tensor in lora_tensors().items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({}, "no_effect"),
        (without(B_PROJ), "incomplete_pair"),
        (without(A_PROJ), "incomplete_pair"),
        (put(A_PROJ, numbers(RANK, HIDDEN + 1)), "wrong_shape"),
        (put(A_PROJ, numbers(HIDDEN, RANK)), "wrong_shape"),
        (put(A_PROJ, numbers(RANK + 1, HIDDEN)), "wrong_shape"),
        (put(B_PROJ, numbers(HIDDEN * RANK)), "wrong_shape"),
        (put(B_PROJ, numbers(0, RANK)), "wrong_shape"),
        (lora_tensors(2), "wrong_shape"),
        (put("base_model.model.model.layers.9.mlp.up_proj.lora_A.weight", numbers(RANK, HIDDEN)), "unknown_module"),
        (put("base_model.model.model.embed_tokens.lora_embedding_A", numbers(RANK, VOCABULARY)), "unknown_module"),
        (put("base_model.model.model.embed_tokens.lora_A.weight", numbers(RANK, HIDDEN)), "unknown_module"),
        (put("base_model.model.lm_head.lora_A.weight", numbers(RANK, HIDDEN)), "unknown_module"),
        (put("base_model.model.model.norm.weight", numbers(HIDDEN)), "unknown_module"),
        (put("base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector", numbers(MIDDLE)), "unknown_module"),
        (put("base_model.model.model.layers.0.mlp.up_proj.lora_B.bias", numbers(MIDDLE)), "unknown_module"),
        (put("model.layers.0.self_attn.q_proj.lora_A.weight", numbers(RANK, HIDDEN)), "unknown_module"),
        (put("base_model.model.../../etc/passwd.lora_A.weight", numbers(RANK, HIDDEN)), "unknown_module"),
        (put(A_PROJ, np.zeros((RANK, HIDDEN), np.int8), "I8"), "weights_invalid"),
        (put(A_PROJ, np.zeros((RANK, HIDDEN), np.uint8), "F8_E4M3"), "weights_invalid"),
        (put(A_PROJ, np.zeros((RANK, HIDDEN)), "F64"), "weights_invalid"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(tmp_path: Path, base: BaseShape, tensors: Tensors, code: str) -> None:
    assert code in codes(write_adapter(tmp_path / "a", tensors), base)


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.model.embed_tokens.weight",
        "base_model.model.lm_head.modules_to_save.weight",
        "base_model.model.lm_head.lora_B.weight",
    ],
)
def test_who_changed_the_vocabulary_is_told_that_and_not_asked_for_another_base(
    tmp_path: Path, base: BaseShape, name: str
) -> None:
    verdict = judge(write_adapter(tmp_path / "a", put(name, numbers(RANK, HIDDEN))), base, max_rank=16)
    (reason,) = [one for one in verdict.reasons if one.code == "unknown_module"]
    assert "save_embedding_layers=False" in reason.message
    assert "this base" not in reason.message


def test_the_many_names_of_another_model_make_a_short_message(tmp_path: Path, base: BaseShape) -> None:
    tensors: Tensors = {
        f"base_model.model.{'x' * 500}.{index}.lora_A.weight": ("F32", numbers(1)) for index in range(2000)
    }
    assert codes(write_adapter(tmp_path / "a", tensors), base) >= {"unknown_module"}


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("value", "code"),
    [(NAN, "not_finite"), (-NAN, "not_finite"), (INF, "not_finite"), (-INF, "not_finite"), (-101.0, "too_large"),
     (60_000.0, "too_large"), (100.0, None), (-99.5, None)],
)  # fmt: skip
@pytest.mark.parametrize("name", [A_PROJ, list(lora_tensors())[-1]])
def test_one_bad_number_is_enough(
    tmp_path: Path, base: BaseShape, dtype: str, value: float, code: str | None, name: str
) -> None:
    tensors = lora_tensors()
    values = tensors[name][1].copy()
    values[-1, -1] = value
    tensors[name] = (dtype, TYPES[dtype](values))
    assert codes(write_adapter(tmp_path / "a", tensors), base) == ({code} if code else set())


def test_a_signalling_nan_is_not_finite(tmp_path: Path, base: BaseShape) -> None:
    tensors = lora_tensors()
    tensors[A_PROJ][1].view(np.uint32)[0, 0] = 0x7F800001
    assert codes(write_adapter(tmp_path / "a", tensors), base) == {"not_finite"}


def test_a_number_deep_in_a_large_tensor_is_seen(tmp_path: Path) -> None:
    base = BaseShape("d", "t", {"model.layers.0.mlp.up_proj": (8, 2_000_000)}, 16_000_000)
    values = np.zeros((1, 2_000_000), np.float32)
    values[0, -1] = NAN
    stem = "base_model.model.model.layers.0.mlp.up_proj"
    tensors: Tensors = {
        f"{stem}.lora_A.weight": ("F32", values),
        f"{stem}.lora_B.weight": ("F32", numbers(8, 1)),
    }
    adapter = write_adapter(tmp_path / "a", tensors, r=1, target_modules=["up_proj"])
    assert codes(adapter, base) == {"not_finite"}


@pytest.mark.parametrize("matrices", ["A", "B", "AB"])
def test_an_adapter_that_was_not_trained_has_no_effect(tmp_path: Path, base: BaseShape, matrices: str) -> None:
    tensors = lora_tensors()
    for name, (_, values) in tensors.items():
        if any(f"lora_{matrix}" in name for matrix in matrices):
            values[:] = -0.0
    assert codes(write_adapter(tmp_path / "a", tensors), base) == {"no_effect"}


def test_matrices_that_never_meet_have_no_effect(tmp_path: Path, base: BaseShape) -> None:
    tensors = lora_tensors()
    for name, (_, values) in tensors.items():
        if ("layers.0" in name) == ("lora_A" in name):
            values[:] = 0
    assert codes(write_adapter(tmp_path / "a", tensors), base) == {"no_effect"}


def flip(file: Path, offset: int = -1) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 1
    file.write_bytes(content)


def test_an_adapter_made_here_is_known_by_its_manifest_and_not_by_a_name(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a", base_model_name_or_path="a name that nobody knows")
    (adapter / "manifest.json").write_bytes(msgspec.json.encode(manifest_of(adapter, base)))
    assert codes(adapter, base) == set()
    other = write_base(tmp_path / "other", seed=1)
    assert codes(adapter, other) == {"wrong_base"}
    other_template = dataclasses.replace(base, chat_template_digest="0" * 64)
    assert codes(adapter, other_template) == {"wrong_chat_template"}


def test_a_config_that_differs_from_the_manifest_in_a_space_is_refused(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a", note="")
    (adapter / "manifest.json").write_bytes(msgspec.json.encode(manifest_of(adapter, base)))
    with (adapter / "adapter_config.json").open("a") as file:
        file.write(" ")
    assert codes(adapter, base) == {"digest_mismatch"}


def test_weights_that_differ_from_the_manifest_in_a_bit_are_refused(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a", note="")
    (adapter / "manifest.json").write_bytes(msgspec.json.encode(manifest_of(adapter, base)))
    # The lowest bit of a number: everything else about it stays sound.
    flip(adapter / "adapter_model.safetensors", -4)
    assert codes(adapter, base) == {"digest_mismatch"}


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[" * 100_000, b"\xff", b'{"adapter_digest": 1}'])
def test_a_broken_manifest_is_not_read_as_a_missing_one(tmp_path: Path, base: BaseShape, content: bytes) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / "manifest.json").write_bytes(content)
    assert codes(adapter, base) == {"config_invalid"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"peft_type": "LORA", "r": NaN}'])
def test_a_broken_config_is_refused(tmp_path: Path, base: BaseShape, content: bytes) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / "adapter_config.json").write_bytes(content)
    assert codes(adapter, base) == {"config_invalid"}


@pytest.mark.parametrize("entry", [b'"x": "\xff"', b'"\xff": 1', b'"x": 1e999', b'"x": ' + b"9" * 5000])
def test_a_config_with_an_entry_that_cannot_be_read_is_refused(tmp_path: Path, base: BaseShape, entry: bytes) -> None:
    config = write_adapter(tmp_path / "a") / "adapter_config.json"
    config.write_bytes(config.read_bytes()[:-1] + b", " + entry + b"}")
    assert codes(config.parent, base) == {"config_invalid"}


def test_a_base_with_an_endless_name_takes_no_time(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a", base_model_name_or_path="models--" + "--" * 200_000)
    started = time.process_time()
    assert judge(adapter, base, max_rank=16, base_names=("acme/tiny",)).ok
    assert time.process_time() - started < 5  # an expression that goes back and forth takes hours


def test_an_endless_config_is_not_read_to_its_end(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a")
    with (adapter / "adapter_config.json").open("ab") as file:
        file.truncate(1 << 40)
    assert codes(adapter, base) == {"unsafe_file"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a zip that torch.load would open",
        encode(lora_tensors())[:-1],
        encode(lora_tensors()) + b"x",
        (1 << 62).to_bytes(8, "little") + b"{}",
        (64 << 20).to_bytes(8, "little") + b" " * (65 << 20),
        with_header(b"{" * 1000),
        with_header(b'{"a":{"dtype":"F32","shape":[%b],"data_offsets":[0,0]}}' % b",".join([b"9" * 4000] * 4000)),
        with_header(b'{"a":{"dtype":"F32","shape":[%b],"data_offsets":[0,0]}}' % b",".join([b"65536"] * 2_000_000)),
    ],
)
def test_weights_that_are_no_sound_safetensors_are_refused(tmp_path: Path, base: BaseShape, content: bytes) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / "adapter_model.safetensors").write_bytes(content)
    assert codes(adapter, base) == {"weights_invalid"}


@pytest.mark.parametrize(
    "name",
    ["adapter_model.bin", "training_args.bin", "optimizer.pt", "X.PKL", "setup.py", "tokenizer.json", "a\nb"],
)
def test_a_file_that_does_not_belong_to_an_adapter_is_refused(tmp_path: Path, base: BaseShape, name: str) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / name).write_bytes(b"x")
    assert codes(adapter, base) == {"unsafe_file"}


def test_a_folder_in_an_adapter_is_refused(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / "..adapter").mkdir()
    assert codes(adapter, base) == {"unsafe_file"}


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "manifest.json", "README.md"])
def test_no_file_may_be_a_link(tmp_path: Path, base: BaseShape, name: str) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / "manifest.json").write_bytes(msgspec.json.encode(manifest_of(adapter, base)))
    (adapter / "README.md").write_text("x")
    outside = tmp_path / "outside"
    shutil.move(adapter / name, outside)
    (adapter / name).symlink_to(outside)
    assert codes(adapter, base) == {"unsafe_file"}


def test_a_pipe_does_not_hang_the_judge(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / "adapter_model.safetensors").unlink()
    os.mkfifo(adapter / "adapter_model.safetensors")
    assert codes(adapter, base) == {"unsafe_file"}


def test_a_file_that_became_a_pipe_since_it_was_listed_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        open_plain(tmp_path / "pipe")


def test_weights_that_shrink_while_they_are_read_are_refused(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a")
    with (adapter / "adapter_model.safetensors").open("r+b") as file:
        tensors = read_header(file)
        file.truncate(tensors[-1].end - 1)
        with pytest.raises(OSError, match="became shorter"):
            read_weights(file, tensors, AdapterDigest(b""), 1.0, {})


def test_the_folder_itself_may_not_be_a_link(tmp_path: Path, base: BaseShape) -> None:
    write_adapter(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert codes(tmp_path / "link", base) == {"missing_file"}


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_an_adapter_that_lacks_a_file_is_refused(tmp_path: Path, base: BaseShape, name: str) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / name).unlink()
    assert codes(adapter, base) == {"missing_file"}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, base: BaseShape) -> None:
    assert codes(tmp_path / "nothing", base) == {"missing_file"}


def test_a_pickle_is_never_opened(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    assert codes(adapter, base) == {"unsafe_file", "missing_file"}


def test_all_faults_are_reported_at_once(tmp_path: Path, base: BaseShape) -> None:
    tensors = without(B_PROJ)
    adapter = write_adapter(tmp_path / "a", tensors, use_dora=True)
    assert codes(adapter, base) == {"unsupported_feature", "incomplete_pair"}


def test_a_key_that_occurs_twice_is_read_as_the_engine_reads_it(tmp_path: Path, base: BaseShape) -> None:
    adapter = write_adapter(tmp_path / "a")
    text = json.dumps(lora_config())
    (adapter / "adapter_config.json").write_text('{"use_dora": false, ' + text[1:-1] + ', "use_dora": true}')
    assert codes(adapter, base) == {"unsupported_feature"}


@pytest.mark.parametrize("name", ["unsloth/tiny-bnb-4bit", "acme/other", "", None])
def test_a_base_under_another_name_is_known_by_its_shape_and_noted(
    tmp_path: Path, base: BaseShape, name: str | None
) -> None:
    result = verdict(write_adapter(tmp_path / "a", base_model_name_or_path=name), base)
    assert result.ok, result.reasons
    (note,) = result.notes
    assert repr(name or "") in note
    assert verdict(write_adapter(tmp_path / "b"), base).notes == []
    other = write_base(tmp_path / "other", middle=10)
    assert codes(tmp_path / "a", other) == {"wrong_shape"}


def scaled(factor: float, dtype: type[np.floating[Any]] = np.float32, name: str = "F32") -> Tensors:
    return {tensor: (name, (numbers * factor).astype(dtype)) for tensor, (_, numbers) in lora_tensors().items()}


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "F32"), (np.float16, "F16")])
def test_an_update_is_bounded_by_the_weight_that_it_is_added_to(
    tmp_path: Path, base: BaseShape, dtype: type[np.floating[Any]], name: str
) -> None:
    assert codes(write_adapter(tmp_path / "strong", scaled(30, dtype, name)), base) == set()
    # Each number is below 100 and so is the factor; only their product is too much.
    result = verdict(write_adapter(tmp_path / "poison", scaled(150, dtype, name), lora_alpha=90 * RANK), base)
    assert [reason.code for reason in result.reasons] == ["too_large"]
    assert "as large as the base's own weights" in result.reasons[0].message
    assert "proj" in result.reasons[0].message


def test_a_number_in_bfloat16_is_read_as_what_it_is() -> None:
    numbers = np.array([1.0, -2.5, 0.0, 3e38], np.float32)
    halves = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    read = decode_numbers(halves.tobytes(), "BF16")
    assert read is not None
    assert read == pytest.approx(numbers, rel=0.01)
    assert decode_numbers(b"12345678", "I64") is None


def test_the_norm_of_a_weight_is_estimated_from_its_middle(tmp_path: Path, base: BaseShape) -> None:
    large = write_base(tmp_path / "large", middle=4096)
    assert large.norms["model.layers.0.mlp.up_proj"] == pytest.approx((4096 * HIDDEN) ** 0.5, rel=0.15)
    assert base.norms.keys() == base.linears.keys()


IGNORED = {
    "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj": (HIDDEN, HIDDEN),
    "vision_tower.vision_model.encoder.layers.1.self_attn.q_proj": (4 * HIDDEN, HIDDEN),
    "multi_modal_projector.linear": (HIDDEN, HIDDEN),
    "model.vision_projector": (HIDDEN, HIDDEN),
    "model.layers.0.mlp.gate": (4, HIDDEN),
    "model.layers.2.mlp.up_proj": (MIDDLE, HIDDEN),
}
"""What engines put no adapter on, without a word; the last is a layer that the config doesn't count."""


@pytest.mark.parametrize("language", [True, False])
@pytest.mark.parametrize("module", IGNORED)
def test_modules_that_the_engine_ignores_are_refused_by_name(tmp_path: Path, module: str, language: bool) -> None:
    more = {f"{name}.weight": shape for name, shape in IGNORED.items()}
    base = write_base(tmp_path / "base", more=more, num_hidden_layers=2, num_experts=4)
    out, into = IGNORED[module]
    prefix = f"base_model.model.{module}"
    tensors: Tensors = {
        f"{prefix}.lora_A.weight": ("F32", numbers(RANK, into)),
        f"{prefix}.lora_B.weight": ("F32", numbers(out, RANK)),
    }
    tensors |= lora_tensors() if language else {}
    targets = ["q_proj", "up_proj", "down_proj"] if language else []
    result = verdict(write_adapter(tmp_path / "a", tensors, target_modules=[*targets, module]), base)
    assert "unknown_module" in {reason.code for reason in result.reasons}
    assert any(module in reason.message for reason in result.reasons if reason.code == "unknown_module")
    assert codes(write_adapter(tmp_path / "b"), base) == set()


def test_a_gate_that_chooses_no_experts_and_a_layer_of_the_model_itself_are_adapted(tmp_path: Path) -> None:
    more = {"model.layers.0.mlp.gate.weight": (MIDDLE, HIDDEN), "model.project_in.weight": (HIDDEN, HIDDEN)}
    base = write_base(tmp_path / "base", more=more, num_experts=4)
    assert {"model.layers.0.mlp.gate", "model.project_in"} <= base.linears.keys()


@pytest.mark.parametrize(
    ("config", "tensor", "method"),
    [
        ({"quant_method": "awq"}, "qweight", "awq"),
        ({"quant_method": "gptq"}, "qweight", "gptq"),
        ({"quant_method": "bitsandbytes"}, "weight.absmax", "bitsandbytes"),
        ({"load_in_4bit": True}, "weight.absmax", "bitsandbytes"),
        ({"quant_method": "compressed-tensors"}, "weight_packed", "compressed-tensors"),
        (None, "qweight", "qweight"),
        (None, "weight.quant_state.bitsandbytes__nf4", "bitsandbytes__nf4"),
    ],
)
def test_a_quantised_base_is_the_reason_and_not_the_adapter(
    tmp_path: Path, config: dict[str, Any] | None, tensor: str, method: str
) -> None:
    more = {f"model.layers.0.self_attn.k_proj.{tensor}": (HIDDEN, 1)}
    fields: dict[str, Any] = {"quantization_config": config} if config else {}
    base = write_base(tmp_path / "base", more=more, **fields)
    (reason,) = verdict(write_adapter(tmp_path / "a"), base).reasons
    assert reason.code == "unsupported_base_model"
    assert method in reason.message
    assert "vLLM can quantise it" in reason.message
