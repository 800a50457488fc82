"""Search in an index that grows: `.venv-model/bin/python -m tests.bench.search_scale [--sizes 1000 20000 100000]`.

The embedded backend with made-up vectors, so without the embedder's time: dense and BM25, fused, within one store of
one tenant at its index epoch, when the graph of what came so far has been built. Half of the points are the tenant
that asks, the others are nine tenants' in equal parts; a second tenant, who has a thousand points at every size from
20,000 on, shows what others' points cost. All sizes are asked by turns: what else the machine does slows all alike.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from retrieval.backends import KeywordVector, Point
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.fusion import fuse
from retrieval.messages import SearchQuery
from retrieval.visibility import OPEN, show_to_reader, show_to_search
from tests.waiting import until

__all__ = ["DIMENSIONS", "ChunkSource", "Seconds", "describe", "measure"]

DIMENSIONS = 384
_TOPICS = 200
_VOCABULARY = 20_000
_WORDS = 50
"""Different words of a chunk."""

_QUESTION_WORDS = 8
_BATCH = 500
_CANDIDATES = 40
_SMALL = 1000
_SMALL_SINCE = 20_000
_OTHERS = 9
_GRAPH_SECONDS = 3600


Seconds = dict[tuple[int, str], list[tuple[float, float]]]
"""Of each search, and of the processor in it, by size and tenant."""


class ChunkSource:
    """Draws chunks of some topics: vectors near the topic's, words by their rank's frequency."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        self._topics = self._numbers.normal(size=(_TOPICS, DIMENSIONS))
        frequencies = 1 / np.arange(1, _VOCABULARY + 1)
        self._frequencies = np.cumsum(frequencies / frequencies.sum())

    def draw_vectors(self, count: int) -> list[list[float]]:
        topics = self._topics[self._numbers.integers(_TOPICS, size=count)]
        vectors = topics + self._numbers.normal(size=(count, DIMENSIONS))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).tolist()

    def draw_words(self, count: int) -> KeywordVector:
        terms = np.unique(np.searchsorted(self._frequencies, self._numbers.random(count)))
        return KeywordVector(terms.tolist(), self._numbers.uniform(0.8, 1.6, size=len(terms)).tolist())

    def draw_points(self, first: int, count: int) -> list[Point]:
        """Draw points by their numbers: every other one is the large tenant's."""
        return [
            self._draw_point(_choose_tenant(number), number, vector)
            for number, vector in enumerate(self.draw_vectors(count), first)
        ]

    def _draw_point(self, tenant: str, number: int, vector: list[float]) -> Point:
        payload = {
            "tenant": tenant,
            "store": f"vs-{tenant}",
            "document": f"{tenant}-{number // 10}",
            "digest": f"{tenant}-{number}",
            "from": number // 10 + 1,
            "to": OPEN,
            "text": "words " * 100,
            "attributes": {},
        }
        return Point(str(uuid.UUID(int=self._random.getrandbits(128))), vector, self.draw_words(_WORDS), payload)


def _choose_tenant(number: int) -> str:
    """Return the tenant of a point; the small one's are there when there are 20,000 in all."""
    if number % 2 == 0:
        return "large"
    return "small" if _SMALL_SINCE - 2 * _SMALL <= number < _SMALL_SINCE else f"other{number // 2 % _OTHERS}"


async def _ask(backend: EmbeddedBackend, source: ChunkSource, tenant: str, index_epoch: int) -> tuple[float, float]:
    """Return the seconds of one search, and those of the processor."""
    query = SearchQuery(tenant=tenant, stores={f"vs-{tenant}": index_epoch}, text="", limit=5)
    (vector,), words = source.draw_vectors(1), source.draw_words(_QUESTION_WORDS)
    started, processor = time.perf_counter(), time.process_time()
    candidates = await backend.search(show_to_search(query, None), show_to_reader(query), vector, words, _CANDIDATES)
    best = fuse(candidates, limit=5, threshold=None, unrelated=0.0, weights=query.weights)
    seconds = time.perf_counter() - started, time.process_time() - processor
    assert len(best) == 5
    assert {candidate.payload["tenant"] for _, candidate in best} == {tenant}
    return seconds


async def measure(folder: Path, sizes: list[int], searches: int) -> Seconds:
    """Measure searches at each size, by turns."""
    backends = {size: EmbeddedBackend.open(folder / f"{size}", DIMENSIONS) for size in sorted(sizes)}
    cases = [
        (size, tenant)
        for size in backends
        for tenant in ("large", "small")
        if tenant == "large" or size >= _SMALL_SINCE
    ]
    try:
        for size, backend in backends.items():
            source = ChunkSource()
            for first in range(0, size, _BATCH):
                await backend.upsert(source.draw_points(first, min(_BATCH, size - first)))
            await until(lambda backend=backend: not backend.builds, _GRAPH_SECONDS)
        questions = ChunkSource(1)
        for size, tenant in cases:
            await _ask(backends[size], questions, tenant, size)  # what has to be read from disk is read
        seconds: Seconds = {case: [] for case in cases}
        for _ in range(searches):
            for size, tenant in cases:
                seconds[size, tenant].append(await _ask(backends[size], questions, tenant, size))
    finally:
        for backend in backends.values():
            await backend.close()
    return seconds


def describe(seconds: Seconds) -> str:
    """Write the figures as a table."""
    lines = [
        "| chunks of all tenants | tenant | p50 | p95 | of the processor: p50 | p95 |",
        "|---|---|---|---|---|---|",
    ]
    for (size, tenant), values in seconds.items():
        own = f"{tenant}, {size // 2 if tenant == 'large' else _SMALL:,} chunks"
        columns = [[value * 1000 for value in column] for column in zip(*values, strict=True)]
        cells = [f for column in columns for f in (statistics.median(column), statistics.quantiles(column, n=20)[18])]
        lines.append(f"| {size:,} | {own} | {' | '.join(f'{cell:.1f} ms' for cell in cells)} |")
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search_scale")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 20_000, 100_000])
    parser.add_argument("--searches", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = await measure(Path(folder), options.sizes, options.searches)
    print(describe(seconds))


if __name__ == "__main__":
    asyncio.run(main())
