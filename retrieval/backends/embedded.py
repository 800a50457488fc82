"""Qdrant's own engine inside this process (qdrant-edge-py): one shard, one owner, no server.

`optimize()` is never called: it holds the interpreter for its whole run. Unindexed search is good to about 100,000
points; beyond that use a server.
"""

import asyncio
import logging
import math
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from retrieval.backends.document_frequencies import DocumentFrequencies
from retrieval.backends.protocol import (
    DENSE,
    KEYWORDS,
    PAYLOAD_INTEGERS,
    PAYLOAD_KEYWORDS,
    RECORDS,
    Candidate,
    KeywordVector,
    Point,
)
from retrieval.backends.reach import measure_reach, to_share
from retrieval.errors import RetrieverFailed
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not, list_parts
from retrieval.priority_executor import Priority, PriorityExecutor
from retrieval.visibility import Visibility

__all__ = ["EmbeddedBackend", "IndexLocked", "IndexUnreadable"]

_PAGE = 256
_COUNTED_PAGE = 1000

_NOBODY = "00000000-0000-0000-0000-000000000000"
_ALIKE = math.log(2)
_ALL_ALIKE = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter(must=[edge.HasIdCondition({_NOBODY})])))
"""The engine weighs a question's terms by a corpus, and can't be told not to. In one without points all weigh `_ALIKE`:
what tells them apart is in the question's vector (`document_frequencies`), for which no point has to be counted."""

_LEAST_FREE_BYTES = 64 * 1024**2
_log = logging.getLogger(__name__)


class IndexLocked(Exception):
    """Another process has the shard open."""


class IndexUnreadable(Exception):
    """The shard can't be opened, for a reason that its operator has to remove."""


class EmbeddedBackend:
    """An `IndexBackend` on disk. All work runs in one thread, searches first."""

    def __init__(self, shard: edge.EdgeShard, folder: Path) -> None:
        self._shard = shard
        self._folder = folder
        self._executor = PriorityExecutor("edge shard")
        self._open = asyncio.Event()
        self._open.set()
        self._releases = 0
        self._frequencies = DocumentFrequencies(self._read_terms)

    @classmethod
    def open(cls, folder: Path, dimensions: int) -> "EmbeddedBackend":
        """Open the shard in `folder`, or make one there.

        One that can't be read is set aside and replaced by an empty one, since a retriever that doesn't start helps
        nobody: the new one has another identity, by which it is seen that the documents have to be indexed again.

        Raises:
            IndexLocked: Another process has it open.
            IndexUnreadable: It can't be read for a reason that lies outside of it.
        """
        if not folder.exists():
            _create(folder, dimensions)
        try:
            return cls(edge.EdgeShard.load(str(folder)), folder)
        except Exception as error:  # The binding raises bare Exceptions.
            if "WouldBlock" in str(error):
                raise IndexLocked(
                    f"The index at {folder} is open in another process. Stop that retriever, or use another data "
                    "folder."
                ) from error
            aside = _set_aside(folder, error)
            _log.exception("the index at %s can't be read: set aside as %s, and a new one made", folder, aside.name)
        _create(folder, dimensions)
        return cls(edge.EdgeShard.load(str(folder)), folder)

    async def search(
        self,
        visibility: Visibility,
        corpus: Visibility,
        dense: Sequence[float],
        keywords: KeywordVector,
        candidates: int,
    ) -> list[Candidate]:
        weights = await self._frequencies.weigh(corpus, keywords.indices) if keywords.indices else []
        words = _weigh(keywords, weights)
        reach = measure_reach(weights, len(keywords.indices))
        return await self._executor.run(Priority.QUERY, self._search, visibility, dense, words, reach, candidates)

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
            records, offset = await self._executor.run(priority, self._shard.scroll, request)
            yield [_list_terms(record) for record in records]
            if offset is None:
                return

    async def upsert(self, points: Sequence[Point]) -> None:
        await self._update(edge.UpdateOperation.upsert_points([_to_point(point) for point in points]))
        self._frequencies.add(points)

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
            records, offset = await self._executor.run(Priority.INGEST, self._shard.scroll, request)
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
            records, offset = await self._executor.run(Priority.INGEST, self._shard.scroll, request)
            payloads += [record.payload or {} for record in records]
            if offset is None:
                return payloads

    async def set_payload(self, visibility: Visibility, payload: Mapping[str, Any]) -> None:
        await self._update(edge.UpdateOperation.set_payload_by_filter(_to_filter(visibility), dict(payload)))

    async def delete(self, visibility: Visibility) -> None:
        await self._update(edge.UpdateOperation.delete_points_by_filter(_to_filter(visibility)))
        self._frequencies.remove(visibility)

    async def count(self) -> int:
        return await self._executor.run(Priority.QUERY, self._count)

    def _count(self) -> int:
        # The few records are counted, not the others: that would visit every point.
        records = edge.Filter(must=[edge.FieldCondition("tenant", match=edge.MatchValue(RECORDS))])
        return self._shard.info().points_count - self._shard.count(edge.CountRequest(filter=records, exact=True))

    async def hold(self) -> None:
        self._open.clear()
        # Of the lowest priority, so that whatever was handed over before has been written.
        await self._executor.run(Priority.INGEST, self._shard.flush)

    def release(self) -> None:
        self._open.set()
        self._releases += 1

    async def copy(self, folder: Path) -> None:
        releases = self._releases
        if not self._open.is_set():
            await asyncio.to_thread(shutil.copytree, self._folder, folder / self._folder.name)
        if self._open.is_set() or self._releases != releases:
            raise RetrieverFailed("The index isn't on hold: its copy would be of several moments. Begin anew.")

    async def close(self) -> None:
        """Flush and release the shard; another process can open it then."""
        await self._frequencies.close()
        await self._executor.run(Priority.INGEST, self._shard.flush)
        await self._executor.run(Priority.INGEST, self._shard.close)
        await self._executor.close()

    async def _update(self, operation: edge.UpdateOperation) -> None:
        await self._open.wait()
        await self._executor.run(Priority.INGEST, self._shard.update, operation)


def _set_aside(folder: Path, error: Exception) -> Path:
    """Rename an index that can't be read, unless permissions or a full disk are the reason, which a rename won't mend.

    Raises:
        IndexUnreadable: So it is.
    """
    blocked = [path for path in (folder, *folder.rglob("*")) if not os.access(path, os.R_OK | os.W_OK)]
    free = shutil.disk_usage(folder).free
    if blocked or free < _LEAST_FREE_BYTES:
        reason = f"this process may not read and write {blocked[0]}" if blocked else f"the disk has {free} bytes free"
        raise IndexUnreadable(f"The index at {folder} can't be opened: {reason}. {error}") from error
    aside = folder.with_name(f"{folder.name}.unreadable-{time.time_ns()}")
    return folder.rename(aside)


def _create(folder: Path, dimensions: int) -> None:
    """Make an empty shard beside its place and move it there: a kill in between leaves nothing half-made."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    shard = edge.EdgeShard.create(
        str(unfinished),
        edge.EdgeConfig(
            vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
            sparse_vectors={KEYWORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        ),
    )
    create_index = edge.UpdateOperation.create_field_index
    shard.update(create_index("tenant", edge.KeywordIndexParams(is_tenant=True)))
    for field in PAYLOAD_KEYWORDS:
        shard.update(create_index(field, edge.PayloadSchemaType.Keyword))
    for field in PAYLOAD_INTEGERS:
        shard.update(create_index(field, edge.PayloadSchemaType.Integer))
    shard.flush()
    shard.close()
    unfinished.rename(folder)


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
