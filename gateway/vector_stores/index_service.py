"""A store's documents beside the index: how many are in it, and having the others indexed again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import Unavailable
from gateway.vector_stores.calibration import describe_void, withdraw_calibration
from gateway.vector_stores.document_schemas import CalibrationState, IndexState
from gateway.vector_stores.reindex import REINDEX
from gateway.vector_stores.repository import (
    DocumentRepository,
    StoreRepository,
    VersionRepository,
    list_filled_stores,
)
from gateway.vector_stores.store_queue import ask_for_work
from gateway.vector_stores.tables import StoreRow
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo

__all__ = ["IndexService", "StaleStore", "list_stale"]


@dataclass(frozen=True, slots=True)
class StaleStore:
    """A store that isn't as it would be indexed now, and how many of its documents aren't.

    `missing` ones aren't in the present index; else they are outdated, and answer as they are.
    """

    row: StoreRow
    is_missing: bool
    documents: int


async def list_stale(session: AsyncSession, present: Sequence[RetrieverInfo]) -> Sequence[StaleStore]:
    """List the stores of all tenants that aren't as they would be indexed now.

    `present` are the indexes that there are: one, and a second while documents move there.
    """
    chunkers = {info.index: info.present_chunkers for info in present}
    stale: list[StaleStore] = []
    for store in await list_filled_stores(session):
        versions = VersionRepository(session, store.tenant_id)
        present_chunkers = chunkers.get(store.index_identity or "")
        if present_chunkers is None:
            documents = await DocumentRepository(session, store.tenant_id).count_live(store.id)
            stale.append(StaleStore(store, is_missing=True, documents=documents))
        elif not store.index_whole:
            stale.append(StaleStore(store, is_missing=True, documents=await versions.count_unindexed(store)))
        elif outdated := await versions.count_unindexed(store, present_chunkers):
            stale.append(StaleStore(store, is_missing=False, documents=outdated))
    return stale


class IndexService:
    """The index of one tenant's stores. No transaction is open while the retriever is asked."""

    def __init__(self, database: Database, retriever: Retriever, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant

    async def get(self, store_id: str) -> IndexState:
        """Compare a store with the index that the retriever has now.

        Raises:
            Unavailable: The retriever doesn't answer.
        """
        present = await self._describe()
        async with self._database.read() as session:
            return await self._read(session, store_id, present)

    async def reindex(self, store_id: str) -> IndexState:
        """Have the documents indexed again that aren't in the index as they would be now."""
        present = await self._describe()
        async with self._database.begin() as session:
            state = await self._read(session, store_id, present)
            if state.state == "current":
                return state
            return state.model_copy(update={"job": await ask_for_work(session, self._tenant, REINDEX, store_id)})

    async def withdraw_calibration(self, store_id: str) -> IndexState:
        """Let answers from the store go by the general model again."""
        async with self._database.begin() as session:
            await withdraw_calibration(session, self._tenant, store_id)
        return await self.get(store_id)

    async def _describe(self) -> Sequence[RetrieverInfo]:
        try:
            return await self._retriever.describe_all()
        except RetrieverError as error:
            raise Unavailable(
                "The index can't be asked now. Try again in a moment.", retry_after=2, code="retriever_unavailable"
            ) from error

    async def _read(self, session: AsyncSession, store_id: str, present: Sequence[RetrieverInfo]) -> IndexState:
        store = await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
        versions = VersionRepository(session, self._tenant)
        live = await DocumentRepository(session, self._tenant).count_live(store_id)
        here = next((info for info in present if info.index == store.index_identity), None)
        missing = live if here is None else await versions.count_unindexed(store)
        outdated = 0 if here is None else await versions.count_unindexed(store, here.present_chunkers) - missing
        elsewhere = here is None and store.index_epoch > 0  # searches are refused, though no document may be left
        state = "missing" if missing or elsewhere else "outdated" if outdated else "current"
        return IndexState(
            vector_store_id=store_id,
            state=state,
            documents=live,
            missing=missing,
            outdated=outdated,
            job=None,
            calibration=_describe_calibration(store),
        )


def _describe_calibration(store: StoreRow) -> CalibrationState | None:
    if store.calibration is None:
        return None
    problem = describe_void(store.calibration, store.index_identity)
    return CalibrationState(**store.calibration, in_use=not problem, problem=problem or None)
