"""The held-out pairs of which a model finds the better reply likelier, with an adapter and without, as a program.

python -m tests.training.model.preference_wins BASE ADAPTER ROWS
"""

import json
import sys
from pathlib import Path

import torch

from training.hardware import TrainingDevice
from training.model import AdaptedModel
from training.preference_rows import read_preference_rows
from training.preferences import TokenizedPair, tokenize_pairs
from training.spec import Recipe
from training.tokenization import RowTokenizer

CPU = TrainingDevice("cpu", torch.float32)


def list_wins(model: AdaptedModel, pairs: list[TokenizedPair]) -> list[bool]:
    """Tell of each pair whether the better reply is likelier per token than the worse one."""
    model.train(False)
    with torch.no_grad():
        scores = model.score([half for pair in pairs for half in (pair.better, pair.worse)]).view(-1, 2)
    lengths = torch.tensor([[pair.better.replies, pair.worse.replies] for pair in pairs])
    per_token = scores / lengths
    return (per_token[:, 0] > per_token[:, 1]).tolist()


def main(base: Path, adapter: Path, rows: Path) -> None:
    manifest = json.loads((adapter / "manifest.json").read_bytes())
    recipe = Recipe(rank=manifest["recipe"]["rank"], alpha=manifest["recipe"]["alpha"])
    pairs = tokenize_pairs(RowTokenizer.load(base), read_preference_rows(rows.read_bytes())[0], 512)[0]
    before = AdaptedModel.create(base, recipe, CPU, "tiny")  # an untrained adapter changes nothing
    after = AdaptedModel.create(base, recipe, CPU, "tiny", start=adapter)
    sys.stdout.write(json.dumps({"before": list_wins(before, pairs), "after": list_wins(after, pairs)}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
