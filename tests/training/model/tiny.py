"""Checkpoints of two random layers with a byte-level tokenizer, both made here."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
"""Their ids are 0, 1, 2."""


def make_tokenizer(template: str, specials: Sequence[str] = SPECIALS) -> Any:
    """Make a tokenizer with a token per byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: id for id, token in enumerate([*specials, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = cast("Any", pre_tokenizers).ByteLevel(add_prefix_space=False)
    tokenizer.decoder = cast("Any", decoders).ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    fast = cast("Any", PreTrainedTokenizerFast)(tokenizer_object=tokenizer, eos_token=specials[0])
    fast.chat_template = template
    return fast


def write_tokenizer(directory: Path, template: str) -> None:
    """Write a tokenizer, and that the engine also stops at `<|im_end|>`."""
    make_tokenizer(template).save_pretrained(directory)
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))


def llama_config(**changes: Any) -> LlamaConfig:
    fields: dict[str, Any] = {
        "vocab_size": 259,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "tie_word_embeddings": True,
        **changes,
    }
    return LlamaConfig(**fields)


def write_checkpoint(directory: Path, template: str, config: Any = None) -> Path:
    """Write a model of random weights and its tokenizer."""
    torch.manual_seed(0)
    model = cast("Any", AutoModelForCausalLM).from_config(config or llama_config())
    model.save_pretrained(directory)
    write_tokenizer(directory, template)
    return directory
