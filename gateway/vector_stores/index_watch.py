"""Look whether the retriever's index is the one that the stores' points are in, at a worker's start and from then on."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import Database
from gateway.vector_stores.indexing import settle
from gateway.vector_stores.reindex import ask_for_reindex
from gateway.vector_stores.repository import StoreRepository, VersionRepository, list_filled_stores
from gateway.vector_stores.tables import StoreRow
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo

__all__ = ["IndexWatch"]

_log = structlog.get_logger()

_AWAY_SECONDS = 0.5
_PRESENT_SECONDS = 10.0


class IndexWatch:
    """Compares every store with the index when the retriever answers for the first time, or with another identity.

    What differs is logged; with `automatic` it is also indexed again. A store from before identities were noted is taken
    as it is if the index has points of it.
    """

    def __init__(self, database: Database, retriever: Retriever, *, automatic: bool) -> None:
        self._database = database
        self._retriever = retriever
        self._automatic = automatic

    async def run(self) -> None:
        """Watch until cancelled."""
        seen: tuple[str, str] | None = None
        while True:
            try:
                info = await self._retriever.describe()
                if seen != (info.index, info.chunker):
                    await self.compare(info)
                    seen = (info.index, info.chunker)
            except (RetrieverError, SQLAlchemyError):
                await asyncio.sleep(_AWAY_SECONDS)
                continue
            await asyncio.sleep(_PRESENT_SECONDS)

    async def compare(self, info: RetrieverInfo) -> None:
        """Compare every store with the index, once."""
        async with self._database.read() as session:
            stores = await list_filled_stores(session)
        stale = 0
        for store in stores:
            if store.index_identity is None:
                await self._adopt(store, info)
            stale += await self._examine(store, info)
        if stale:
            _log.warning("stores_not_indexed_as_now", stores=stale, index=info.index, chunker=info.chunker)

    async def _adopt(self, store: StoreRow, info: RetrieverInfo) -> None:
        adopted = await self._retriever.has_store(store.tenant_id, store.id)
        async with self._database.begin() as session:
            row = await StoreRepository(session, store.tenant_id).find(store.id)
            if row is not None and row.index_identity is None:
                await settle(session, row, info.index, adopted=adopted)

    async def _examine(self, store: StoreRow, info: RetrieverInfo) -> bool:
        """Tell whether a store isn't as it would be indexed now; have it indexed again where the operator wants that."""
        async with self._database.read() as session:
            row = await StoreRepository(session, store.tenant_id).find(store.id)
            if row is None:
                return False
            versions = VersionRepository(session, store.tenant_id)
            current = row.index_identity == info.index and await versions.find_unindexed(row, info.chunker) is None
        if current:
            return False
        if self._automatic:
            async with self._database.begin() as session:
                await ask_for_reindex(session, store.tenant_id, store.id)
        return True
