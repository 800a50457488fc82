"""Figures of the retriever on this machine: `python -m tests.retrieval.model.measure` in the model environment."""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from retrieval.client import Retriever
from retrieval.messages import IngestRequest, SearchQuery
from tests.retrieval.model.retriever_process import RetrieverProcess

QUESTIONS = ["How long is the warranty of model {n}?", "What does model {n} cost?", "Can I send model {n} back?"]
WORDS = "kettle lid base warranty months price euros steel glass filter scale switch cord handle litre boil".split()


def write_manual(folder: Path, sections: int, seed: int, edited: int | None = None) -> Path:
    source = random.Random(seed)
    parts = [f"# Manual {seed}"]
    for n in range(sections):
        body = " ".join(source.choices(WORDS, k=50))
        months = 31 if n == edited else 24
        parts.append(f"## Model {seed}-{n}\n\nModel {n} has a warranty of {months} months. {body}.")
    path = folder / f"{seed}-{edited}.md"
    path.write_text("\n\n".join(parts))
    return path


def version(path: Path, document: str, index_epoch: int) -> IngestRequest:
    return IngestRequest(
        tenant="t",
        store="s",
        document=document,
        key=document,
        version=index_epoch,
        file_id=document,
        filename=f"{document}.md",
        path=str(path),
        index_epoch=index_epoch,
        max_chunk_tokens=80,
    )


async def measure_searches(retriever: Retriever, index_epoch: int, count: int) -> list[float]:
    milliseconds: list[float] = []
    for n in range(count):
        started = time.perf_counter()
        text = QUESTIONS[n % len(QUESTIONS)].format(n=n)
        await retriever.search(SearchQuery(tenant="t", stores={"s": index_epoch}, text=text, limit=5))
        milliseconds.append((time.perf_counter() - started) * 1000)
    return milliseconds


def write_line(name: str, values: list[float], unit: str) -> None:
    worst = statistics.quantiles(values, n=20)[18]
    sys.stdout.write(f"{name}: p50 {statistics.median(values):.1f} {unit}, p95 {worst:.1f} {unit}, n {len(values)}\n")


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = RetrieverProcess(folder)
        started = time.perf_counter()
        await process.start()
        sys.stdout.write(f"start: {time.perf_counter() - started:.1f} s\n")
        async with Retriever(process.socket) as retriever:
            done = [await retriever.ingest(version(write_manual(folder, 200, n), f"d{n}", n)) for n in range(1, 11)]
            chunks, seconds = sum(one.chunks for one in done), sum(one.seconds for one in done)
            sys.stdout.write(f"ingest: {chunks} chunks, {chunks / seconds:.1f} chunks/s\n")
            write_line(f"search at {chunks} chunks", await measure_searches(retriever, 10, 100), "ms")
            edit = await retriever.ingest(version(write_manual(folder, 200, 1, edited=117), "d1", 11))
            sys.stdout.write(f"one of {edit.chunks} chunks edited: {edit.embedded} embedded, {edit.seconds:.2f} s\n")
            small: list[float] = []
            for index_epoch in range(12, 32):
                path = write_manual(folder, 5, 99, edited=index_epoch % 2)
                started = time.perf_counter()
                await retriever.ingest(version(path, "small", index_epoch))
                small.append(time.perf_counter() - started)
            write_line("re-ingest of a document of 5 chunks", small, "s")
            begun = asyncio.Event()
            busy = asyncio.create_task(
                retriever.ingest(version(write_manual(folder, 2000, 100), "busy", 40), lambda _: begun.set())
            )
            await begun.wait()
            write_line("search during an ingest", await measure_searches(retriever, 31, 50), "ms")
            busy.cancel()
            await asyncio.wait([busy])
        await process.stop()


if __name__ == "__main__":
    asyncio.run(main())
