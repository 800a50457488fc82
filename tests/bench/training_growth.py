"""Time and memory by rows: `.venv-model/bin/python -m tests.bench.training_growth [--rows 200 1000 5000]`.

    … --base FOLDER --rows 50 100 200      on a base model's checkpoint, such as the packaged one's

The trainer as a worker starts it, on a model of two random layers, one epoch in batches of 8: what grows is reading,
rendering and tokenizing rows, the steps and their events, and the state that is saved. Of each process the seconds of
the processor, those of the clock and the peak of its memory are taken. Growth is told by the processor's time of a row
between one size and the next, which leaves out the start (imports, the model, the proof): equal times mean that it is
linear.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from tests.bench.training_vs_trl import make_conversations
from tests.training.chat_templates import PLAIN
from tests.training.model.tiny import write_checkpoint
from training.events import Finished, decode_event
from training.rendered_rows import RowsFile
from training.spec import Recipe, TrainSpec

__all__ = ["Growth", "describe", "main", "measure"]

_WORDS = 40  # of a passage at most: a token is a byte here
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Growth:
    """A training of so many rows; memory in MiB."""

    rows: int
    cpu: float
    wall: float
    peak: float


def measure(base: Path, rows: int, folder: Path) -> Growth:
    """Train in a process of its own."""
    file = folder / f"{rows}.jsonl"
    lines = (
        {"messages": [{"role": message.role, "content": message.content} for message in messages]}
        for messages in make_conversations(rows, _WORDS)
    )
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=1e-3, max_length=4096)
    spec = folder / f"{rows}.json"
    spec.write_bytes(msgspec.json.encode(TrainSpec(base_model=str(base), rows=RowsFile(str(file)), recipe=recipe)))
    out, state = folder / f"{rows}", folder / f"{rows}.state"
    command = [sys.executable, "-m", "training", "run", str(spec), "--out", str(out), "--state", str(state)]
    started = time.monotonic()
    with (folder / f"{rows}.events").open("wb") as events, (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--device", "cpu"], cwd=_ROOT, stdout=events, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    last = (folder / f"{rows}.events").read_bytes().splitlines()[-1]
    if not isinstance(decode_event(last), Finished):
        raise SystemExit(last.decode())
    return Growth(rows, usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def describe(sizes: Sequence[Growth]) -> str:
    """Return the table."""
    lines = [
        "| rows | processor, s | clock, s | ms of the processor per further row | peak, MiB |",
        "|---|---|---|---|---|",
    ]
    for before, one in zip([None, *sizes], sizes, strict=False):
        slope = "" if before is None else f"{1000 * (one.cpu - before.cpu) / (one.rows - before.rows):.1f}"
        lines.append(f"| {one.rows:,} | {one.cpu:.1f} | {one.wall:.1f} | {slope} | {one.peak:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure each size, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.training_growth")
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 1000, 5000])
    parser.add_argument("--base", type=Path, help="the folder of a base model; else two random layers")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="braid-growth-") as scratch:
        folder = Path(scratch)
        base = options.base or write_checkpoint(folder / "base", PLAIN)
        sizes = [measure(base, rows, folder) for rows in sorted(options.rows)]
    print(describe(sizes))
    print(f"load {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in sizes]))


if __name__ == "__main__":
    main()
