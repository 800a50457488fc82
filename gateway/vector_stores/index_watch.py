"""A look whether the retriever's index is the one that the stores' points are in, from a worker's start on."""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import Database
from gateway.vector_stores.index_service import list_stale
from gateway.vector_stores.indexing import settle
from gateway.vector_stores.reindex import REINDEX
from gateway.vector_stores.repository import StoreRepository, list_filled_stores
from gateway.vector_stores.store_queue import ask_for_work
from gateway.vector_stores.tables import StoreRow
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo

__all__ = ["IndexWatch"]

_log = structlog.get_logger()

_AWAY_SECONDS = 0.5
_PRESENT_SECONDS = 10.0


class IndexWatch:
    """Compares every store with the index when the retriever answers for the first time, or with another identity.

    What differs is logged; with `automatic` it is also indexed again. A store from before identities were noted is
    taken as it is if the index has points of it.
    """

    def __init__(self, database: Database, retriever: Retriever, *, automatic: bool) -> None:
        self._database = database
        self._retriever = retriever
        self._automatic = automatic

    async def run(self) -> None:
        """Watch until cancelled."""
        last_indexes: list[tuple[str, list[str]]] | None = None
        pause = _AWAY_SECONDS
        while True:
            try:
                infos = await self._retriever.describe_all()
                present = [(info.index, info.present_chunkers) for info in infos]
                if last_indexes != present:
                    await self.compare(infos)
                    last_indexes = present
            except (RetrieverError, SQLAlchemyError):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PRESENT_SECONDS)
                continue
            pause = _AWAY_SECONDS
            await asyncio.sleep(_PRESENT_SECONDS)

    async def compare(self, present: Sequence[RetrieverInfo]) -> None:
        """Compare every store with the indexes that there are, once."""
        async with self._database.read() as session:
            stores = await list_filled_stores(session)
        for store in stores:
            if store.index_identity is None:
                await self._adopt(store, present[0])
        async with self._database.read() as session:
            stale = await list_stale(session, present)
        if not stale:
            return
        documents, indexes = sum(one.documents for one in stale), [info.index for info in present]
        _log.warning("stores_not_indexed_as_now", stores=len(stale), documents=documents, indexes=indexes)
        for one in stale if self._automatic else ():
            async with self._database.begin() as session:
                await ask_for_work(session, one.row.tenant_id, REINDEX, one.row.id)

    async def _adopt(self, store: StoreRow, info: RetrieverInfo) -> None:
        adopted = await self._retriever.has_store(store.tenant_id, store.id)
        async with self._database.begin() as session:
            row = await StoreRepository(session, store.tenant_id).find(store.id)
            if row is not None and row.index_identity is None:
                await settle(session, row, info.index, adopted=adopted)
