"""Searches through `/v1` one at a time: `python -m tests.bench.search_latency [--chunks 2000] [--questions 200]`.

Gateway, worker and retriever are processes of their own, as `braid up` starts them. Each question is asked three ways,
one after the other, so that all see the same load: as a search through `/v1`, as the gateway asks it of the
retriever's socket, and as a text to embed there, which is what the embedder alone costs.
"""

import argparse
import asyncio
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from gateway.cli.bulk_add import BulkAdd
from gateway.client import Client
from retrieval.client import Retriever
from retrieval.messages import EmbedRequest, SearchQuery
from tests.bench.pages import WORDS, write_page
from tests.bench.stack import EMBEDDERS, Stack, open_stack

__all__ = ["Figures", "describe", "measure"]

_CHUNKS_PER_PAGE = 12
_WARM_UP = 5
_LIMIT = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """Attributes:
    chunks: Of the store.
    milliseconds: Of each question, by stage; some stages are differences of the same question's times.
    processor: Milliseconds of the processor per search through `/v1`, by process.
    """

    chunks: int
    milliseconds: dict[str, list[float]]
    processor: dict[str, float]


async def measure(stack: Stack, folder: Path, *, chunks: int, questions: int) -> Figures:
    """Fill a store of about so many chunks, and ask it."""
    folder.mkdir()
    paths = {f"{n}.md": folder / f"{n}.md" for n in range(max(chunks // _CHUNKS_PER_PAGE, 1))}
    for number, path in enumerate(paths.values()):
        path.write_text(write_page(number))
    async with stack.client("latency") as client, Retriever(stack.settings.retriever_socket) as retriever:
        store = (await client.post("/v1/vector_stores", {"name": "handbook"}))["id"]
        rows = await BulkAdd(client, store, quiet=True).add(paths)
        query = await asyncio.to_thread(_read_query, stack, store, (await retriever.describe()).index)
        source = random.Random(0)
        texts = [_write_question(source) for _ in range(_WARM_UP + questions)]
        times: list[tuple[float, float, float]] = []
        used: dict[str, float] = {}
        for text in texts:
            before = _read_processor(stack)
            through = await _time_request(client, store, text)
            for name, value in _read_processor(stack).items():
                used[name] = used.get(name, 0.0) + value - before[name]
            times.append((through, *await _time_retriever(retriever, query, text)))
    return Figures(
        sum(row["chunks"] for row in rows),
        _to_stages(times[_WARM_UP:]),
        {name: value * 1000 / len(texts) for name, value in used.items()},
    )


def _write_question(source: random.Random) -> str:
    words = " ".join(source.choices(WORDS, k=source.randint(3, 11)))
    return f"{source.choice(('How does', 'What is', 'When can'))} {words}?"


def _read_query(stack: Stack, store: str, index: str) -> SearchQuery:
    """Return the query of a search in that store, without its text, as the gateway makes it."""
    with closing(sqlite3.connect(stack.settings.home / "braid.db")) as database:
        columns = "SELECT tenant_id, index_epoch FROM vector_stores WHERE id = ?"
        tenant, index_epoch = database.execute(columns, (store,)).fetchone()
    return SearchQuery(tenant=tenant, stores={store: index_epoch}, text="", limit=_LIMIT, indexes=[index])


async def _time_request(client: Client, store: str, text: str) -> float:
    """Return the milliseconds of a search through `/v1`."""
    started = time.perf_counter()
    page = await client.post(f"/v1/vector_stores/{store}/search", {"query": text, "max_num_results": _LIMIT})
    milliseconds = (time.perf_counter() - started) * 1000
    assert len(page["data"]) == _LIMIT, text
    return milliseconds


async def _time_retriever(retriever: Retriever, query: SearchQuery, text: str) -> tuple[float, float]:
    """Return the milliseconds of the same search by the socket, and of the text's vector."""
    started = time.perf_counter()
    assert len(await retriever.search(msgspec.structs.replace(query, text=text))) == _LIMIT
    searched = time.perf_counter()
    await retriever.embed(EmbedRequest([text]))
    return (searched - started) * 1000, (time.perf_counter() - searched) * 1000


def _read_processor(stack: Stack) -> dict[str, float]:
    times = {name: psutil.Process(process.pid).cpu_times() for name, process in stack.processes.items()}
    return {name: of_process.user + of_process.system for name, of_process in times.items()}


def _to_stages(times: Sequence[tuple[float, float, float]]) -> dict[str, list[float]]:
    return {
        "through /v1": [through for through, _, _ in times],
        "of it HTTP and gateway": [through - asked for through, asked, _ in times],
        "the retriever's socket, whole": [asked for _, asked, _ in times],
        "of it the index": [asked - embedded for _, asked, embedded in times],
        "of it the embedder": [embedded for _, _, embedded in times],
    }


def describe(figures: Figures) -> str:
    """Write the figures as a table, with the machine under it."""
    lines = [f"| {figures.chunks:,} chunks | p50 | p95 |", "|---|---|---|"]
    for stage, values in figures.milliseconds.items():
        worst = statistics.quantiles(values, n=20)[18]
        lines.append(f"| {stage} | {statistics.median(values):.1f} ms | {worst:.1f} ms |")
    processor = ", ".join(f"{name} {value:.1f} ms" for name, value in figures.processor.items())
    lines.append(f"Of the processor per search through /v1: {processor}. {_describe_machine()}")
    return "\n".join(lines)


def _describe_machine() -> str:
    """Name the processor, its cores and what else it does."""
    information = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    names = [line.partition(":")[2].strip() for line in information.splitlines() if line.startswith("model name")]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, load {load}"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search_latency")
    parser.add_argument("--chunks", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--embedder", choices=EMBEDDERS, default="packaged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        async with open_stack(home, options.embedder) as stack:
            pages = Path(scratch) / "pages"
            figures = await measure(stack, pages, chunks=options.chunks, questions=options.questions)
    sys.stdout.write(f"{describe(figures)}\n")


if __name__ == "__main__":
    asyncio.run(main())
