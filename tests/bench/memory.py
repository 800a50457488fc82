"""Memory over thousands of documents: `python -m tests.bench.memory [--pages 10000]`.

Pages go into one store, with the embedder of tests, and after each thousand the resident memory of gateway, worker and
retriever is printed, each with its own child processes.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.bench.pages import write_page
from tests.bench.promise import make_store, upload
from tests.bench.stack import Stack, open_stack

__all__ = ["measure"]

_MIB = 1024**2
_PROCESSES = ("gateway", "worker", "retriever")


async def measure(
    stack: Stack, pages: int, step: int, show: Callable[[int, dict[str, float]], None]
) -> list[dict[str, float]]:
    """Return the MiB of each process after each `step` pages, and show them then."""
    sizes: list[dict[str, float]] = []
    async with stack.client("reader") as client:
        store = await make_store(client, "handbook")
        for first in range(0, pages, step):
            numbers = range(first, min(first + step, pages))
            await upload(client, store, {f"{n}.md": write_page(n, sections=1) for n in numbers})
            sizes.append({name: _read_size(stack, name) for name in _PROCESSES})
            show(numbers.stop, sizes[-1])
    return sizes


def _read_size(stack: Stack, name: str) -> float:
    process = psutil.Process(stack.processes[name].pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / _MIB


def _write_row(pages: int, sizes: dict[str, float]) -> None:
    sys.stdout.write(f"| {pages:,} | {' | '.join(f'{sizes[name]:.0f} MiB' for name in _PROCESSES)} |\n")
    sys.stdout.flush()


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory")
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--step", type=int, default=1000)
    options = parser.parse_args()
    sys.stdout.write(f"| pages | {' | '.join(_PROCESSES)} |\n|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as home:
        async with open_stack(Path(home), "words") as stack:
            await measure(stack, options.pages, options.step, _write_row)


if __name__ == "__main__":
    asyncio.run(main())
