"""Moves of all documents to another index: the operator's side."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.counts import format_count
from gateway.db import Database, lock
from gateway.errors import BadRequest, Conflict, NotFound, Unavailable
from gateway.ids import new_id
from gateway.vector_stores.index_comparison import compare_indexes
from gateway.vector_stores.index_migration_repository import (
    CopyState,
    exchange_indexes,
    find_migration,
    find_open_migration,
    find_store_of_any_tenant,
    hold_filled_stores,
    list_filled_store_ids,
    list_migrations,
    read_copy_state,
)
from gateway.vector_stores.index_migration_schemas import (
    IndexMigration,
    IndexMigrationCreate,
    IndexMigrationEvaluate,
    IndexMigrationEvaluation,
    IndexMigrationList,
    IndexMigrationSwap,
    IndexPlace,
)
from gateway.vector_stores.tables import IndexMigrationRow
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo

__all__ = ["IndexMigrationService"]

_MOST_LISTED = 20
_MOST_STORES = 1000


class IndexMigrationService:
    """The index is one for all tenants, and so is its operator.

    Args:
        database: The database.
        retriever: Reaches the retrievers of both indexes.
        embedder: The embedder that this process is configured with, "" for the packaged one.
        qdrant_url: The same of the Qdrant server, "" for none.
    """

    def __init__(self, database: Database, retriever: Retriever, embedder: str, qdrant_url: str) -> None:
        self._database = database
        self._retriever = retriever
        self._embedder = embedder
        self._qdrant_url = qdrant_url

    async def create(self, request: IndexMigrationCreate) -> IndexMigration:
        """Begin a move. A second retriever has to be started for it, which `braid up` does by itself.

        Raises:
            BadRequest: The target is the source.
            Conflict: Another move goes on.
            Unavailable: The retriever doesn't answer.
        """
        present = await self._describe()
        embedder = self._embedder if request.embedder is None else request.embedder
        url = self._qdrant_url if request.qdrant_url is None else request.qdrant_url
        if (embedder, url) == (self._embedder, self._qdrant_url):
            raise BadRequest(
                "The documents are in that index already. Name another embedder or another Qdrant server.",
                param="embedder",
            )
        async with self._database.begin() as session:
            await lock(session, "index migration")
            if (other := await find_open_migration(session)) is not None:
                raise Conflict(f"The move {other.id!r} is {other.phase}. Finish or cancel it first.")
            row = IndexMigrationRow(
                id=new_id("im_"),
                created_at=int(time.time()),
                source_embedder=self._embedder,
                source_url=self._qdrant_url,
                target_embedder=embedder,
                target_url=url,
                source_index=present.index,
                phase="copying",
                evaluations={},
            )
            session.add(row)
            await session.flush()
            return await _read(session, row)

    async def list(self) -> IndexMigrationList:
        async with self._database.read() as session:
            rows = await list_migrations(session, _MOST_LISTED)
            return IndexMigrationList(data=[await _read(session, row) for row in rows])

    async def get(self, id: str) -> IndexMigration:
        async with self._database.read() as session:
            return await _read(session, await _find(session, id))

    async def evaluate(self, id: str, request: IndexMigrationEvaluate) -> IndexMigrationEvaluation:
        """Ask both indexes the same questions, and keep the figures beside the move; no transaction is open meanwhile.

        Where the request has no questions, they are taken from records of answers or made from the store's documents.

        Raises:
            NotFound: There is no such move or store.
            Conflict: The store isn't whole in both indexes, or there is nothing to ask.
        """
        async with self._database.read() as session:
            row = await _find(session, id, phases=("copying", "swapped"))
            store = await find_store_of_any_tenant(session, request.vector_store_id)
            if store is None:
                raise NotFound(f"No vector store with id {request.vector_store_id!r} exists.", param="vector_store_id")
        if row.target_index is None or {store.index_identity, store.mirror_identity} != {
            row.source_index,
            row.target_index,
        }:
            raise Conflict("The store isn't in both indexes yet. Wait until the move is ready.", code="not_ready")
        questions = None
        if request.questions is not None:
            questions = [(one.question, one.documents) for one in request.questions]
        indexes = row.source_index, row.target_index
        evaluation = await compare_indexes(self._database, self._retriever, store, indexes, questions)
        async with self._database.begin() as session:
            row = await _find(session, id)
            row.evaluations = {**row.evaluations, store.id: evaluation.model_dump()}
        return evaluation

    async def swap(self, id: str, request: IndexMigrationSwap) -> IndexMigration:
        """Have all searches ask the target, by one commit.

        Raises:
            Conflict: The target lacks documents, an evaluation found it worse (or below the request's limit, or there
                is none), or the move isn't copying.
        """
        async with self._database.begin() as session:
            row = await _find(session, id, phases=("copying",))
            evaluations = [IndexMigrationEvaluation.model_validate(one) for one in row.evaluations.values()]
            if not request.force:
                stores = await list_filled_store_ids(session, _MOST_STORES)
                _accept(evaluations, request.least_difference, stores)
            return await _exchange(session, row, "swapped")

    async def roll_back(self, id: str) -> IndexMigration:
        """Have all searches ask the source again, by one commit.

        Raises:
            Conflict: The source lacks documents for the moment, or the move isn't swapped.
        """
        async with self._database.begin() as session:
            return await _exchange(session, await _find(session, id, phases=("swapped",)), "copying")

    async def cancel(self, id: str) -> IndexMigration:
        async with self._database.begin() as session:
            row = await _find(session, id, phases=("copying",))
            row.phase = "cancelling"
            return await _read(session, row)

    async def finish(self, id: str) -> IndexMigration:
        """End the time in which the move can be rolled back.

        Raises:
            Conflict: The move isn't swapped, or the retriever of the source is still the first one, so that searches
                would have none after the next restart.
        """
        present = await self._describe()
        async with self._database.begin() as session:
            row = await _find(session, id, phases=("swapped",))
            if present.index != row.target_index:
                raise Conflict(
                    "Braid is still configured for the source. Set BRAID_EMBEDDER and BRAID_QDRANT_URL to the "
                    "target's, restart Braid, and finish then.",
                    code="not_configured",
                )
            row.phase = "finishing"
            return await _read(session, row)

    async def _describe(self) -> RetrieverInfo:
        try:
            return await self._retriever.describe()
        except RetrieverError as error:
            raise Unavailable(
                "The index can't be asked now. Try again in a moment.", retry_after=2, code="retriever_unavailable"
            ) from error


async def _find(session: AsyncSession, id: str, phases: Sequence[str] = ()) -> IndexMigrationRow:
    row = await find_migration(session, id)
    if row is None:
        raise NotFound(f"No move to another index with id {id!r} exists. List them to see their ids.")
    if phases and row.phase not in phases:
        raise Conflict(f"The move {id!r} is {row.phase}; this needs one that is {' or '.join(phases)}.")
    return row


def _accept(evaluations: Sequence[IndexMigrationEvaluation], least: float | None, stores: Sequence[str]) -> None:
    """Raise `Conflict` where figures speak against a swap, or `least` was asked for and there are none."""
    worse = [one.vector_store_id for one in evaluations if one.worse]
    if worse:
        raise Conflict(
            f"The target finds less than the source in {', '.join(worse)}, by more than chance. Cancel the move, or "
            "swap with force.",
            code="evaluation_worse",
        )
    if least is None:
        return
    missing = set(stores) - {one.vector_store_id for one in evaluations}
    if missing:
        words = format_count(len(missing), "store hasn't", "stores haven't")
        raise Conflict(
            f"{words} been evaluated, such as {min(missing)}. Evaluate all of them, or swap without a least "
            "difference.",
            code="not_evaluated",
        )
    below = [f"{one.vector_store_id} ({one.difference:+.3f})" for one in evaluations if one.difference < least]
    if below:
        raise Conflict(
            f"nDCG@10 changes by less than {least:+.3f} in {', '.join(below)}. Cancel the move, or swap with force.",
            code="evaluation_worse",
        )


async def _exchange(session: AsyncSession, row: IndexMigrationRow, phase: str) -> IndexMigration:
    await hold_filled_stores(session)
    state = await read_copy_state(session, row.mirror_index)
    if not _is_ready(row, state):
        raise Conflict(
            f"{state.missing} of {state.documents} documents aren't in the other index, {state.failed} of them since "
            f"they can't be read for it, and {format_count(state.stores_behind, 'store is', 'stores are')} behind. "
            "Wait until the move is ready; documents that can't be read have to be replaced or deleted.",
            code="not_ready",
        )
    await exchange_indexes(session)
    row.phase = phase
    row.swapped_at = int(time.time()) if phase == "swapped" else None
    await session.flush()
    return await _read(session, row)


async def _read(session: AsyncSession, row: IndexMigrationRow) -> IndexMigration:
    state = await read_copy_state(session, row.mirror_index)
    return _schema(row, state, await list_filled_store_ids(session, _MOST_STORES))


def _is_ready(row: IndexMigrationRow, state: CopyState) -> bool:
    return row.mirror_index is not None and not state.missing and not state.stores_behind


def _schema(row: IndexMigrationRow, state: CopyState, stores: Sequence[str]) -> IndexMigration:
    open_ = row.mirror_index is not None or row.phase == "copying"
    counts: dict[str, Any] = {"missing": state.missing, "failed": state.failed, "stores_behind": state.stores_behind}
    return IndexMigration.model_validate(
        {
            "id": row.id,
            "created_at": row.created_at,
            "source": IndexPlace(embedder=row.source_embedder, qdrant_url=row.source_url, index=row.source_index),
            "target": IndexPlace(embedder=row.target_embedder, qdrant_url=row.target_url, index=row.target_index),
            "phase": row.phase,
            "ready": _is_ready(row, state),
            "documents": state.documents,
            **(counts if open_ else dict.fromkeys(counts, 0)),
            "vector_stores": stores if open_ else [],
            "evaluations": list(row.evaluations.values()),
            "problem": row.problem if row.ended_at is None else None,
            "swapped_at": row.swapped_at,
            "ended_at": row.ended_at,
        }
    )
