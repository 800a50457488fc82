"""The time that saving a training's state takes, as a share of the training: `python -m tests.bench.state_writes`.

    python -m tests.bench.state_writes --base .braid/models/smollm2-135m-instruct

The trainer runs as a job's does, with checkpoints. Each saved state is put into artifacts as the worker does it, beside
the training; what that takes is the worker's share. The model environment has to be there.
"""

import argparse
import asyncio
import hashlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.adapters.executor import LocalExecutor
from gateway.adapters.trainer import TrainerProgram
from gateway.artifacts import Artifacts
from tests.fakes.trainer import rows
from training.events import Saved, Step
from training.rendered_rows import RowsFile
from training.spec import Recipe, TrainSpec

__all__ = ["Report", "main", "measure"]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a run; seconds are of the time from the first step on until the last."""

    steps: int
    saves: int
    bytes: int
    seconds: float
    trainer_seconds: float
    worker_seconds: float

    def __str__(self) -> str:
        trainer, worker = (100 * spent / self.seconds for spent in (self.trainer_seconds, self.worker_seconds))
        return (
            f"{self.steps} steps in {self.seconds:.0f} s, {self.saves} states of up to {self.bytes / 2**20:.0f} MiB: "
            f"the trainer writes for {trainer:.1f} % of the time, and the worker stores beside it for {worker:.1f} %"
        )


async def measure(python: Path, base: Path, count: int, recipe: Recipe) -> Report:
    """Train once."""
    with tempfile.TemporaryDirectory() as folder:
        work, artifacts = Path(folder), Artifacts(Path(folder) / "artifacts")
        data = rows(count)
        (work / "rows.jsonl").write_bytes(data)
        file = RowsFile(str(work / "rows.jsonl"), hashlib.sha256(data).hexdigest())
        spec = work / "spec.json"
        spec.write_bytes(msgspec.json.encode(TrainSpec(base_model=str(base), rows=file, recipe=recipe)))
        first = last = trainer = worker = 0.0
        steps = saves = size = 0
        state = work / "state.safetensors"
        trainer_program = TrainerProgram(LocalExecutor(python), work / "logs", device="cpu")
        async with trainer_program.train(spec, work / "out", state, work / "checkpoints") as run:
            while event := await run.read_event():
                now = time.monotonic()
                if isinstance(event, Step):
                    first, last, steps = first or now, now, event.step
                if isinstance(event, Saved):
                    saves, size, trainer = saves + 1, max(size, event.bytes), trainer + event.seconds
                    stored = await artifacts.put_path(state)
                    artifacts.remove_file(stored.digest)
                    worker += time.monotonic() - now
            await run.check()
        return Report(steps, saves, size, last - first, trainer, worker)


def main(arguments: list[str]) -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=Path(".venv-model/bin/python"))
    parser.add_argument("--base", type=Path, required=True, help="the folder of a base model")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    recipe = Recipe(epochs=options.epochs, batch_size=4, seed=1)
    print(asyncio.run(measure(options.python, options.base, options.rows, recipe)))


if __name__ == "__main__":
    main(sys.argv[1:])
