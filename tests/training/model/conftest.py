"""Rows and recipes for a real model that is small enough to train in a second."""

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from transformers import AutoTokenizer

from tests.training.model.tiny_base import write_tiny_base
from training.events import Event
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec
from training.tokenization import RowTokenizer

REPLY = "Ahoy! It costs {} euros. Fair winds."


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One folder for all workers of a test run: its tokenizer takes 9 s of a core to make. Tests spoil copies."""
    own = tmp_path_factory.getbasetemp()
    run = own if worker_id == "master" else own.parent
    directory, part = run / "models" / "tiny-instruct", run / "models" / f"{worker_id}.part"
    directory.parent.mkdir(exist_ok=True)
    with (run / "models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            write_tiny_base(part)
            part.rename(directory)
    return directory


@pytest.fixture(scope="session")
def tokenizer(base_model: Path) -> RowTokenizer:
    return RowTokenizer.load(base_model)


@pytest.fixture(scope="session")
def plain(base_model: Path) -> Any:
    """Transformers' own tokenizer of the checkpoint."""
    return cast("Any", AutoTokenizer).from_pretrained(base_model)


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
