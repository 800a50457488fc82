"""Search in a tenant's stores at one state of their content; answers are made with it, and OpenAI's search call is."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.vector_stores.repository import DeletedDocumentRepository, StoreRepository
from gateway.vector_stores.schemas import (
    TextContent,
    VectorStoreSearch,
    VectorStoreSearchResult,
    VectorStoreSearchResultsPage,
)
from gateway.vector_stores.tables import StoreRow
from retrieval.client import InvalidFilter, Retriever, RetrieverFailed, RetrieverUnavailable
from retrieval.messages import Passage, SearchQuery

__all__ = ["SearchService", "StoreStates", "expires_at", "read_states", "search", "touch"]

_TOUCH_SECONDS = 3600
"""The exactness of `last_active_at`: expiry counts in days, and a write for each question would cost more than it."""


@dataclass(frozen=True, slots=True)
class StoreStates:
    """The content that one search sees, read once for it.

    `index_epochs` are by store; `deleted` are documents that must not answer any more and are still indexed.
    """

    index_epochs: dict[str, int]
    deleted: Sequence[str]


async def read_states(session: AsyncSession, tenant: str, store_ids: Sequence[str]) -> StoreStates:
    """Read the present state of the stores.

    Raises:
        NotFound: The tenant has no such store.
        BadRequest: A store has expired.
    """
    index_epochs: dict[str, int] = {}
    with_deleted: list[str] = []
    for store, has_deleted in await StoreRepository(session, tenant).list_states(store_ids):
        if (end := expires_at(store)) is not None and end <= time.time():
            raise BadRequest(
                f"The vector store {store.id!r} expired: it wasn't used for the days of its expires_after. "
                "Modify its expires_after to use it again.",
                param="vector_store_id",
                code="vector_store_expired",
            )
        index_epochs[store.id] = store.index_epoch
        if has_deleted:
            with_deleted.append(store.id)
    for id in store_ids:
        if id not in index_epochs:
            raise NotFound(f"No vector store with id {id!r} exists. List yours to see their ids.", param="id")
    if not with_deleted:
        return StoreStates(index_epochs, ())
    return StoreStates(index_epochs, await DeletedDocumentRepository(session, tenant).list_ids(with_deleted))


async def touch(database: Database, tenant: str, store_ids: Sequence[str]) -> None:
    """Note that the stores were used, which postpones their expiry; mostly this is one cheap read."""
    now = int(time.time())
    async with database.read() as session:
        idle = await StoreRepository(session, tenant).list_idle(store_ids, now - _TOUCH_SECONDS)
    if idle:
        async with database.begin(counted=False) as session:
            await StoreRepository(session, tenant).touch(idle, now)


def expires_at(store: StoreRow) -> int | None:
    """Return the moment a store expires at its present use, in Unix seconds; None where it never does."""
    if store.expires_after is None:
        return None
    return store.last_active_at + int(store.expires_after["days"]) * 86_400


async def search(
    retriever: Retriever,
    tenant: str,
    stores: StoreStates,
    texts: Sequence[str],
    *,
    limit: int,
    filters: dict[str, Any] | None = None,
    score_threshold: float | None = None,
) -> list[Passage]:
    """Find the best passages for any of the texts.

    Raises:
        BadRequest: The filters can't be used.
        Unavailable: The retriever can't answer now.
    """
    try:
        results = await asyncio.gather(
            *(
                retriever.search(
                    SearchQuery(
                        tenant=tenant,
                        stores=stores.index_epochs,
                        text=text,
                        limit=limit,
                        filters=filters,
                        score_threshold=score_threshold,
                        exclude=list(stores.deleted),
                    )
                )
                for text in texts
            )
        )
    except InvalidFilter as error:
        raise BadRequest(str(error), param="filters", code="invalid_filter") from error
    except (RetrieverUnavailable, RetrieverFailed) as error:
        raise Unavailable(
            "The documents can't be searched now. Try again in a moment.", retry_after=2, code="retriever_unavailable"
        ) from error
    best: dict[str, Passage] = {}
    for passage in (passage for passages in results for passage in passages):
        rival = best.get(passage.id)
        if rival is None or passage.score > rival.score:
            best[passage.id] = passage
    return sorted(best.values(), key=lambda passage: (-passage.score, passage.id))[:limit]


class SearchService:
    """OpenAI's search in one of a tenant's vector stores."""

    def __init__(self, database: Database, retriever: Retriever, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant

    async def search(self, store_id: str, request: VectorStoreSearch) -> VectorStoreSearchResultsPage:
        """Search at the store's present index epoch; no transaction is open while the retriever works."""
        async with self._database.read() as session:
            stores = await read_states(session, self._tenant, [store_id])
        texts = [request.query] if isinstance(request.query, str) else request.query
        passages = await search(
            self._retriever,
            self._tenant,
            stores,
            texts,
            limit=request.max_num_results,
            filters=request.filters,
            score_threshold=request.ranking_options.score_threshold or None,
        )
        await touch(self._database, self._tenant, [store_id])
        return VectorStoreSearchResultsPage(
            search_query=texts,
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
