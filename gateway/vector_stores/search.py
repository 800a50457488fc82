"""The search in a tenant's stores at one state of their content, for answers and for OpenAI's search call."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import BadRequest, NotFound
from gateway.task_group import await_each
from gateway.vector_stores.calibration import StoreCalibration, estimate_passages, find_calibration
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.vector_stores.repository import DeletedDocumentRepository, DocumentRepository, StoreRepository
from gateway.vector_stores.retriever_errors import (
    check_filters,
    explain_index_change,
    explain_retriever_errors,
    explain_silence,
)
from gateway.vector_stores.schemas import (
    RankingOptions,
    TextContent,
    VectorStoreSearch,
    VectorStoreSearchResult,
    VectorStoreSearchResultsPage,
)
from gateway.vector_stores.tables import StoreRow
from retrieval.answer_probability import JUDGED_PASSAGES
from retrieval.client import Retriever
from retrieval.messages import Passage, SearchQuery, Weights
from retrieval.patience import Patience

__all__ = ["SearchService", "StoreExpired", "StoreStates", "expires_at", "read_states", "search", "touch"]


_MOST_CHARACTERS = 32_768
"""Of a question, as OpenAI has it for a search. What is longer is cut before it is sent anywhere; of the rest the
embedder reads what it can (`retrieval.question_embedder`)."""

_MOST_EXCLUDED = 100
"""Deleted documents that the index is told to leave out. A filter of 10,000 costs each search 50 ms (in 2,000 chunks),
one of 100 nothing."""

_SECONDS = 10.0
"""For all that a search asks of the retriever."""

_ROUNDS = 3
"""Searches that leave out only those deleted documents that the one before found, before one is told of all."""

_TOUCH_SECONDS = 3600
"""The exactness of `last_active_at`: expiry counts in days, and a write for each question would cost more than it."""


class StoreExpired(BadRequest):
    """A store wasn't used for as long as its `expires_after` says; its documents are still there."""

    code = "vector_store_expired"


@dataclass(frozen=True, slots=True)
class StoreStates:
    """The content that one search sees, read once for it.

    Attributes:
        index_epochs: By store.
        deleted: Documents that must not answer any more and are still indexed, as far as a search may be told of them.
        more_deleted: Whether there are others, so that what a search finds has to be looked at.
        indexes: The identities of the indexes that the stores' points are in.
        calibrations: Of the stores that have one that counts, by store.
        problem: The reason why not all of a store's documents can be found now; "" where they can.
        idle: Whether it is long since a use of one was noted.
    """

    index_epochs: dict[str, int]
    deleted: Sequence[str] = ()
    more_deleted: bool = False
    indexes: Sequence[str] = ()
    problem: str = ""
    calibrations: Mapping[str, StoreCalibration] = field(default_factory=dict[str, StoreCalibration])
    idle: bool = False


async def read_states(
    session: AsyncSession, tenant: str, store_ids: Sequence[str], *, expired_too: bool = False
) -> StoreStates:
    """Read the present state of the stores.

    With `expired_too` also of stores that have expired: for the operator, to whom they are documents like others.

    Raises:
        NotFound: The tenant has no such store.
        StoreExpired: A store has expired.
    """
    index_epochs: dict[str, int] = {}
    with_deleted: list[str] = []
    indexes: set[str] = set()
    problem, idle = "", False
    calibrations: dict[str, StoreCalibration] = {}
    for store, has_deleted in await StoreRepository(session, tenant).list_states(store_ids):
        if not expired_too and (end := expires_at(store)) is not None and end <= time.time():
            raise StoreExpired(
                f"The vector store {store.id!r} expired: it wasn't used for the days of its expires_after. "
                "Modify its expires_after to use it again.",
                param="vector_store_id",
            )
        index_epochs[store.id] = store.index_epoch
        idle = idle or abs(time.time() - store.last_active_at) > _TOUCH_SECONDS
        if has_deleted:
            with_deleted.append(store.id)
        if (calibration := find_calibration(store)) is not None:
            calibrations[store.id] = calibration
        if store.index_epoch > 0:
            problem = problem or _describe_problem(store)
            indexes.add(store.index_identity or "")
    for id in store_ids:
        if id not in index_epochs:
            raise NotFound(
                f"No vector store with id {id!r} exists. List yours to see their ids. Where a release names it, "
                "make one without it.",
                param="vector_store_id",
            )
    deleted: Sequence[str] = ()
    if with_deleted:
        repository = DeletedDocumentRepository(session, tenant)
        deleted = await repository.list_ids(with_deleted, _MOST_EXCLUDED + 1)
    more_deleted = len(deleted) > _MOST_EXCLUDED
    deleted = () if more_deleted else deleted
    return StoreStates(index_epochs, deleted, more_deleted, sorted(indexes), problem, calibrations, idle)


def _describe_problem(store: StoreRow) -> str:
    if store.index_identity is None:
        return f"It isn't known yet whether the index has the documents of {store.id!r}: a worker looks when it starts."
    if not store.index_whole:
        return f"Not all documents of {store.id!r} are in the index."
    return ""


async def touch(database: Database, tenant: str, store_ids: Sequence[str]) -> None:
    """Note that the stores were used, which postpones their expiry; mostly this is one cheap read."""
    now = int(time.time())
    async with database.read() as session:
        idle = await StoreRepository(session, tenant).list_idle(store_ids, now - _TOUCH_SECONDS, now + _TOUCH_SECONDS)
    if idle:
        async with database.begin(counted=False) as session:
            await StoreRepository(session, tenant).touch(idle, now)


def expires_at(store: StoreRow) -> int | None:
    """Return the moment a store expires at its present use, in Unix seconds; None where it never does."""
    if store.expires_after is None:
        return None
    return store.last_active_at + int(store.expires_after["days"]) * 86_400


async def search(
    database: Database,
    retriever: Retriever,
    tenant: str,
    stores: StoreStates,
    texts: Sequence[str],
    *,
    limit: int,
    filters: dict[str, Any] | None = None,
    score_threshold: float | None = None,
    weights: Weights | None = None,
    rerank: bool = False,
) -> list[Passage]:
    """Find the best passages for any of the texts.

    Raises:
        BadRequest: The filters can't be used.
        Unavailable: The retriever can't answer now, or not all documents are in the index that it has.
    """
    if stores.problem:
        raise explain_index_change(stores.problem)
    query = SearchQuery(
        tenant=tenant,
        stores=stores.index_epochs,
        text="",
        limit=limit,
        filters=filters,
        score_threshold=score_threshold,
        weights=weights,
        rerank=rerank,
        exclude=list(stores.deleted),
        indexes=list(stores.indexes),
    )
    queries = [msgspec.structs.replace(query, text=_cut(text)) for text in texts]
    try:
        async with Patience(_SECONDS):
            results = await await_each(lambda query: _find(database, retriever, query, stores.more_deleted), queries)
    except TimeoutError as error:
        raise explain_silence(stores.index_epochs, f"The search took more than {_SECONDS:g} s.") from error
    best: dict[str, Passage] = {}
    for passage in (passage for passages in results for passage in passages):
        rival = best.get(passage.id)
        if rival is None or passage.score > rival.score:
            best[passage.id] = passage
    return sorted(best.values(), key=lambda passage: (-passage.score, passage.id))[:limit]


def _cut(text: str) -> str:
    """Return a question's beginning and end, if it is too long: a message with a long text in it asks at either."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[: _MOST_CHARACTERS // 2]}\n{text[-_MOST_CHARACTERS // 2 + 1 :]}"


async def _find(database: Database, retriever: Retriever, query: SearchQuery, more_deleted: bool) -> list[Passage]:
    """Ask the index; where it can't be told of all deleted documents, leave out those of which it found passages.

    So a search costs what the deleted documents among its passages cost, however many others there are.
    """
    if not more_deleted:
        return await _ask(retriever, query)
    for _ in range(_ROUNDS):
        passages = await _ask(retriever, query)
        documents = {passage.document for passage in passages}
        async with database.read() as session:
            live = set(await DocumentRepository(session, query.tenant).list_live(documents))
        if documents <= live:
            return passages
        query = msgspec.structs.replace(query, exclude=[*query.exclude, *sorted(documents - live)])
    # Most of what answers this question was deleted.
    async with database.read() as session:
        every = await DeletedDocumentRepository(session, query.tenant).list_ids(query.stores, None)
    return await _ask(retriever, msgspec.structs.replace(query, exclude=[*query.exclude, *every]))


async def _ask(retriever: Retriever, query: SearchQuery) -> list[Passage]:
    with explain_retriever_errors(query.stores):
        return await retriever.search(query)


class SearchService:
    """OpenAI's search in one of a tenant's vector stores."""

    def __init__(
        self, database: Database, retriever: Retriever, tenant: str, rewriter: QuestionRewriter | None = None
    ) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant
        self._rewriter = rewriter

    async def search(self, store_id: str, request: VectorStoreSearch) -> tuple[VectorStoreSearchResultsPage, float]:
        """Search at the store's present index epoch; no transaction is open while the retriever works.

        With the page comes the probability that the passages answer which a release by its defaults would show.
        """
        if request.filters is not None:
            check_filters(request.filters, param="filters")
        texts = [request.query] if isinstance(request.query, str) else request.query
        if request.rewrite_query:
            async with self._database.read() as session:
                await read_states(session, self._tenant, [store_id])  # no engine is asked for what can't be searched
            texts = await self._rewrite(texts)
        async with self._database.read() as session:
            stores = await read_states(session, self._tenant, [store_id])
        passages = await search(
            self._database,
            self._retriever,
            self._tenant,
            stores,
            texts,
            limit=request.max_num_results,
            filters=request.filters,
            score_threshold=request.ranking_options.score_threshold or None,
            weights=_weights(request.ranking_options),
        )
        if stores.idle:
            await touch(self._database, self._tenant, [store_id])
        page = VectorStoreSearchResultsPage(
            search_query=list(texts),
            data=[
                VectorStoreSearchResult(
                    file_id=passage.file_id,
                    filename=passage.filename,
                    score=passage.score,
                    attributes=passage.attributes,
                    content=[TextContent(text=passage.text)],
                )
                for passage in passages
            ],
        )
        return page, round(estimate_passages(passages[:JUDGED_PASSAGES], stores.calibrations), 4)

    async def _rewrite(self, texts: Sequence[str]) -> list[str]:
        """Return the texts as the engine puts them for a search; without an engine, as they are."""
        if self._rewriter is None:
            return list(texts)
        rewriter, tenant = self._rewriter, self._tenant
        return [one.text for one in await await_each(lambda text: rewriter.rewrite(tenant, text), texts)]


def _weights(options: RankingOptions) -> Weights | None:
    shares = options.hybrid_search
    return None if shares is None else Weights(shares.embedding_weight, shares.text_weight)
