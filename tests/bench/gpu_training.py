"""Training a 7B model on one GPU: peak memory beside the forecast, and speed, of replies, of the same on a base in 4
bits, and of preferences; then the refusal when another has the memory.

    .venv-model/bin/python -m tests.bench.gpu_training                                  some minutes on an H100
    .venv-model/bin/python -m tests.bench.gpu_training --shape small --device cpu       the same path, in a minute

Nothing is fetched: the model has Qwen2.5-7B's shape and random weights, its tokenizer has a token per byte, and rows
are made up. It is trained by `training.run`, as a job is. It needs 20 GB of disk and 40 GB of memory beside the GPU's.
Preferences are learnt on from the first adapter. The last run asks for rank 128: at rank 16 this 7B fits beside 60 GiB
on a card of 80 GB, with gradient checkpointing.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import msgspec
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

from training.errors import TrainingError
from training.events import Event, Finished, Started, Step
from training.hardware import Room, list_rooms
from training.memory_plan import GIB
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec

__all__ = ["Report", "main"]

SHAPES: dict[str, dict[str, int]] = {
    "7b": {
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    "135m": {
        "vocab_size": 49_152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "small": {
        "vocab_size": 512,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
ROW_BYTES = {"7b": (1100, 300), "135m": (1100, 300), "small": (90, 30)}
"""Prompt and reply of a row."""

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HOLD = (
    "import sys, torch; x = torch.empty(int(sys.argv[1]), dtype=torch.uint8, device=sys.argv[2]); "
    "print('ready', flush=True); sys.stdin.read()"
)


@dataclass(slots=True)
class Figures:
    """The figures of a run; sizes in bytes. `refusal` says why there are none."""

    forecast: int = 0
    peak: int = 0
    micro_batch_tokens: int = 0
    gradient_checkpointing: bool = False
    steps: int = 0
    tokens_per_second: float = 0.0
    first_loss: float = 0.0
    last_loss: float = 0.0
    seconds: float = 0.0
    refusal: str = ""

    def __str__(self) -> str:
        if self.refusal:
            return f"refused: {self.refusal}"
        return (
            f"forecast {self.forecast / GIB:.2f} GiB, measured peak {self.peak / GIB:.2f} GiB, "
            f"{self.micro_batch_tokens} tokens at once, gradient checkpointing "
            f"{'on' if self.gradient_checkpointing else 'off'}, {self.tokens_per_second:.0f} tokens per second over "
            f"{self.steps} steps, loss {self.first_loss:.3f} to {self.last_loss:.3f}, {self.seconds:.1f} s in all"
        )


@dataclass(slots=True)
class Report:
    """The device with the bytes that were free on it, and the figures of each method."""

    device: str
    free: int
    methods: dict[str, Figures] = field(default_factory=dict[str, Figures])
    refusal: str = ""

    def __str__(self) -> str:
        lines = [f"device                {self.device}, {self.free / GIB:.1f} GiB free at the start"]
        lines += [f"{name:<22}{figures}" for name, figures in self.methods.items()]
        return "\n".join([*lines, f"refusal               {self.refusal}"])


def main() -> Report:
    """Make the model, train it by each method, be refused, and print the report."""
    parser = argparse.ArgumentParser(description="Measure training on one device.")
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--device", default="cuda", help="as BRAID_TRAINING_DEVICE")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--hold", type=float, default=60.0, help="GiB that another process has at the last run")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    room = list_rooms(options.device)[0]
    report = Report(room.device, room.free)
    with tempfile.TemporaryDirectory(prefix="braid-gpu-") as scratch:
        folder = Path(scratch)
        _make_model(folder / "model", SHAPES[options.shape], room.device)
        sizes = ROW_BYTES[options.shape]
        rows, pairs = (
            _write_rows(folder / f"{make.__name__}.jsonl", options.steps * 8, make, *sizes)
            for make in (_make_row, _make_pair)
        )
        recipe = Recipe(epochs=1, batch_size=8, steps=options.steps)
        spec = TrainSpec(base_model=str(folder / "model"), rows=RowsFile(str(rows)), recipe=recipe)
        learnt = str(folder / "sft")
        specs = {
            "sft": spec,
            "qlora": _change(spec, quantization="nf4"),
            "dpo": msgspec.structs.replace(_change(spec, method="dpo"), rows=RowsFile(str(pairs)), start=learnt),
        }
        for name, one in specs.items():
            report.methods[name] = _measure(one, folder / name, room.device)
            print(f"{name:<22}{report.methods[name]}", file=sys.stderr, flush=True)
        report.refusal = _try_beside(_change(spec, rank=128, alpha=256.0), folder / "last", room.device, options.hold)
    print(report)
    if options.json:
        options.json.write_text(json.dumps(asdict(report)))
    return report


def _change(spec: TrainSpec, **changes: Any) -> TrainSpec:
    return msgspec.structs.replace(spec, recipe=msgspec.structs.replace(spec.recipe, **changes))


def _make_model(folder: Path, shape: dict[str, int], device: str) -> None:
    config = Qwen2Config(**cast("Any", shape), max_position_embeddings=32_768, eos_token_id=257, bos_token_id=256)
    torch.manual_seed(0)
    with torch.device(device):
        model = cast("Any", AutoModelForCausalLM).from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    alphabet = {token: number for number, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def _write_rows(
    file: Path, count: int, make: Callable[[random.Random, int, int], Any], prompt_bytes: int, reply_bytes: int
) -> Path:
    draw = random.Random(0)
    file.write_text("".join(json.dumps(make(draw, prompt_bytes, reply_bytes)) + "\n" for _ in range(count)))
    return file


def _make_row(draw: random.Random, prompt_bytes: int, reply_bytes: int) -> Any:
    question, reply = _write_text(draw, prompt_bytes), _write_text(draw, reply_bytes)
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]}


def _make_pair(draw: random.Random, prompt_bytes: int, reply_bytes: int) -> Any:
    question, *replies = (_write_text(draw, size) for size in (prompt_bytes, reply_bytes, reply_bytes))
    better, worse = ([{"role": "assistant", "content": reply}] for reply in replies)
    prompt = {"messages": [{"role": "user", "content": question}]}
    return {"input": prompt, "preferred_output": better, "non_preferred_output": worse}


def _write_text(draw: random.Random, size: int) -> str:
    return "".join(draw.choice("abcdefghijklmnop rstuvwxyz ") for _ in range(size)).strip() or "a"


def _measure(spec: TrainSpec, out: Path, device: str) -> Figures:
    """Train, and take the peak of memory with each step, before the proof begins."""
    before, started = _reset_peak(device), time.monotonic()
    figures = Figures()

    def send(event: Event) -> None:
        match event:
            case Started():
                figures.forecast = event.memory_forecast or 0
                figures.micro_batch_tokens = event.micro_batch_tokens or 0
                figures.gradient_checkpointing = event.gradient_checkpointing
            case Step():
                figures.steps, figures.tokens_per_second, figures.last_loss = (
                    event.step,
                    event.tokens_per_second,
                    event.loss,
                )
                figures.first_loss = figures.first_loss or event.loss
                figures.peak = _read_peak(device) - before
            case Finished():
                pass
            case _:
                print(event, file=sys.stderr)

    try:
        run(spec, out, send, device=device)
    except TrainingError as error:
        figures.refusal = f"{error.code}: {error.message}"
    figures.seconds = time.monotonic() - started
    return figures


def _reset_peak(device: str) -> int:
    """Begin a new peak, and return the bytes that aren't part of it."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        return 0
    Path("/proc/self/clear_refs").write_text("5")
    return _read_status("VmRSS")


def _read_peak(device: str) -> int:
    """Return the most since `_reset_peak`: what torch had on a GPU, or on the processor this process."""
    return _read_status("VmHWM") if device == "cpu" else torch.cuda.max_memory_reserved(device)


def _read_status(name: str) -> int:
    # Not getrusage: its peak begins with that of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def _try_beside(spec: TrainSpec, out: Path, device: str, hold: float) -> str:
    """Train while others have so many GiB, and return the reason of the refusal, and how soon it came."""
    started = time.monotonic()
    try:
        with _hold(int(hold * GIB), device):
            run(spec, out, lambda _: None, device=device)
    except TrainingError as error:
        return f"{error.code}: {error.message} (after {time.monotonic() - started:.1f} s)"
    return f"none: it was trained beside {hold:.1f} GiB"


@contextmanager
def _hold(held_bytes: int, device: str) -> Generator[None]:
    """Have another process hold memory of a GPU; on the processor, where that harms others, only pretend it."""
    if device == "cpu":
        rooms = [_shrink(room, held_bytes) for room in list_rooms(device)]
        with patch("training.room.list_rooms", lambda _: rooms):
            yield
        return
    torch.cuda.empty_cache()
    command = [sys.executable, "-c", HOLD, str(held_bytes), device]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        try:
            yield
        finally:
            holder.stdin.close()


def _shrink(room: Room, held_bytes: int) -> Room:
    return replace(room, free=max(0, room.free - held_bytes))


if __name__ == "__main__":
    main()
