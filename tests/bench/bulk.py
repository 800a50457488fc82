"""Bulk ingest beside the embedder alone: `python -m tests.bench.bulk [--pages 500] [--embedder words]`.

Pages go in as `braid docs add` sends them. Before that, the same chunks are embedded by the same model in the same
environment and nothing else, in batches of as many as the retriever's.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from gateway.cli.bulk_add import BulkAdd
from tests.bench.pages import write_page
from tests.bench.stack import EMBEDDERS, MODEL_PYTHON, Stack, open_stack
from tests.gateway.worker import ROOT

__all__ = ["Figures", "describe", "measure"]


@dataclass(slots=True)
class Figures:
    """Processor seconds are those of each process and its children while the pages went in."""

    pages: int
    chunks: int
    seconds: float
    processor: dict[str, float]
    raw_chunks: int = 0
    raw_seconds: float = 0.0
    device: str = ""
    batch: int = 0


def write_pages(folder: Path, count: int) -> dict[str, Path]:
    folder.mkdir()
    paths = {f"{n}.md": folder / f"{n}.md" for n in range(count)}
    for number, path in enumerate(paths.values()):
        path.write_text(write_page(number))
    return paths


async def measure(stack: Stack, files: dict[str, Path]) -> Figures:
    """Add the files to a new store."""
    async with stack.client("bulk") as client:
        store = (await client.post("/v1/vector_stores", {"name": "bulk"}))["id"]
        before = _read_processor_times(stack)
        started = time.perf_counter()
        rows = await BulkAdd(client, store, quiet=True).add(files)
        seconds = time.perf_counter() - started
    assert all(row["status"] == "completed" for row in rows), rows
    processor = {name: value - before[name] for name, value in _read_processor_times(stack).items()}
    return Figures(len(rows), sum(row["chunks"] for row in rows), seconds, processor)


def _read_processor_times(stack: Stack) -> dict[str, float]:
    times = {name: psutil.Process(process.pid).cpu_times() for name, process in stack.processes.items()}
    return {name: sum(of_process[:4]) for name, of_process in times.items()}


async def embed_alone(folder: Path, embedder: str, figures: Figures) -> None:
    """Have a process of the model environment embed the same chunks, and nothing else."""
    process = await asyncio.create_subprocess_exec(
        *(str(MODEL_PYTHON), "-m", "tests.bench.embedder_alone", str(folder), embedder),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    alone = json.loads(output.splitlines()[-1])
    figures.raw_chunks, figures.raw_seconds = alone["chunks"], alone["seconds"]
    figures.device, figures.batch = alone["device"], alone["batch"]


def describe(figures: Figures) -> str:
    rate, raw = figures.chunks / figures.seconds, figures.raw_chunks / figures.raw_seconds
    processor = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in figures.processor.items())
    return (
        f"{figures.pages} pages, {figures.chunks} chunks: {figures.seconds:.1f} s, {rate:.1f} chunks per second\n"
        f"the embedder alone on {figures.device}, {figures.batch} at once: {figures.raw_seconds:.1f} s for "
        f"{figures.raw_chunks} chunks, {raw:.1f} per second\n"
        f"bulk ingest is {rate / raw:.0%} of it; processor time: {processor}"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bulk")
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--embedder", choices=EMBEDDERS, default="packaged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home, folder = Path(scratch) / "home", Path(scratch) / "pages"
        home.mkdir()
        files = write_pages(folder, options.pages)
        async with open_stack(home, options.embedder) as stack:
            figures = await measure(stack, files)
        await embed_alone(folder, options.embedder, figures)
    sys.stdout.write(f"{describe(figures)}\n")


if __name__ == "__main__":
    asyncio.run(main())
