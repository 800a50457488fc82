"""Small bases and adapters, written byte by byte: these tests run where there is neither torch nor safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.manifest import Manifest, digest_adapter
from training.spec import Recipe
from training.verdict import BaseShape

HIDDEN, MIDDLE, VOCABULARY, RANK = 8, 12, 20, 4
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
MODULES = {"self_attn.q_proj": (HIDDEN, HIDDEN), "mlp.up_proj": (MIDDLE, HIDDEN), "mlp.down_proj": (HIDDEN, MIDDLE)}

Tensors = dict[str, tuple[str, np.ndarray[Any, Any]]]


def encode(tensors: Tensors) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (dtype, numbers) in tensors.items():
        content = numbers.tobytes()
        header[name] = {"dtype": dtype, "shape": numbers.shape, "data_offsets": (len(data), len(data) + len(content))}
        data += content
    return with_header(json.dumps(header).encode(), data)


def with_header(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def write_base(
    directory: Path,
    *,
    seed: int = 0,
    template: str = TEMPLATE,
    middle: int = MIDDLE,
    more: Mapping[str, tuple[int, int]] | None = None,
    **config: Any,
) -> BaseShape:
    """Write a checkpoint of two layers, with further 2-D weights by their names, and entries of its config."""
    random = np.random.default_rng(seed)
    directory.mkdir(parents=True)

    def weight(*shape: int) -> tuple[str, np.ndarray[Any, Any]]:
        return "F32", random.standard_normal(shape, dtype=np.float32)

    tensors: Tensors = {"model.embed_tokens.weight": weight(VOCABULARY, HIDDEN), "model.norm.weight": weight(HIDDEN)}
    for layer in range(2):
        for name, shape in MODULES.items():
            sizes = (middle if size == MIDDLE else size for size in shape)
            tensors[f"model.layers.{layer}.{name}.weight"] = weight(*sizes)
    tensors |= {name: weight(*shape) for name, shape in (more or {}).items()}
    (directory / "model.safetensors").write_bytes(encode(tensors))
    (directory / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY, **config}))
    (directory / "chat_template.jinja").write_text(template)
    return BaseShape.read(directory)


def lora_tensors(rank: int = RANK, *, layers: int = 2) -> Tensors:
    random = np.random.default_rng(1)
    tensors: Tensors = {}
    for layer in range(layers):
        for name, (out, into) in MODULES.items():
            for matrix, shape in (("A", (rank, into)), ("B", (out, rank))):
                numbers = random.standard_normal(shape, dtype=np.float32) / 10
                tensors[f"base_model.model.model.layers.{layer}.{name}.lora_{matrix}.weight"] = ("F32", numbers)
    return tensors


def lora_config(**changes: Any) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "tiny",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": ["q_proj", "up_proj", "down_proj"],
        "bias": "none",
        "modules_to_save": None,
        "use_dora": False,
        "inference_mode": True,
        **changes,
    }


def write_adapter(directory: Path, tensors: Tensors | None = None, **changes: Any) -> Path:
    directory.mkdir()
    (directory / "adapter_config.json").write_text(json.dumps(lora_config(**changes)))
    (directory / "adapter_model.safetensors").write_bytes(encode(lora_tensors() if tensors is None else tensors))
    return directory


def manifest_of(directory: Path, base: BaseShape) -> Manifest:
    return Manifest(
        adapter_digest=digest_adapter(directory),
        base_digest=base.digest,
        base_name="tiny",
        chat_template_digest=base.chat_template_digest,
        rank=RANK,
        recipe=Recipe(),
        rows=10,
        rows_digest="0" * 64,
        trained_tokens=100,
        losses=[2.0, 1.0],
        probe=[],
        versions={},
    )
