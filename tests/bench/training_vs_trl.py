"""Training beside TRL's, on the same rows: `.venv-model/bin/python -m tests.bench.training_vs_trl --trl FOLDER`.

TRL is no dependency of Braid's. A folder beside the environment has it, so that both train with one torch, one
transformers and one PEFT:

    .venv/bin/uv pip install --python .venv-model/bin/python --target FOLDER --no-deps --only-binary :all: \
        trl==1.16.0 datasets==5.2.0 pyarrow==24.0.0 dill multiprocess xxhash pandas python-dateutil six psutil

Both get the packaged model, the same type of numbers, LoRA on all linear layers, the same tokens and the same masks,
and train one epoch in batches of 8, in turns. TRL runs as it comes but for what would change the work: no packing, no
gradient checkpointing, no limit of the length. Counted are the tokens of the rows, without padding, per second of the
processor's time, and of the clock's, in the training call alone: not in loading a model or preparing rows.
"""

import argparse
import gc
import importlib
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.base_checkpoint import provide_base_checkpoint
from training.dataset import Message
from training.hardware import TrainingDevice, choose_training_hardware, list_rooms
from training.loop import Trainer
from training.model import AdaptedModel
from training.output import do_nothing
from training.spec import Recipe
from training.tokenization import RowTokenizer, TokenizedRow

__all__ = [
    "BATCH",
    "TRL_SETTINGS",
    "Ratio",
    "Sample",
    "check_folder",
    "compare",
    "describe",
    "main",
    "make_conversations",
    "make_table",
    "time_training",
]

VERSIONS = {"trl": "1.16.0", "datasets": "5.2.0"}
BATCH = 8
TRL_SETTINGS: Mapping[str, Any] = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": BATCH,
    "max_length": None,
    "gradient_checkpointing": False,
    "bf16": False,
    "use_cpu": True,
    "dataloader_pin_memory": False,
    "save_strategy": "no",
    "report_to": "none",
    "logging_steps": 1,
    "disable_tqdm": True,
}
"""Of TRL's trainers, so that they compute what Braid's does and no more."""
_RATE = 7e-4
_WORDS = (
    "the order parcel was sent to our shop on monday and will be there in two days please keep your receipt".split()
)
# Student's t for 95 %, by degrees of freedom from 1.
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


@dataclass(frozen=True, slots=True)
class Sample:
    """One training: seconds of the processor and of the clock, and the mean loss of its first step."""

    cpu: float
    wall: float
    loss: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast, by pairs of neighbouring trainings: the geometric mean, and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} – {self.high:.2f})"


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Return their seconds by ours; one pair has no interval."""
    logs = [math.log(other / one) for one, other in zip(ours, theirs, strict=True)]
    middle = statistics.fmean(logs)
    if len(logs) == 1:
        return Ratio(math.exp(middle), math.nan, math.nan)
    half = _T[min(len(logs) - 1, len(_T)) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def make_conversations(count: int, longest: int = 320) -> list[list[Message]]:
    """Return questions behind passages of up to so many words, and replies of two sentences, as support has them."""
    draw = random.Random(0)

    def write(least: int, most: int) -> str:
        return " ".join(draw.choice(_WORDS) for _ in range(draw.randint(least, most))).capitalize() + "."

    return [
        [
            Message("system", "You answer for Kestrel, in two or three friendly sentences."),
            Message("user", f"{write(20, longest)} {write(6, 20)[:-1]}?"),
            Message("assistant", f"{write(8, 24)} {write(8, 24)}"),
        ]
        for _ in range(count)
    ]


def train_here(base: Path, rows: Sequence[TokenizedRow], hardware: TrainingDevice) -> Sample:
    """Train with Braid's loop."""
    recipe = Recipe(epochs=1, batch_size=BATCH, learning_rate=_RATE)
    trainer = Trainer(AdaptedModel.create(base, recipe, hardware, "base"), recipe, rows, [], lambda _: None)
    losses: list[float] = []

    def train() -> None:
        losses.extend(trainer.train().losses)

    return time_training(train, losses)


def train_with_trl(base: Path, rows: Sequence[TokenizedRow], hardware: TrainingDevice, out: Path) -> Sample:
    """Train with TRL's trainer, on rows that are tokenized and masked already."""
    trl = importlib.import_module("trl")
    columns = {
        "input_ids": [row.tokens for row in rows],
        "labels": [
            [token if on else -100 for token, on in zip(row.tokens, row.loss_mask, strict=True)] for row in rows
        ],
    }
    settings = trl.SFTConfig(output_dir=str(out), learning_rate=_RATE, packing=False, **TRL_SETTINGS)
    trainer = trl.SFTTrainer(
        model=cast("Any", AutoModelForCausalLM).from_pretrained(base, dtype=hardware.dtype),
        args=settings,
        train_dataset=make_table(columns),
        processing_class=cast("Any", AutoTokenizer).from_pretrained(base),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    losses: list[float] = []

    def train() -> None:
        trainer.train()
        losses.extend(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)

    return time_training(train, losses)


def make_table(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return TRL's kind of table.

    It has a name of ours: on some versions of dill the table can't be pickled, by whose bytes datasets names it.
    """
    table = importlib.import_module("datasets.table").InMemoryTable.from_pydict(columns)
    return importlib.import_module("datasets").Dataset(table, fingerprint="rows")


def time_training(train: Callable[[], None], losses: Sequence[float]) -> Sample:
    """Run a training, which adds the losses of its steps."""
    gc.collect()
    cpu, wall = time.process_time(), time.monotonic()
    train()
    return Sample(time.process_time() - cpu, time.monotonic() - wall, statistics.fmean(losses))


def main() -> None:
    """Train in turns, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.training_vs_trl")
    parser.add_argument("--trl", type=Path, required=True, help="the folder that has TRL and what it needs")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="else what a training takes here")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    check_folder(options.trl, "tests.bench.training_vs_trl")
    hardware = choose_training_hardware(list_rooms("cpu")[0])
    if options.dtype:
        hardware = TrainingDevice("cpu", getattr(torch, options.dtype))
    with tempfile.TemporaryDirectory(prefix="braid-trl-") as folder:
        pairs = _train_in_turns(Path(folder), hardware, options.rows, options.rounds)
    if options.json:
        figures = {"dtype": hardware.dtype_name, "pairs": [[asdict(ours), asdict(theirs)] for ours, theirs in pairs]}
        options.json.write_text(json.dumps(figures))


def _train_in_turns(folder: Path, hardware: TrainingDevice, count: int, rounds: int) -> list[tuple[Sample, Sample]]:
    base, out = folder / "base", folder / "out"
    provide_base_checkpoint(base, None, "float32", lambda _: None, do_nothing)
    tokenizer = RowTokenizer.load(base)
    conversations = enumerate(make_conversations(count), 1)
    rows = [row for number, messages in conversations for row in tokenizer.tokenize(number, messages)]
    tokens, replies = sum(row.length for row in rows), sum(row.replies for row in rows)
    print(f"{len(rows)} rows of {tokens} tokens, {replies} in replies; {hardware.dtype_name}", flush=True)
    # The first steps of a process allocate its memory.
    train_here(base, rows[:2], hardware)
    train_with_trl(base, rows[:2], hardware, out)
    pairs: list[tuple[Sample, Sample]] = []
    for number in range(rounds):
        if number % 2 == 0:
            ours, theirs = train_here(base, rows, hardware), train_with_trl(base, rows, hardware, out)
        else:
            theirs, ours = train_with_trl(base, rows, hardware, out), train_here(base, rows, hardware)
        pairs.append((ours, theirs))
        print(f"{describe(tokens, pairs[-1:])}; load {os.getloadavg()[0]:.1f}", flush=True)
    print(describe(tokens, pairs))
    return pairs


def check_folder(folder: Path, module: str) -> None:
    """Go on in a process of the module that imports TRL from the folder.

    Raises:
        SystemExit: It has none.
    """
    if not (folder / "trl").is_dir():
        raise SystemExit(f"{folder} doesn't have trl: fill it as the head of {__file__} says.")
    _start_over(folder, module)
    installed = {name: version(name) for name in VERSIONS}
    if installed != VERSIONS:
        print(f"Other versions than the pinned ones: {installed}.", file=sys.stderr)


def _start_over(folder: Path, module: str) -> None:
    """Take this process's place, with the packages of the folder before others, and threads that sleep as they wait.

    Else they spin, in both: that is no work, and on a busy machine most of the time.
    """
    path = str(folder.resolve())
    if path in sys.path:
        return
    variables = {
        "PYTHONPATH": os.pathsep.join([path, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **variables})


def describe(tokens: int, pairs: Sequence[tuple[Sample, Sample]]) -> str:
    """Return a line with the medians of both, ours first, and the ratios."""
    texts: list[str] = []
    for name in ("cpu", "wall"):
        ours, theirs = ([getattr(pair[side], name) for pair in pairs] for side in (0, 1))
        speeds = " and ".join(f"{tokens / statistics.median(seconds):.0f}" for seconds in (ours, theirs))
        texts.append(f"{speeds} tokens per second of {name} time, ratio {compare(ours, theirs)}")
    losses = " and ".join(f"{statistics.fmean(pair[side].loss for pair in pairs):.3f}" for side in (0, 1))
    return "; ".join([*texts, f"mean loss {losses}"])


if __name__ == "__main__":
    main()
