"""Adapters and a base model that are a few hundred bytes small, sound or spoiled on purpose."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HIDDEN, INNER, VOCABULARY = 8, 16, 32
MODULES = {
    "model.layers.0.self_attn.q_proj": (HIDDEN, HIDDEN),
    "model.layers.0.mlp.up_proj": (INNER, HIDDEN),
    "model.layers.0.mlp.down_proj": (HIDDEN, INNER),
}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPOILS = ("nan", "shape", "module", "base", "dora", "rank", "no_effect")
"""The faults that `write_adapter` can make on purpose."""


def write_safetensors(file: Path, tensors: dict[str, NDArray[np.float32]]) -> None:
    header: dict[str, Any] = {}
    position = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [position, position + tensor.nbytes],
        }
        position += tensor.nbytes
    text = json.dumps(header).encode()
    with file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            opened.write(tensor.astype("<f4").tobytes())


def write_base(folder: Path) -> Path:
    """Write a base model, as far as the verdict looks at one."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY}))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    random = np.random.default_rng(0)
    tensors = {f"{name}.weight": random.standard_normal(shape, np.float32) for name, shape in MODULES.items()}
    tensors["model.embed_tokens.weight"] = random.standard_normal((VOCABULARY, HIDDEN), np.float32)
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def write_adapter(folder: Path, *, base_name: str, seed: int = 0, rank: int = 4, spoil: str | None = None) -> Path:
    """Write a PEFT folder for the base of `write_base`; equal arguments give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    rank = 64 if spoil == "rank" else rank
    tensors: dict[str, NDArray[np.float32]] = {}
    for module, (out, into) in MODULES.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = random.standard_normal((rank, into), np.float32)
        tensors[f"base_model.model.{module}.lora_B.weight"] = random.standard_normal((out, rank), np.float32)
    first = next(iter(tensors))
    match spoil:
        case "nan":
            tensors[first][0, 0] = np.nan
        case "shape":
            tensors[first] = random.standard_normal((rank, HIDDEN + 1), np.float32)
        case "module":
            tensors["base_model.model.model.layers.9.mlp.up_proj.lora_A.weight"] = tensors.pop(first)
        case "no_effect":
            tensors = {name: tensor * (0 if "lora_B" in name else 1) for name, tensor in tensors.items()}
        case _:
            pass
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": "another/model" if spoil == "base" else base_name,
        "r": rank,
        "lora_alpha": rank,
        "target_modules": sorted({module.rpartition(".")[2] for module in MODULES}),
        "use_dora": spoil == "dora",
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder
