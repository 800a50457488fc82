"""Training a 7B model on one GPU: peak memory beside the forecast, speed, and the refusal when another has the memory.

    .venv-model/bin/python -m tests.bench.gpu_training                                  two minutes on an H100
    .venv-model/bin/python -m tests.bench.gpu_training --shape small --device cpu       the same path, in a minute

Nothing is fetched: the model has Qwen2.5-7B's shape and random weights, its tokenizer has a token per byte, and rows
are made up. It is trained by `training.run`, as a job is. It needs 20 GB of disk and 40 GB of memory beside the GPU's.
The second run asks for rank 128: at rank 16 this 7B fits beside 60 GiB on a card of 80 GB, with gradient checkpointing.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
class Report:
    """The figures of a run; sizes in bytes."""

    device: str = ""
    forecast: int = 0
    free: int = 0
    peak: int = 0
    micro_batch_tokens: int = 0
    gradient_checkpointing: bool = False
    steps: int = 0
    tokens_per_second: float = 0.0
    first_loss: float = 0.0
    last_loss: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    refusal: str = ""

    def __str__(self) -> str:
        times = ", ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
        return (
            f"device                {self.device}, {self.free / GIB:.1f} GiB free at the start\n"
            f"forecast              {self.forecast / GIB:.2f} GiB\n"
            f"measured peak         {self.peak / GIB:.2f} GiB\n"
            f"way to run            {self.micro_batch_tokens} tokens at once, gradient checkpointing "
            f"{'on' if self.gradient_checkpointing else 'off'}\n"
            f"speed                 {self.tokens_per_second:.0f} tokens per second over {self.steps} steps\n"
            f"loss                  {self.first_loss:.3f} to {self.last_loss:.3f}\n"
            f"times                 {times}\n"
            f"refusal               {self.refusal}"
        )


def main() -> Report:
    """Make the model, train it, be refused, and print the report."""
    parser = argparse.ArgumentParser(description="Measure training on one device.")
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--device", default="cuda", help="as BRAID_TRAINING_DEVICE")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--hold", type=float, default=60.0, help="GiB that another process has at the second run")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="braid-gpu-") as scratch:
        folder = Path(scratch)
        device = list_rooms(options.device)[0].device
        with _timed(report, "making the model"):
            _make_model(folder / "model", SHAPES[options.shape], device)
        rows = _write_rows(folder / "rows.jsonl", options.steps * 8, *ROW_BYTES[options.shape])
        spec = TrainSpec(
            base_model=str(folder / "model"),
            rows=RowsFile(str(rows)),
            recipe=Recipe(epochs=1, batch_size=8, steps=options.steps),
        )
        with _timed(report, "training and proof"):
            _measure(report, spec, folder / "adapter", device)
        wide = msgspec.structs.replace(spec, recipe=msgspec.structs.replace(spec.recipe, rank=128, alpha=256.0))
        report.refusal = _try_beside(report, wide, folder / "second", device, int(options.hold * GIB))
    print(report)
    if options.json:
        options.json.write_text(json.dumps({name: getattr(report, name) for name in Report.__slots__}))
    return report


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


def _write_rows(file: Path, count: int, prompt_bytes: int, reply_bytes: int) -> Path:
    draw = random.Random(0)

    def text(size: int) -> str:
        return "".join(draw.choice("abcdefghijklmnop rstuvwxyz ") for _ in range(size)).strip() or "a"

    rows = (
        [{"role": "user", "content": text(prompt_bytes)}, {"role": "assistant", "content": text(reply_bytes)}]
        for _ in range(count)
    )
    file.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    return file


def _measure(report: Report, spec: TrainSpec, out: Path, device: str) -> None:
    """Train, and take the peak of memory with each step, before the proof begins."""
    before = _reset_peak(device)
    report.device = device

    def send(event: Event) -> None:
        match event:
            case Started():
                report.forecast, report.free = event.memory_forecast or 0, event.memory_free or 0
                report.micro_batch_tokens = event.micro_batch_tokens or 0
                report.gradient_checkpointing = event.gradient_checkpointing
            case Step():
                report.steps, report.tokens_per_second, report.last_loss = (
                    event.step,
                    event.tokens_per_second,
                    event.loss,
                )
                report.first_loss = report.first_loss or event.loss
                report.peak = _read_peak(device) - before
            case Finished():
                pass
            case _:
                print(event, file=sys.stderr)

    run(spec, out, send, device=device)


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


def _try_beside(report: Report, spec: TrainSpec, out: Path, device: str, held_bytes: int) -> str:
    """Train while others have so much memory, and return the reason of the refusal."""
    try:
        with _hold(held_bytes, device), _timed(report, "refusal"):
            run(spec, out, lambda _: None, device=device)
    except TrainingError as error:
        return f"{error.code}: {error.message}"
    return f"none: it was trained beside {held_bytes / GIB:.1f} GiB"


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


@contextmanager
def _timed(report: Report, name: str) -> Generator[None]:
    start = time.monotonic()
    try:
        yield
    finally:
        report.seconds[name] = time.monotonic() - start


if __name__ == "__main__":
    main()
