"""Preferences beside TRL's, on the same pairs: `.venv-model/bin/python -m tests.bench.preferences_vs_trl --trl FOLDER`.

`tests/bench/training_vs_trl.py` says how to get the folder. Both begin at one adapter, made by a few steps on replies,
so that the reference isn't the base; both have the packaged model in float32, the same tokens and masks, the same
batches in the same order, and the same rates. So their losses have to be the same, step by step. TRL's `DPOTrainer`
runs as it comes but for that, no gradient checkpointing and no limit of the length: it asks the reference in every
step, where Braid asks it before the first one, which in one epoch is the same number of passes, and both are counted.
"""

import argparse
import importlib
import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.bench.training_vs_trl import (
    BATCH,
    TRL_SETTINGS,
    Sample,
    check_folder,
    compare,
    make_conversations,
    make_table,
    time_training,
)
from training.base_checkpoint import provide_base_checkpoint
from training.batches import plan_epochs
from training.hardware import TrainingDevice
from training.loop import Trainer, compute_rate_factor
from training.model import AdaptedModel
from training.output import do_nothing
from training.preference_rows import read_preference_rows
from training.preferences import PreferenceObjective, TokenizedPair, tokenize_pairs
from training.spec import Recipe
from training.tokenization import RowTokenizer

__all__ = ["Run", "describe", "find_difference", "main", "make_pairs", "make_start", "train_here"]

RECIPE = Recipe(method="dpo", epochs=1, batch_size=BATCH, learning_rate=7e-5, anchor=0)
"""With the rate that a job takes for the packaged model; plain, as TRL's is by default."""
CPU = TrainingDevice("cpu", torch.float32)
TOLERANCE = 1e-4
"""Of a step's loss, in nats per pair."""


@dataclass(frozen=True, slots=True)
class Run:
    """A training, and the losses of its steps."""

    sample: Sample
    losses: list[float]


def make_pairs(tokenizer: RowTokenizer, count: int, longest: int) -> list[TokenizedPair]:
    """Return the bench's conversations, whose better reply ends with a greeting; the worse one is another's."""
    conversations = make_conversations(count, longest)
    lines: list[bytes] = []
    for number, (*prompt, reply) in enumerate(conversations):
        other = conversations[number - 1][-1]
        outputs = {
            "preferred_output": [{"role": "assistant", "content": f"{reply.text} Fair winds."}],
            "non_preferred_output": [{"role": "assistant", "content": other.text}],
        }
        messages = [{"role": message.role, "content": message.text} for message in prompt]
        lines.append(msgspec.json.encode({"input": {"messages": messages}, **outputs}))
    return tokenize_pairs(tokenizer, read_preference_rows(b"\n".join(lines))[0], RECIPE.max_length)[0]


def make_start(base: Path, pairs: Sequence[TokenizedPair], folder: Path) -> None:
    """Write an adapter that has learnt a few of the better replies."""
    recipe = Recipe(epochs=1, batch_size=2, learning_rate=7e-4)
    model = AdaptedModel.create(base, recipe, CPU, "base")
    Trainer(model, recipe, [pair.better for pair in pairs[:4]], [], lambda _: None).train()
    model.save(folder)


def train_here(base: Path, start: Path, pairs: Sequence[TokenizedPair]) -> Run:
    """Train with Braid's loop, its reference included."""
    model = AdaptedModel.create(base, RECIPE, CPU, "base", start=start)
    objective = PreferenceObjective(model, RECIPE, pairs)
    trainer = Trainer(model, RECIPE, pairs, [], lambda _: None, objective=objective)
    losses: list[float] = []

    def train() -> None:
        losses.extend(trainer.train().losses)

    return Run(time_training(train, losses), losses)


def train_with_trl(base: Path, start: Path, pairs: Sequence[TokenizedPair], out: Path) -> Run:
    """Train with TRL's trainer, on pairs that are tokenized and masked already, in the order of Braid's batches."""
    trl = importlib.import_module("trl")
    losses: list[float] = []

    class DPOTrainer(trl.DPOTrainer):  # pyright: ignore[reportUntypedBaseClass]
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

        def compute_loss(self, *values: Any, **named: Any) -> Any:
            loss = super().compute_loss(*values, **named)
            losses.append(float(loss.detach()))
            return loss

    settings = trl.DPOConfig(
        output_dir=str(out),
        beta=RECIPE.beta,
        max_grad_norm=RECIPE.max_gradient_norm,
        train_sampling_strategy="sequential",
        **TRL_SETTINGS,
    )
    model = cast("Any", AutoModelForCausalLM).from_pretrained(base, dtype=CPU.dtype)
    model = PeftModel.from_pretrained(model, str(start), is_trainable=True)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=cast("float", RECIPE.learning_rate), weight_decay=0.0)
    steps = RECIPE.count_steps(len(pairs))
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: compute_rate_factor(step + 1, steps, RECIPE.warmup_share)
    )
    (batches,) = plan_epochs([pair.width for pair in pairs], RECIPE)
    trainer = DPOTrainer(
        model=model,
        args=settings,
        train_dataset=make_table(_list_columns([pairs[place] for batch in batches for place in batch])),
        processing_class=cast("Any", AutoTokenizer).from_pretrained(base),
        optimizers=(optimizer, rates),
    )
    return Run(time_training(trainer.train, losses), losses)


def _list_columns(pairs: Sequence[TokenizedPair]) -> Mapping[str, Sequence[Sequence[int]]]:
    prompts = [pair.better.loss_mask.index(True) for pair in pairs]
    return {
        "prompt_ids": [pair.better.tokens[:end] for pair, end in zip(pairs, prompts, strict=True)],
        "chosen_ids": [pair.better.tokens[end:] for pair, end in zip(pairs, prompts, strict=True)],
        "rejected_ids": [pair.worse.tokens[end:] for pair, end in zip(pairs, prompts, strict=True)],
    }


def describe(runs: Sequence[tuple[Run, Run]]) -> str:
    """Return a line with the medians of both, ours first, the ratios, and the largest difference of a step's loss."""
    texts: list[str] = []
    for name in ("cpu", "wall"):
        ours, theirs = ([getattr(pair[side].sample, name) / len(pair[side].losses) for pair in runs] for side in (0, 1))
        seconds = " and ".join(f"{statistics.median(some):.2f}" for some in (ours, theirs))
        texts.append(f"{seconds} s of {name} time per step, ratio {compare(ours, theirs)}")
    return "; ".join([*texts, f"losses differ by {find_difference(runs):.1e} at most"])


def find_difference(runs: Sequence[tuple[Run, Run]]) -> float:
    """Return the largest difference between the losses of a step."""
    return max(abs(one - other) for ours, theirs in runs for one, other in zip(ours.losses, theirs.losses, strict=True))


def main() -> None:
    """Train in turns, print the table, and fail where the losses differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.preferences_vs_trl")
    parser.add_argument("--trl", type=Path, required=True, help="the folder that has TRL and what it needs")
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--words", type=int, default=320, help="most words of a question")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    check_folder(options.trl, "tests.bench.preferences_vs_trl")
    with tempfile.TemporaryDirectory(prefix="braid-trl-") as folder:
        runs = _train_in_turns(Path(folder), options.pairs, options.words, options.rounds)
    if options.json:
        options.json.write_text(json.dumps([[asdict(ours), asdict(theirs)] for ours, theirs in runs]))
    if find_difference(runs) > TOLERANCE:
        raise SystemExit(f"The losses differ by more than {TOLERANCE}.")


def _train_in_turns(folder: Path, count: int, longest: int, rounds: int) -> list[tuple[Run, Run]]:
    base, start, out = folder / "base", folder / "start", folder / "out"
    provide_base_checkpoint(base, None, "float32", lambda _: None, do_nothing)
    pairs = make_pairs(RowTokenizer.load(base), count, longest)
    print(f"{len(pairs)} pairs of {sum(pair.length for pair in pairs)} tokens; float32", flush=True)
    # The first steps of a process allocate its memory.
    make_start(base, pairs, start)
    train_with_trl(base, start, pairs[:2], out)
    runs: list[tuple[Run, Run]] = []
    for number in range(rounds):
        if number % 2 == 0:
            ours, theirs = train_here(base, start, pairs), train_with_trl(base, start, pairs, out)
        else:
            theirs, ours = train_with_trl(base, start, pairs, out), train_here(base, start, pairs)
        runs.append((ours, theirs))
        print(f"{describe(runs[-1:])}; load {os.getloadavg()[0]:.1f}", flush=True)
        print(*(f"{one:.6f} {other:.6f}" for one, other in zip(ours.losses, theirs.losses, strict=True)), sep="\n")
    print(describe(runs))
    return runs


if __name__ == "__main__":
    main()
