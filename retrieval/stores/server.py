"""A Qdrant server or cluster by URL."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from qdrant_client import AsyncQdrantClient, models

from retrieval.conditions import All, AnyOf, Between, Condition, Match, Not
from retrieval.scope import Scope
from retrieval.stores.protocol import (
    DENSE,
    KEYWORDS,
    PAYLOAD_INTEGERS,
    PAYLOAD_KEYWORDS,
    Candidate,
    KeywordVector,
    Point,
)

__all__ = ["ServerStore"]

_PAGE = 256


class ServerStore:
    """A `Store` in one collection of a server. The client is the caller's: `close` leaves it open."""

    def __init__(self, client: AsyncQdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    @classmethod
    async def open(cls, client: AsyncQdrantClient, collection: str, dimensions: int) -> "ServerStore":
        """Use the collection, or make it: laid out by tenant, with a graph per tenant instead of one for all."""
        if not await client.collection_exists(collection):
            await client.create_collection(
                collection,
                vectors_config={DENSE: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
                sparse_vectors_config={KEYWORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
            )
        # Asked for each time: a start that was killed before the last of them is completed by the next.
        tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        await client.create_payload_index(collection, "tenant", tenant)
        for field in PAYLOAD_KEYWORDS:
            await client.create_payload_index(collection, field, models.PayloadSchemaType.KEYWORD)
        for field in PAYLOAD_INTEGERS:
            await client.create_payload_index(collection, field, models.PayloadSchemaType.INTEGER)
        return cls(client, collection)

    async def search(
        self, scope: Scope, corpus: Scope, dense: Sequence[float], keywords: KeywordVector, candidates: int
    ) -> list[Candidate]:
        requests = _search(scope, corpus, dense, keywords, candidates)
        by_dense, by_keywords = await self._client.query_batch_points(self._collection, requests)
        keyword_scores = {point.id: point.score for point in by_keywords.points}
        return [
            Candidate(str(point.id), point.score, keyword_scores.get(point.id, 0.0), point.payload or {})
            for point in by_dense.points
        ]

    async def upsert(self, points: Sequence[Point]) -> None:
        await self._client.upsert(self._collection, [_point(point) for point in points], wait=True)

    async def vectors(self, scope: Scope, digests: Sequence[str]) -> dict[str, list[float]]:
        if not digests:
            return {}
        filter_ = _filter(scope.narrowed(Match("digest", tuple(digests))))
        found: dict[str, list[float]] = {}
        offset: models.ExtendedPointId | None = None
        while True:
            records, offset = cast(
                "tuple[list[models.Record], models.ExtendedPointId | None]",
                await self._client.scroll(
                    self._collection,
                    offset=offset,
                    limit=_PAGE,
                    scroll_filter=filter_,
                    with_payload=["digest"],
                    with_vectors=[DENSE],
                ),
            )
            for record in records:
                if record.payload is not None and isinstance(record.vector, dict):
                    found[record.payload["digest"]] = cast("list[float]", record.vector[DENSE])
            if offset is None or len(found) == len(set(digests)):
                return found

    async def set_payload(self, scope: Scope, payload: Mapping[str, Any]) -> None:
        await self._client.set_payload(self._collection, dict(payload), points=_filter(scope), wait=True)

    async def delete(self, scope: Scope) -> None:
        selector = models.FilterSelector(filter=_filter(scope))
        await self._client.delete(self._collection, selector, wait=True)

    async def count(self) -> int:
        return (await self._client.count(self._collection, exact=False)).count

    async def close(self) -> None:
        """Nothing of its own to release."""


def _search(
    scope: Scope, corpus: Scope, dense: Sequence[float], keywords: KeywordVector, candidates: int
) -> list[models.QueryRequest]:
    """Both rankings of the union of both lists, so that no candidate lacks one of its scores."""
    filter_ = _filter(scope)
    matching = models.SparseVector(indices=keywords.indices, values=keywords.values)
    weighed = models.SearchParams(idf=models.IdfCorpusParams(corpus=_filter(corpus)))
    lists = [
        models.Prefetch(query=list(dense), using=DENSE, limit=candidates, filter=filter_),
        models.Prefetch(query=matching, using=KEYWORDS, limit=candidates, filter=filter_, params=weighed),
    ]
    limit = 2 * candidates
    return [
        models.QueryRequest(
            query=list(dense), using=DENSE, prefetch=lists, filter=filter_, limit=limit, with_payload=True
        ),
        models.QueryRequest(
            query=matching, using=KEYWORDS, prefetch=lists, filter=filter_, limit=limit, params=weighed
        ),
    ]


def _point(point: Point) -> models.PointStruct:
    keywords = models.SparseVector(indices=point.keywords.indices, values=point.keywords.values)
    return models.PointStruct(id=point.id, vector={DENSE: point.dense, KEYWORDS: keywords}, payload=point.payload)


def _filter(scope: Scope) -> models.Filter:
    return models.Filter(must=[_translated(scope.condition)])


def _translated(condition: Condition) -> models.Condition:
    match condition:
        case Match(key, values):
            return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
        case Between(key, gt, gte, lt, lte):
            return models.FieldCondition(key=key, range=models.Range(gt=gt, gte=gte, lt=lt, lte=lte))
        case All(parts):
            return models.Filter(must=[_translated(part) for part in parts])
        case AnyOf(parts):
            return models.Filter(should=[_translated(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_translated(part)])
