"""A Qdrant server or cluster by URL."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import Any, cast

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

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
from retrieval.backends.reach import MOST_TERMS, measure_reach, to_share
from retrieval.backends.shortage import Shortage
from retrieval.errors import IndexFull, IndexSilent, IndexUnavailable, RetrieverError, RetrieverFailed
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not, list_parts
from retrieval.filters import ATTRIBUTES_FIELD
from retrieval.patience import Patience
from retrieval.visibility import Visibility

__all__ = ["CHANGE_SECONDS", "RemoteBackend"]

_PAGE = 256
_READ_SECONDS = 8.0
"""For a read, or for several in one call. Less than the retriever's callers wait for it, so that they hear which of the
two is slow."""
CHANGE_SECONDS = 60
"""A change by filter visits every point of a store; the client that is given waits so long for each answer."""

_NO_QDRANT = "What answers isn't what a Qdrant server of this client's version answers. See what is at its URL."
_OF_THE_REQUEST = (400, 409, 413, 422)
"""Statuses that the same request gets again, whatever is mended."""

_NO_SPACE = b"No space left"
"""Said with a 500 where a disk is full; of Qdrant's own words and of the system's."""

_MOST_ATTRIBUTES = 64
"""Attributes that get an index of their own; a search by others is right, and slower."""


class RemoteBackend:
    """An `IndexBackend` in one collection of a server. The client is the caller's: `close` leaves it open."""

    def __init__(self, client: AsyncQdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._attributes: set[str] = set()
        self._shortage = Shortage()

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def problem(self) -> str:
        return self._shortage.problem

    def check_room(self) -> None:
        self._shortage.check()

    @classmethod
    async def open(cls, client: AsyncQdrantClient, collection: str, dimensions: int) -> "RemoteBackend":
        """Use the collection, or make it: laid out by tenant, with a graph per tenant instead of one for all."""
        if not await client.collection_exists(collection):
            try:
                await client.create_collection(
                    collection,
                    vectors_config={DENSE: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
                    sparse_vectors_config={KEYWORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                    hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
                )
            except UnexpectedResponse:
                if not await client.collection_exists(collection):  # else another retriever was faster
                    raise
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
        async with self.limit_reads():
            by_dense, by_keywords, *by_term = await self._client.query_batch_points(self._collection, requests)
        weights = [_find_weight(answer.points, term) for term, answer in zip(keywords.indices, by_term, strict=False)]
        reach = measure_reach(weights, len(keywords.indices))
        shares = {point.id: to_share(point.score, reach) for point in by_keywords.points}
        return [
            Candidate(str(point.id), point.score, shares.get(point.id, 0.0), point.payload or {})
            for point in by_dense.points
        ]

    @asynccontextmanager
    async def limit_reads(self) -> AsyncGenerator[None]:
        async with _explain_errors(), Patience(_READ_SECONDS):
            yield

    async def upsert(self, points: Sequence[Point]) -> None:
        async with self._note_refusal():
            await self._index_attributes(points)
            _confirm(await self._client.upsert(self._collection, [_to_point(point) for point in points], wait=True))
        self._shortage.note_room()

    async def add(self, point: Point, replaces: Condition | None = None) -> None:
        how: dict[str, Any] = {"update_mode": models.UpdateMode.INSERT_ONLY}
        if replaces is not None:
            how = {"update_filter": models.Filter(must=[_translate(replaces)])}
        async with self._note_refusal():
            _confirm(await self._client.upsert(self._collection, [_to_point(point)], wait=True, **how))

    @asynccontextmanager
    async def _note_refusal(self) -> AsyncGenerator[None]:
        try:
            async with _explain_errors():
                yield
        except IndexFull as error:
            self._shortage.note_refusal(str(error))
            raise

    async def _index_attributes(self, points: Sequence[Point]) -> None:
        """Give each attribute that comes for the first time an index of its own, by the type of its first value."""
        values = {
            f"{ATTRIBUTES_FIELD}.{name}": value
            for point in points
            for name, value in point.payload.get(ATTRIBUTES_FIELD, {}).items()
        }
        for field in sorted(values.keys() - self._attributes):
            if len(self._attributes) >= _MOST_ATTRIBUTES:
                return
            kind = (
                models.PayloadSchemaType.KEYWORD if isinstance(values[field], str) else models.PayloadSchemaType.FLOAT
            )
            await self._client.create_payload_index(self._collection, field, kind)
            self._attributes.add(field)

    async def find_vectors(self, visibility: Visibility, digests: Sequence[str]) -> dict[str, list[float]]:
        if not digests:
            return {}
        filter_ = _to_filter(visibility.narrow(Match("digest", tuple(digests))))
        vectors: dict[str, list[float]] = {}
        async for records in self._scroll(filter_, ["digest"], with_vectors=[DENSE]):
            for record in records:
                if record.payload is not None and isinstance(record.vector, dict):
                    vectors[record.payload["digest"]] = cast("list[float]", record.vector[DENSE])
            if len(vectors) == len(set(digests)):
                break
        return vectors

    async def read(self, visibility: Visibility, fields: Sequence[str]) -> list[dict[str, Any]]:
        pages = self._scroll(_to_filter(visibility), list(fields), with_vectors=False)
        async with self.limit_reads():
            return [record.payload or {} async for records in pages for record in records]

    async def _scroll(
        self, filter_: models.Filter, fields: list[str], *, with_vectors: bool | list[str]
    ) -> AsyncGenerator[list[models.Record]]:
        """Yield the points a page at a time."""
        offset: models.ExtendedPointId | None = None
        while True:
            async with _explain_errors():
                records, offset = cast(
                    "tuple[list[models.Record], models.ExtendedPointId | None]",
                    await self._client.scroll(
                        self._collection,
                        offset=offset,
                        limit=_PAGE,
                        scroll_filter=filter_,
                        with_payload=fields,
                        with_vectors=with_vectors,
                    ),
                )
            yield records
            if offset is None:
                return

    async def set_payload(self, visibility: Visibility, payload: Mapping[str, Any]) -> None:
        async with _explain_errors():
            points = _to_filter(visibility)
            _confirm(await self._client.set_payload(self._collection, dict(payload), points=points, wait=True))

    async def delete(self, visibility: Visibility) -> None:
        selector = models.FilterSelector(filter=_to_filter(visibility))
        async with _explain_errors():
            _confirm(await self._client.delete(self._collection, selector, wait=True))

    async def count(self) -> int:
        records = models.FieldCondition(key="tenant", match=models.MatchValue(value=RECORDS))
        others = models.Filter(must_not=[records])
        async with self.limit_reads():
            return (await self._client.count(self._collection, count_filter=others, exact=False)).count

    async def hold(self) -> None:
        raise RetrieverFailed("The index is in a Qdrant server, which makes snapshots of its own.")

    def resume(self) -> None:
        """Resume nothing: nothing is held."""

    async def copy(self, folder: Path) -> None:
        raise RetrieverFailed("The index is in a Qdrant server, which makes snapshots of its own.")

    async def close(self) -> None:
        """Close nothing, since nothing here is its own."""


@asynccontextmanager
async def _explain_errors() -> AsyncGenerator[None]:
    """Say what a server's refusal or silence means, as the errors that the retriever's callers know.

    Only what the server holds against the request itself fails for good: all else may be mended there, and whoever can
    wait does.
    """
    try:
        yield
    except UnexpectedResponse as error:
        raise _explain_status(error) from error
    except QdrantException as error:  # a 429 that says when to come again
        raise IndexUnavailable("The Qdrant server has too much to do now (429).") from error
    except TimeoutError as error:
        raise IndexSilent(f"The Qdrant server didn't answer within {_READ_SECONDS:g} s.") from error
    except JSONDecodeError as error:
        raise IndexUnavailable(_NO_QDRANT) from error
    except ResponseHandlingException as error:
        # A form's words would repeat what came, such as a document's text.
        words = _NO_QDRANT if isinstance(error.source, ValueError) else f"The Qdrant server can't be reached: {error}."
        raise IndexUnavailable(words) from error


def _confirm(result: models.UpdateResult) -> None:
    """Refuse a change that the server has noted and not made: it would count as there, and nobody would find it."""
    if result.status == models.UpdateStatus.WAIT_TIMEOUT:
        raise IndexUnavailable("The Qdrant server hasn't made a change in time; its log has more.")


def _explain_status(error: UnexpectedResponse) -> RetrieverError:
    status = f"{error.status_code} {error.reason_phrase}".strip()
    if error.status_code in _OF_THE_REQUEST:
        return RetrieverFailed(f"The Qdrant server answered with {status}; its log has more.")
    if error.status_code in (401, 403):
        return IndexUnavailable(
            f"The Qdrant server refuses the API key ({status}), or it takes no changes now. Give a key that may "
            "write: BRAID_QDRANT_API_KEY."
        )
    if error.status_code == 404:
        return IndexUnavailable(
            "The Qdrant server doesn't have the index's collection any more. Bring it back; or restart the retriever, "
            "which makes a new one, and run 'braid docs reindex'."
        )
    if error.status_code == 507 or _NO_SPACE in error.content:
        return IndexFull(
            f"The Qdrant server has no room for more ({status}). Give it a larger disk, or delete what isn't needed; "
            "what waits goes on by itself then."
        )
    return IndexUnavailable(f"The Qdrant server can't answer now ({status}); its log has more.")


def _make_search(
    visibility: Visibility, corpus: Visibility, dense: Sequence[float], keywords: KeywordVector, candidates: int
) -> list[models.QueryRequest]:
    """Ask for both rankings of the union of both lists, so that no candidate lacks one of its scores; then, for each of
    the question's terms, for a passage of the corpus that has it.
    """
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
        *(
            models.QueryRequest(
                query=models.SparseVector(indices=[term], values=[1.0]),
                using=KEYWORDS,
                filter=_to_filter(corpus),
                limit=1,
                params=corpus_frequencies,
                with_vector=[KEYWORDS],
            )
            for term in keywords.indices[:MOST_TERMS]
        ),
    ]


def _find_weight(points: Sequence[models.ScoredPoint], term: int) -> float:
    """Return a term's weight in the corpus, by the score of a point that has it; 0 where none has."""
    for point in points:
        vector = point.vector.get(KEYWORDS) if isinstance(point.vector, dict) else None
        if isinstance(vector, models.SparseVector) and term in vector.indices:
            weight = vector.values[vector.indices.index(term)]
            return point.score / weight if weight > 0 else 0.0
    return 0.0


def _to_point(point: Point) -> models.PointStruct:
    keywords = models.SparseVector(indices=point.keywords.indices, values=point.keywords.values)
    return models.PointStruct(id=point.id, vector={DENSE: point.dense, KEYWORDS: keywords}, payload=point.payload)


def _to_filter(visibility: Visibility) -> models.Filter:
    return models.Filter(must=[_translate(part) for part in list_parts(visibility.condition)])


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
