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
from tests.retrieval.model.conftest import Worker

QUESTIONS = ["How long is the warranty of model {n}?", "What does model {n} cost?", "Can I send model {n} back?"]
WORDS = "kettle lid base warranty months price euros steel glass filter scale switch cord handle litre boil".split()


def manual(folder: Path, sections: int, seed: int, edited: int | None = None) -> Path:
    source = random.Random(seed)
    parts = [f"# Manual {seed}"]
    for n in range(sections):
        body = " ".join(source.choices(WORDS, k=50))
        months = 31 if n == edited else 24
        parts.append(f"## Model {seed}-{n}\n\nModel {n} has a warranty of {months} months. {body}.")
    path = folder / f"{seed}-{edited}.md"
    path.write_text("\n\n".join(parts))
    return path


def version(path: Path, document: str, epoch: int) -> Ingest:
    return IngestRequest(
        tenant="t",
        store="s",
        document=document,
        key=document,
        version=epoch,
        file_id=document,
        filename=f"{document}.md",
        path=str(path),
        epoch=epoch,
        max_chunk_tokens=80,
    )


async def latencies(retriever: Retriever, epoch: int, count: int) -> list[float]:
    taken: list[float] = []
    for n in range(count):
        started = time.perf_counter()
        text = QUESTIONS[n % len(QUESTIONS)].format(n=n)
        await retriever.search(SearchQuery(tenant="t", stores={"s": epoch}, text=text, limit=5))
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def line(name: str, taken: list[float], unit: str) -> None:
    worst = statistics.quantiles(taken, n=20)[18]
    sys.stdout.write(f"{name}: p50 {statistics.median(taken):.1f} {unit}, p95 {worst:.1f} {unit}, n {len(taken)}\n")


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worker = Worker(folder)
        started = time.perf_counter()
        await worker.start()
        sys.stdout.write(f"start: {time.perf_counter() - started:.1f} s\n")
        async with Retriever(worker.socket) as retriever:
            done = [await retriever.ingest(version(manual(folder, 200, n), f"d{n}", n)) for n in range(1, 11)]
            chunks, seconds = sum(one.chunks for one in done), sum(one.seconds for one in done)
            sys.stdout.write(f"ingest: {chunks} chunks, {chunks / seconds:.1f} chunks/s\n")
            line(f"search at {chunks} chunks", await latencies(retriever, 10, 100), "ms")
            edit = await retriever.ingest(version(manual(folder, 200, 1, edited=117), "d1", 11))
            sys.stdout.write(f"one of {edit.chunks} chunks edited: {edit.embedded} embedded, {edit.seconds:.2f} s\n")
            small: list[float] = []
            for epoch in range(12, 32):
                path = manual(folder, 5, 99, edited=epoch % 2)
                started = time.perf_counter()
                await retriever.ingest(version(path, "small", epoch))
                small.append(time.perf_counter() - started)
            line("re-ingest of a document of 5 chunks", small, "s")
            busy = asyncio.create_task(retriever.ingest(version(manual(folder, 2000, 100), "busy", 40)))
            await asyncio.sleep(1)
            line("search during an ingest", await latencies(retriever, 31, 50), "ms")
            busy.cancel()
            await asyncio.wait([busy])
        worker.stop()


if __name__ == "__main__":
    asyncio.run(main())
