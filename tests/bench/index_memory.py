"""Memory of the embedded index alone: `.venv-model/bin/python -m tests.bench.index_memory [--chunks 24000]`.

The made-up chunks of `search_scale` go into one index, and after each part the memory of its process is printed: what
is its own, and the pages of files that it has mapped, which are the system's cache. The last row is that of the index
when the graph of what came so far has been built.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.graph import GraphPolicy
from tests.bench.search_scale import DIMENSIONS, ChunkSource
from tests.waiting import until

__all__ = ["measure"]

_KIB_OF_MIB = 1024
_PARTS = 8
_BATCH = 250
_GRAPH_SECONDS = 3600

Row = tuple[int, float, float]
"""Chunks, and MiB: the process's own, and of files."""


async def measure(folder: Path, chunks: int, graph: GraphPolicy) -> list[Row]:
    """Return the memory after each eighth of the chunks, and once the graph is built."""
    source, rows = ChunkSource(), list[Row]()
    backend = await asyncio.to_thread(EmbeddedBackend.open, folder / "index", DIMENSIONS, graph=graph)
    try:
        for first in range(0, chunks, _BATCH):
            last = min(first + _BATCH, chunks)
            await backend.upsert(source.draw_points(first, last - first))
            if last * _PARTS // chunks > first * _PARTS // chunks:
                rows.append(_read_row(last))
        await until(lambda: not backend.builds, _GRAPH_SECONDS)
        rows.append(_read_row(chunks))
    finally:
        await backend.close()
    return rows


def _read_row(chunks: int) -> Row:
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    own, files = (int(lines[name].split()[0]) / _KIB_OF_MIB for name in ("RssAnon", "RssFile"))
    return chunks, own, files


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.index_memory")
    parser.add_argument("--chunks", type=int, default=24_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = await measure(Path(folder), options.chunks, GraphPolicy())
    table = "".join(f"| {chunks:,} | {own:.0f} MiB | {files:.0f} MiB |\n" for chunks, own, files in rows)
    sys.stdout.write(f"| chunks | its own | pages of files |\n|---|---|---|\n{table}")


if __name__ == "__main__":
    asyncio.run(main())
