"""Memory over thousands of documents: `python -m tests.bench.memory [--pages 10000]`.

Pages go into one store, with the embedder of tests, and after each thousand the memory of gateway, worker and retriever
is printed, each with its own child processes: what is theirs alone, and with the pages of files that they have mapped,
which are the system's cache: it drops them when it needs the memory.
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

__all__ = ["Sizes", "measure"]

_MIB = 1024**2
_PROCESSES = ("gateway", "worker", "retriever")

Sizes = dict[str, tuple[float, float]]


async def measure(stack: Stack, pages: int, step: int, show: Callable[[int, Sizes], None]) -> list[Sizes]:
    """Return the MiB of each process after each `step` pages, its own and with files, and show them then."""
    sizes: list[Sizes] = []
    async with stack.client("reader") as client:
        store = await make_store(client, "handbook")
        for first in range(0, pages, step):
            numbers = range(first, min(first + step, pages))
            await upload(client, store, {f"{n}.md": write_page(n, sections=1) for n in numbers})
            sizes.append({name: _read_size(stack, name) for name in _PROCESSES})
            show(numbers.stop, sizes[-1])
    return sizes


def _read_size(stack: Stack, name: str) -> tuple[float, float]:
    process = psutil.Process(stack.processes[name].pid)
    sizes = [one.memory_info() for one in (process, *process.children(recursive=True))]
    return sum(size.rss - size.shared for size in sizes) / _MIB, sum(size.rss for size in sizes) / _MIB


def _write_row(pages: int, sizes: Sizes) -> None:
    row = " | ".join("{:.0f} MiB of {:.0f}".format(*sizes[name]) for name in _PROCESSES)
    sys.stdout.write(f"| {pages:,} | {row} |\n")
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
