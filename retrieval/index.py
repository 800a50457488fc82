"""Documents in, passages out: a store, an embedder and the order of their steps."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from weakref import WeakValueDictionary

from retrieval.conditions import Between
from retrieval.embedder import Embedder
from retrieval.entries import Entry, as_point, entries
from retrieval.filters import compile_filter
from retrieval.fusion import fuse
from retrieval.lanes import Lane, Lanes
from retrieval.parsers import parse
from retrieval.passages import Ingest, Ingested, IngestProgress, Passage, RetrieverInfo, SearchQuery
from retrieval.scope import OPEN, Scope, document_scope, searched_scope, store_scope, visible_scope
from retrieval.sparse import KeywordEncoder
from retrieval.stores import Candidate, Store

__all__ = ["Index", "Report"]

Report = Callable[[IngestProgress], Awaitable[None]]
"""Told about each step of an ingest; what it raises ends the ingest there."""

_EMBED_BATCH = 4
"""Chunks embedded in one go: a question waits for one batch at most (about 80 ms on two slow cores), and on a CPU
larger ones aren't faster (measured: 1 → 13 chunks/s, 2 → 40, 4 → 42, 8 → 41, 16 → 34, 32 → 27)."""

_WRITE_BATCH = 64
_CANDIDATES_PER_PASSAGE = 4
_LEAST_CANDIDATES = 40


class Index:
    """Takes over the store and closes it. Changes of a store run one after the other; searches never wait."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._keywords = KeywordEncoder()
        self._lanes = Lanes("embedder")
        self._changing: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        await self._lanes.close()
        await self._store.close()

    async def info(self) -> RetrieverInfo:
        return RetrieverInfo(
            embedder=self._embedder.identity,
            dimensions=self._embedder.dimensions,
            points=await self._store.count(),
        )

    async def search(self, query: SearchQuery) -> list[Passage]:
        """See `retrieval.client.Retriever.search`."""
        filters = compile_filter(query.filters) if query.filters is not None else None
        if not query.stores and query.tenant:
            return []
        scope = searched_scope(query, filters)
        if query.limit < 1 or not query.text.strip():
            return []
        candidates = await self._store.search(
            scope,
            visible_scope(query),
            await self._lanes.run(Lane.QUERY, self._embedder.question, query.text),
            self._keywords.question(query.text),
            max(query.limit * _CANDIDATES_PER_PASSAGE, _LEAST_CANDIDATES),
        )
        best = fuse(candidates, limit=query.limit, threshold=query.score_threshold)
        return [_passage(candidate, score) for score, candidate in best]

    async def ingest(self, request: Ingest, report: Report) -> Ingested:
        """See `retrieval.client.Retriever.ingest`. Safe to run again for the same epoch."""
        started = time.perf_counter()
        document = document_scope(request.tenant, request.store, request.document)
        parsed = await parse(Path(request.path), request.filename)
        await report(IngestProgress("parsed", len(parsed.text), len(parsed.text)))
        made = await asyncio.to_thread(
            entries, parsed, request, self._embedder.token_offsets, window=self._embedder.window
        )
        await report(IngestProgress("chunked", len(made), len(made)))
        embedded = 0
        async with self._alone(request.tenant, request.store):
            await self._store.delete(document.narrowed(Between("from", gte=request.epoch)))
            for first in range(0, len(made), _WRITE_BATCH):
                embedded += await self._write(request, made, first, report)
            await self._close(document, request.epoch)
        return Ingested(
            chunks=len(made),
            embedded=embedded,
            reused=len(made) - embedded,
            characters=len(parsed.text),
            media_type=parsed.media_type,
            seconds=time.perf_counter() - started,
        )

    async def close_document(self, tenant: str, store: str, document: str, epoch: int) -> None:
        async with self._alone(tenant, store):
            await self._close(document_scope(tenant, store, document), epoch)

    async def remove_document(self, tenant: str, store: str, document: str) -> None:
        async with self._alone(tenant, store):
            await self._store.delete(document_scope(tenant, store, document))

    async def rollback(self, tenant: str, store: str, epoch: int) -> None:
        scope = store_scope(tenant, store)
        async with self._alone(tenant, store):
            await self._store.delete(scope.narrowed(Between("from", gt=epoch)))
            await self._store.set_payload(scope.narrowed(Between("to", gt=epoch, lt=OPEN)), {"to": OPEN})

    async def collect(self, tenant: str, store: str, epoch: int) -> None:
        async with self._alone(tenant, store):
            await self._store.delete(store_scope(tenant, store).narrowed(Between("to", lte=epoch)))

    async def drop_store(self, tenant: str, store: str) -> None:
        async with self._alone(tenant, store):
            await self._store.delete(store_scope(tenant, store))

    async def _write(self, request: Ingest, made: list[Entry], first: int, report: Report) -> int:
        """Write one batch; returns how many of its texts had to be embedded."""
        batch = made[first : first + _WRITE_BATCH]
        digests = list(dict.fromkeys(entry.digest for entry in batch))
        vectors = await self._store.vectors(store_scope(request.tenant, request.store), digests)
        texts = {entry.digest: entry.indexed_text for entry in batch if entry.digest not in vectors}
        missing = list(texts)
        for start in range(0, len(missing), _EMBED_BATCH):
            step = missing[start : start + _EMBED_BATCH]
            embedded = await self._lanes.run(Lane.INGEST, self._embedder.passages, [texts[digest] for digest in step])
            vectors.update(zip(step, embedded, strict=True))
            done = first + len(batch) - len(missing) + start + len(step)
            await report(IngestProgress("embedded", done, len(made)))
        points = [
            as_point(entry, request, vectors[entry.digest], self._keywords.passage(entry.indexed_text))
            for entry in batch
        ]
        await self._store.upsert(points)
        await report(IngestProgress("written", first + len(batch), len(made)))
        return len(missing)

    async def _close(self, document: Scope, epoch: int) -> None:
        present = document.narrowed(Between("from", lt=epoch), Between("to", gte=OPEN))
        await self._store.set_payload(present, {"to": epoch})

    def _alone(self, tenant: str, store: str) -> asyncio.Lock:
        return self._changing.setdefault((tenant, store), asyncio.Lock())


def _passage(candidate: Candidate, score: float) -> Passage:
    payload = candidate.payload
    return Passage(
        id=candidate.id,
        store=payload["store"],
        document=payload["document"],
        key=payload["key"],
        version=payload["version"],
        file_id=payload["file_id"],
        filename=payload["filename"],
        text=payload["text"],
        start=payload["start"],
        end=payload["end"],
        heading=payload["heading"],
        score=score,
        attributes=payload["attributes"],
    )
