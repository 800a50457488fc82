"""A Qdrant server or cluster by URL."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from qdrant_client import AsyncQdrantClient, models

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
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not
from retrieval.visibility import Visibility

__all__ = ["RemoteBackend"]

_PAGE = 256


class RemoteBackend:
    """An `IndexBackend` in one collection of a server. The client is the caller's: `close` leaves it open."""

    def __init__(self, client: AsyncQdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    @classmethod
    async def open(cls, client: AsyncQdrantClient, collection: str, dimensions: int) -> "RemoteBackend":
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
        self,
        visibility: Visibility,
        corpus: Visibility,
        dense: Sequence[float],
        keywords: KeywordVector,
        candidates: int,
    ) -> list[Candidate]:
        requests = _make_search(visibility, corpus, dense, keywords, candidates)
        by_dense, by_keywords = await self._client.query_batch_points(self._collection, requests)
        keyword_scores = {point.id: point.score for point in by_keywords.points}
        return [
            Candidate(str(point.id), point.score, keyword_scores.get(point.id, 0.0), point.payload or {})
            for point in by_dense.points
        ]

    async def upsert(self, points: Sequence[Point]) -> None:
        await self._client.upsert(self._collection, [_to_point(point) for point in points], wait=True)

    async def find_vectors(self, visibility: Visibility, digests: Sequence[str]) -> dict[str, list[float]]:
        if not digests:
            return {}
        filter_ = _to_filter(visibility.narrow(Match("digest", tuple(digests))))
        vectors: dict[str, list[float]] = {}
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
                    vectors[record.payload["digest"]] = cast("list[float]", record.vector[DENSE])
            if offset is None or len(vectors) == len(set(digests)):
                return vectors

    async def set_payload(self, visibility: Visibility, payload: Mapping[str, Any]) -> None:
        await self._client.set_payload(self._collection, dict(payload), points=_to_filter(visibility), wait=True)

    async def delete(self, visibility: Visibility) -> None:
        selector = models.FilterSelector(filter=_to_filter(visibility))
        await self._client.delete(self._collection, selector, wait=True)

    async def count(self) -> int:
        records = models.FieldCondition(key="tenant", match=models.MatchValue(value=RECORDS))
        others = models.Filter(must_not=[records])
        return (await self._client.count(self._collection, count_filter=others, exact=False)).count

    async def close(self) -> None:
        """Release nothing, since nothing here is its own."""


def _make_search(
    visibility: Visibility, corpus: Visibility, dense: Sequence[float], keywords: KeywordVector, candidates: int
) -> list[models.QueryRequest]:
    """Ask for both rankings of the union of both lists, so that no candidate lacks one of its scores."""
    filter_ = _to_filter(visibility)
    matching = models.SparseVector(indices=keywords.indices, values=keywords.values)
    corpus_frequencies = models.SearchParams(idf=models.IdfCorpusParams(corpus=_to_filter(corpus)))
    lists = [
        models.Prefetch(query=list(dense), using=DENSE, limit=candidates, filter=filter_),
        models.Prefetch(query=matching, using=KEYWORDS, limit=candidates, filter=filter_, params=corpus_frequencies),
    ]
    limit = 2 * candidates
    return [
        models.QueryRequest(
            query=list(dense), using=DENSE, prefetch=lists, filter=filter_, limit=limit, with_payload=True
        ),
        models.QueryRequest(
            query=matching, using=KEYWORDS, prefetch=lists, filter=filter_, limit=limit, params=corpus_frequencies
        ),
    ]


def _to_point(point: Point) -> models.PointStruct:
    keywords = models.SparseVector(indices=point.keywords.indices, values=point.keywords.values)
    return models.PointStruct(id=point.id, vector={DENSE: point.dense, KEYWORDS: keywords}, payload=point.payload)


def _to_filter(visibility: Visibility) -> models.Filter:
    return models.Filter(must=[_translate(visibility.condition)])


def _translate(condition: Condition) -> models.Condition:
    match condition:
        case Match(key, values):
            return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
        case Between(key, gt, gte, lt, lte):
            return models.FieldCondition(key=key, range=models.Range(gt=gt, gte=gte, lt=lt, lte=lte))
        case All(parts):
            return models.Filter(must=[_translate(part) for part in parts])
        case AnyOf(parts):
            return models.Filter(should=[_translate(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_translate(part)])
