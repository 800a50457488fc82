"""Adapters and a base model that are a few hundred bytes small, sound or spoiled on purpose.

Without numpy: the fake trainer writes one in a process of its own, for which importing it would be half of the time.
"""

import json
import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

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


@dataclass(frozen=True, slots=True)
class _Matrix:
    shape: tuple[int, int]
    numbers: list[float]

    @classmethod
    def draw(cls, random: Random, shape: tuple[int, int]) -> "_Matrix":
        return cls(shape, [random.gauss(0.0, 1.0) for _ in range(math.prod(shape))])

    def to_bytes(self) -> bytes:
        return struct.pack(f"<{len(self.numbers)}f", *self.numbers)


def _write_safetensors(file: Path, matrices: dict[str, _Matrix]) -> None:
    header: dict[str, Any] = {}
    position = 0
    for name, matrix in matrices.items():
        end = position + len(matrix.to_bytes())
        header[name] = {"dtype": "F32", "shape": list(matrix.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    body = b"".join(matrix.to_bytes() for matrix in matrices.values())
    file.write_bytes(struct.pack("<Q", len(text)) + text + body)


def write_base(folder: Path) -> Path:
    """Write a base model, as far as the verdict looks at one."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY}))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    random = Random(0)
    matrices = {f"{name}.weight": _Matrix.draw(random, shape) for name, shape in MODULES.items()}
    matrices["model.embed_tokens.weight"] = _Matrix.draw(random, (VOCABULARY, HIDDEN))
    _write_safetensors(folder / "model.safetensors", matrices)
    return folder


def write_adapter(folder: Path, *, base_name: str, seed: int = 0, rank: int = 4, spoil: str | None = None) -> Path:
    """Write a PEFT folder for the base of `write_base`; equal arguments give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)
    rank = 64 if spoil == "rank" else rank
    matrices: dict[str, _Matrix] = {}
    for module, (out, into) in MODULES.items():
        matrices[f"base_model.model.{module}.lora_A.weight"] = _Matrix.draw(random, (rank, into))
        matrices[f"base_model.model.{module}.lora_B.weight"] = _Matrix.draw(random, (out, rank))
    first = next(iter(matrices))
    match spoil:
        case "nan":
            matrices[first].numbers[0] = math.nan
        case "shape":
            matrices[first] = _Matrix.draw(random, (rank, HIDDEN + 1))
        case "module":
            matrices["base_model.model.model.layers.9.mlp.up_proj.lora_A.weight"] = matrices.pop(first)
        case "no_effect":
            for name, matrix in matrices.items():
                if "lora_B" in name:
                    matrices[name] = replace(matrix, numbers=[0.0] * len(matrix.numbers))
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
    _write_safetensors(folder / "adapter_model.safetensors", matrices)
    return folder
