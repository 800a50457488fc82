"""Questions to a tenant's stores: at which epochs, and what comes back. No HTTP here; chat asks through it too."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.vector_stores.repository import StoreRepository, epochs_and_deleted
from gateway.vector_stores.tables import StoreRow
from retrieval.client import InvalidFilter, Retriever, RetrieverFailed, RetrieverUnavailable
from retrieval.passages import Passage, SearchQuery

__all__ = ["Epochs", "epochs_of", "expires_at", "search", "touch"]

Epochs = tuple[dict[str, int], list[str]]
"""Each store's epoch, read once for a request, and the documents that must not answer: deleted, but still indexed."""

_TOUCH_SECONDS = 3600
"""How exact `last_active_at` is: expiry counts in days, and a write for each question would cost more than it."""


async def epochs_of(session: AsyncSession, tenant: str, store_ids: Sequence[str]) -> Epochs:
    """Read what a search needs to see one state of the stores.

    Raises:
        NotFound: The tenant has no such store.
        BadRequest: A store has expired.
    """
    epochs: dict[str, int] = {}
    deleted: list[str] = []
    for store, document in await epochs_and_deleted(session, tenant, store_ids):
        if (end := expires_at(store)) is not None and end <= time.time():
            raise BadRequest(
                f"The vector store {store.id!r} expired: it wasn't used for the days of its expires_after. "
                "Modify its expires_after to use it again.",
                param="vector_store_id",
                code="vector_store_expired",
            )
        epochs[store.id] = store.epoch
        if document is not None:
            deleted.append(document)
    for id in store_ids:
        if id not in epochs:
            raise NotFound(f"No vector store with id {id!r} exists. List yours to see their ids.", param="id")
    return epochs, deleted


async def touch(database: Database, tenant: str, store_ids: Sequence[str]) -> None:
    """Note that the stores were used, which postpones their expiry; mostly this is one cheap read."""
    now = int(time.time())
    async with database.read() as session:
        idle = await StoreRepository(session, tenant).idle(store_ids, now - _TOUCH_SECONDS)
    if idle:
        async with database.begin() as session:
            await StoreRepository(session, tenant).touch(idle, now)


def expires_at(store: StoreRow) -> int | None:
    if store.expires_after is None:
        return None
    return store.last_active_at + int(store.expires_after["days"]) * 86_400


async def search(
    retriever: Retriever,
    tenant: str,
    stores: Epochs,
    texts: Sequence[str],
    *,
    limit: int,
    filters: dict[str, Any] | None = None,
    score_threshold: float | None = None,
) -> list[Passage]:
    """Find the best passages for any of the texts.

    Raises:
        BadRequest: The filters are none.
        Unavailable: The retriever can't answer now.
    """
    epochs, deleted = stores
    try:
        found = await asyncio.gather(
            *(
                retriever.search(
                    SearchQuery(
                        tenant=tenant,
                        stores=epochs,
                        text=text,
                        limit=limit,
                        filters=filters,
                        score_threshold=score_threshold,
                        exclude=deleted,
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
    for passage in (passage for passages in found for passage in passages):
        held = best.get(passage.id)
        if held is None or passage.score > held.score:
            best[passage.id] = passage
    return sorted(best.values(), key=lambda passage: (-passage.score, passage.id))[:limit]
