"""Qdrant's own engine inside this process (qdrant-edge-py): one shard, one owner, no server.

`optimize()` is never called here: it holds the interpreter for its whole run. Another process builds the graph of the
vectors (`graph`), beside searches and changes. Beyond 100,000 points or so use a server.
"""

import asyncio
import ctypes
import logging
import math
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from retrieval.backends.document_frequencies import DocumentFrequencies
from retrieval.backends.graph import GraphPolicy, build_graph
from retrieval.backends.protocol import (
    DENSE,
    KEYWORDS,
    RECORDS,
    Candidate,
    KeywordVector,
    Point,
)
from retrieval.backends.reach import measure_reach, to_share
from retrieval.backends.shard_folder import name_copy, open_shard, replace_shard
from retrieval.errors import RetrieverFailed
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not, list_parts
from retrieval.priority_threads import Priority, PriorityThreads
from retrieval.visibility import Visibility

__all__ = ["EmbeddedBackend"]

_PAGE = 256
_COUNTED_PAGE = 1000

_GRAPH_LOOKS = 10
"""The number of looks whether a graph is wanted, while as many points come as are the least for it."""

_NOBODY = "00000000-0000-0000-0000-000000000000"
_ALIKE = math.log(2)
_ALL_ALIKE = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter(must=[edge.HasIdCondition({_NOBODY})])))
"""The engine weighs a question's terms by a corpus, and can't be told not to. In one without points all weigh `_ALIKE`:
what tells them apart is in the question's vector (`document_frequencies`), for which no point has to be counted."""

_POLICY = GraphPolicy()
_log = logging.getLogger(__name__)


class EmbeddedBackend:
    """An `IndexBackend` on disk. All work runs in one thread, searches first."""

    def __init__(self, shard: edge.EdgeShard, folder: Path, dimensions: int, graph: GraphPolicy) -> None:
        self._shard = shard
        self._folder = folder
        self._dimensions = dimensions
        self._threads = PriorityThreads("edge shard")
        self._open = asyncio.Event()
        self._open.set()
        self._changing = asyncio.Lock()
        self._resumes = 0
        self._frequencies = DocumentFrequencies(self._read_terms)
        self._graph = graph
        self._building: asyncio.Task[None] | None = None
        self._journal: list[edge.UpdateOperation] | None = None
        self._unseen = graph.least  # what came before this start

    @classmethod
    def open(cls, folder: Path, dimensions: int, *, graph: GraphPolicy = _POLICY) -> "EmbeddedBackend":
        """Open the shard in `folder`, or make one there (`shard_folder.open_shard`).

        Raises:
            IndexLocked: Another process has it open.
            IndexUnreadable: It can't be read for a reason that lies outside of it.
        """
        return cls(open_shard(folder, dimensions), folder, dimensions, graph)

    @property
    def builds(self) -> bool:
        """Whether the graph is being built."""
        return self._building is not None

    async def search(
        self,
        visibility: Visibility,
        corpus: Visibility,
        dense: Sequence[float],
        keywords: KeywordVector,
        candidates: int,
    ) -> list[Candidate]:
        self._look_at_graph()
        weights = await self._frequencies.weigh(corpus, keywords.indices) if keywords.indices else []
        words = _weigh(keywords, weights)
        reach = measure_reach(weights, len(keywords.indices))
        return await self._threads.run(Priority.QUERY, self._search, visibility, dense, words, reach, candidates)

    def _search(
        self,
        visibility: Visibility,
        dense: Sequence[float],
        words: "edge.SparseVector | None",
        reach: float,
        candidates: int,
    ) -> list[Candidate]:
        """Ask for both lists, then for both scores of all that are on either."""
        parts = [_translate(part) for part in list_parts(visibility.condition)]
        nearest = edge.Query.Nearest(list(dense), using=DENSE)
        matching = None if words is None else edge.Query.Nearest(words, using=KEYWORDS)
        visible = edge.Filter(must=parts)
        lists = [edge.QueryRequest(limit=candidates, query=nearest, filter=visible)]
        if matching is not None:
            lists.append(edge.QueryRequest(limit=candidates, query=matching, filter=visible, params=_ALL_ALIKE))
        ids = {point.id for points in self._shard.query_batch(edge.QueryBatchRequest(lists)) for point in points}
        if not ids:
            return []
        both, limit = edge.Filter(must=[*parts, edge.HasIdCondition(ids)]), len(ids)
        scores = [edge.QueryRequest(limit=limit, query=nearest, filter=both, with_payload=True)]
        if matching is not None:
            scores.append(edge.QueryRequest(limit=limit, query=matching, filter=both, params=_ALL_ALIKE))
        by_dense, *by_keywords = self._shard.query_batch(edge.QueryBatchRequest(scores))
        shares = {point.id: to_share(point.score, reach) for points in by_keywords for point in points}
        return [
            Candidate(str(point.id), point.score, shares.get(point.id, 0.0), point.payload or {}) for point in by_dense
        ]

    async def _read_terms(self, visibility: Visibility, priority: Priority) -> AsyncIterator[list[list[int]]]:
        """Yield the terms of all points, a page at a time."""
        filter_ = _to_filter(visibility)
        offset: edge.PointId | None = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_COUNTED_PAGE, filter=filter_, with_payload=False, with_vector=[KEYWORDS]
            )
            records, offset = await self._threads.run(priority, self._scroll, request)
            yield [_list_terms(record) for record in records]
            if offset is None:
                return

    @property
    def is_shared(self) -> bool:
        return False

    @property
    def problem(self) -> str:
        return ""

    def check_room(self) -> None:
        """Let everything pass: the room on this machine's disk is seen to by who asks for documents."""

    def limit_reads(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()  # nothing is far away

    async def upsert(self, points: Sequence[Point]) -> None:
        await self._update(edge.UpdateOperation.upsert_points([_to_point(point) for point in points]))
        self._frequencies.add(points)
        self._unseen += len(points)
        self._look_at_graph()

    async def add(self, point: Point, replaces: Condition | None = None) -> None:
        await self.upsert([point])  # nobody else writes here, and who calls has looked

    async def find_vectors(self, visibility: Visibility, digests: Sequence[str]) -> dict[str, list[float]]:
        if not digests:
            return {}
        filter_ = _to_filter(visibility.narrow(Match("digest", tuple(digests))))
        vectors: dict[str, list[float]] = {}
        offset: edge.PointId | None = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_PAGE, filter=filter_, with_payload=["digest"], with_vector=[DENSE]
            )
            records, offset = await self._threads.run(Priority.INGEST, self._scroll, request)
            for record in records:
                if record.payload is not None and isinstance(record.vector, dict):
                    vectors[record.payload["digest"]] = _to_floats(record.vector[DENSE])
            if offset is None or len(vectors) == len(set(digests)):
                return vectors

    async def read(self, visibility: Visibility, fields: Sequence[str]) -> list[dict[str, Any]]:
        payloads: list[dict[str, Any]] = []
        offset: edge.PointId | None = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_PAGE, filter=_to_filter(visibility), with_payload=list(fields), with_vector=False
            )
            records, offset = await self._threads.run(Priority.INGEST, self._scroll, request)
            payloads += [record.payload or {} for record in records]
            if offset is None:
                return payloads

    def _scroll(self, request: edge.ScrollRequest) -> "tuple[list[edge.Record], edge.PointId | None]":
        return self._shard.scroll(request)  # the shard of this moment

    async def set_payload(self, visibility: Visibility, payload: Mapping[str, Any]) -> None:
        await self._update(edge.UpdateOperation.set_payload_by_filter(_to_filter(visibility), dict(payload)))

    async def delete(self, visibility: Visibility) -> None:
        await self._update(edge.UpdateOperation.delete_points_by_filter(_to_filter(visibility)))
        self._frequencies.remove(visibility)

    async def count(self) -> int:
        return await self._threads.run(Priority.QUERY, self._count)

    def _count(self) -> int:
        # The few records are counted, not the others: that would visit every point.
        records = edge.Filter(must=[edge.FieldCondition("tenant", match=edge.MatchValue(RECORDS))])
        return self._shard.info().points_count - self._shard.count(edge.CountRequest(filter=records, exact=True))

    async def hold(self) -> None:
        self._open.clear()
        async with self._changing:  # whatever was handed over before has been written
            await self._threads.run(Priority.INGEST, self._shard.flush)

    def resume(self) -> None:
        self._open.set()
        self._resumes += 1

    async def copy(self, folder: Path) -> None:
        resumes = self._resumes
        if not self._open.is_set():
            await asyncio.to_thread(shutil.copytree, self._folder, folder / self._folder.name)
        if self._open.is_set() or self._resumes != resumes:
            raise RetrieverFailed("The index isn't on hold: its copy would be of several moments. Begin anew.")

    async def close(self) -> None:
        """Flush and close the shard; another process can open it then."""
        await self._frequencies.close()
        if self._building is not None:
            self._building.cancel()
            await asyncio.wait([self._building])
        await self._threads.run(Priority.INGEST, self._shard.flush)
        await self._threads.run(Priority.INGEST, self._shard.close)
        await self._threads.close()

    async def _update(self, operation: edge.UpdateOperation) -> None:
        async with self._change():
            await self._threads.run(Priority.INGEST, self._apply, operation)

    def _apply(self, operation: edge.UpdateOperation) -> None:
        self._shard.update(operation)
        if self._journal is not None:  # here, in the thread: its caller may have gone meanwhile
            self._journal.append(operation)

    @asynccontextmanager
    async def _change(self) -> AsyncGenerator[None]:
        """Wait until changes aren't on hold, and hold the shard for one."""
        while True:
            await self._open.wait()
            async with self._changing:
                if self._open.is_set():
                    yield
                    return

    def _look_at_graph(self) -> None:
        if self._unseen >= self._graph.least // _GRAPH_LOOKS and self._building is None:
            self._unseen = 0
            self._building = asyncio.create_task(self._keep_graph(), name="graph")

    async def _keep_graph(self) -> None:
        """Build the graph anew if enough points are outside of it: in a copy, which then takes the shard's place."""
        copy = name_copy(self._folder)
        try:
            info = await self._threads.run(Priority.INGEST, self._shard.info)
            # The engine counts both vectors of a point; words are always indexed.
            if self._graph.wants(info.points_count, info.indexed_vectors_count - info.points_count):
                await self._build_graph(copy)
        except Exception:
            _log.exception("the graph of the index at %s wasn't built: searches are right, and slower", self._folder)
        finally:
            self._journal = None
            try:
                await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)
            finally:
                self._building = None
        self._look_at_graph()  # what came meanwhile is outside

    async def _build_graph(self, copy: Path) -> None:
        async with self._change():
            await self._threads.run(Priority.INGEST, self._shard.flush)
            await asyncio.to_thread(shutil.copytree, self._folder, copy)
            self._journal = []
        await build_graph(copy, self._dimensions, self._graph)
        async with self._change():
            better = await self._threads.run(Priority.INGEST, edge.EdgeShard.load, str(copy))
            for operation in self._journal:
                await self._threads.run(Priority.INGEST, better.update, operation)
            await self._threads.run(Priority.INGEST, better.flush)
            await self._threads.run(Priority.INGEST, better.close)
            await self._threads.run(Priority.INGEST, self._replace, copy)

    def _replace(self, better: Path) -> None:
        self._shard = replace_shard(self._folder, self._shard, better)
        self._journal = None
        _give_back_memory()


def _give_back_memory() -> None:
    """Let the system have what the shard before had: the C library keeps the memory for itself else."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _weigh(keywords: KeywordVector, weights: Sequence[float]) -> "edge.SparseVector | None":
    """Return the question's terms with their weights in the corpus; None where the corpus has none of them."""
    weighed = [
        (term, value * weight / _ALIKE)
        for term, value, weight in zip(keywords.indices, keywords.values, weights, strict=True)
        if weight > 0
    ]
    return edge.SparseVector([term for term, _ in weighed], [value for _, value in weighed]) if weighed else None


def _list_terms(record: edge.Record) -> list[int]:
    vector = record.vector[KEYWORDS] if isinstance(record.vector, dict) else None
    return vector.indices if isinstance(vector, edge.SparseVector) else []


def _to_point(point: Point) -> edge.Point:
    keywords = edge.SparseVector(point.keywords.indices, point.keywords.values)
    return edge.Point(point.id, {DENSE: point.dense, KEYWORDS: keywords}, point.payload)


def _to_floats(vector: "edge.NamedVector") -> list[float]:
    if isinstance(vector, edge.SparseVector) or (vector and isinstance(vector[0], list)):
        raise TypeError("The shard holds something else than one dense vector per point.")
    return [float(value) for value in vector if not isinstance(value, list)]


def _to_filter(visibility: Visibility) -> edge.Filter:
    return edge.Filter(must=[_translate(part) for part in list_parts(visibility.condition)])


def _translate(condition: Condition) -> "edge.ConditionType":  # An alias that only the type stubs have.
    match condition:
        case Match(key, values):
            return edge.FieldCondition(key, match=edge.MatchAny(list(values)))
        case Between(key, gt, gte, lt, lte):
            return edge.FieldCondition(key, range=edge.RangeFloat(gt=gt, gte=gte, lt=lt, lte=lte))
        case All(parts):
            return edge.Filter(must=[_translate(part) for part in parts])
        case AnyOf(parts):
            return edge.Filter(should=[_translate(part) for part in parts])
        case Not(part):
            return edge.Filter(must_not=[_translate(part)])
