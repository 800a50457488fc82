"""The jobs that remove the rest of deleted documents or of a store; nobody has seen it since the delete."""

import time
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.files.service import delete_files
from gateway.jobs import Claim, JobDelayed, Outcome, enqueue_once, failpoint
from gateway.vector_stores.file_batch_repository import BatchFileRepository
from gateway.vector_stores.indexing import to_delay
from gateway.vector_stores.repository import (
    DeletedDocumentRepository,
    DocumentRepository,
    RemovedFileRepository,
    StoreRepository,
    VersionRepository,
)
from gateway.vector_stores.store_queue import DROP, ask_for_work
from gateway.vector_stores.tables import DocumentRow, RemovedFileRow
from retrieval.client import IndexChanged, Retriever, RetrieverUnavailable
from retrieval.messages import Writer

__all__ = ["REMOVE", "DropHandler", "RemoveHandler", "ask_for_removal"]

REMOVE = "remove"

_BATCH = 500
_AGAIN_SECONDS = 60.0
"""Before a removal that failed is tried anew: of documents each search has to leave them out until then."""

_OTHER_INDEX_SECONDS = 30.0

_PLACE_SECONDS = 24 * 3600
"""The time for which a removed file can be a list's cursor, and longer until the store's next removal."""


async def ask_for_removal(session: AsyncSession, tenant: str, store_id: str, delay_seconds: float = 0.0) -> str:
    """Have all deleted documents of a store removed; return the job's id, also of one that waits already.

    Not with the queue key of the store's other jobs: a removal waits for no ingest, and delays none.
    """
    job = await enqueue_once(
        session,
        tenant,
        kind=REMOVE,
        queue_key=f"remove:{store_id}",
        subject=store_id,
        payload={"store": store_id},
        delay_seconds=delay_seconds,
    )
    return job.id


class RemoveHandler:
    """Handles jobs of the kind `remove`: the points of a store's deleted documents, then their rows, in batches."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def run(self, claim: Claim) -> None:
        store_id: str = claim.payload["store"]
        while True:
            async with claim.begin() as session:
                store = await StoreRepository(session, claim.tenant).find(store_id)
                ids = await DeletedDocumentRepository(session, claim.tenant).list_ids([store_id], _BATCH)
            if not ids:
                break
            try:
                await self._retriever.remove_documents(
                    claim.tenant, store_id, ids, store.index_identity if store is not None else None
                )
                if store is not None and store.mirror_identity is not None:
                    await self._retriever.remove_documents(claim.tenant, store_id, ids, store.mirror_identity)
            except RetrieverUnavailable as error:
                raise to_delay(error) from error
            except IndexChanged as error:  # in the store's own index they would still be there when it comes back
                raise JobDelayed(str(error), seconds=_OTHER_INDEX_SECONDS) from error
            failpoint("remove-points")
            async with claim.begin() as session:
                documents = await DeletedDocumentRepository(session, claim.tenant).list_all(DocumentRow.id.in_(ids))
                await RemovedFileRepository(session, claim.tenant).note(documents, int(time.time()))
                await BatchFileRepository(session, claim.tenant).note_removal(ids)
                await _erase(session, claim.tenant, ids)
            failpoint("remove-rows")
        async with claim.begin() as session:
            old = RemovedFileRow.removed_at < int(time.time()) - _PLACE_SECONDS
            await RemovedFileRepository(session, claim.tenant).delete_rows(RemovedFileRow.store_id == store_id, old)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Try again later: the documents stay hidden, which is all that was promised, but not for nothing."""
        await ask_for_removal(session, claim.tenant, claim.payload["store"], _AGAIN_SECONDS)


class DropHandler:
    """Handles jobs of the kind `drop`: a store with all its documents."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def run(self, claim: Claim) -> None:
        store: str = claim.payload["store"]
        async with claim.begin() as session:
            row = await StoreRepository(session, claim.tenant).find_deleted(store)
        try:
            await self._retriever.drop_store(claim.tenant, store)
            if row is not None and row.mirror_identity is not None:
                for index in filter(None, (row.index_identity, row.mirror_identity)):
                    with suppress(IndexChanged):  # that one isn't here any more
                        await self._retriever.drop_store(claim.tenant, store, Writer(index, row.index_fence))
        except RetrieverUnavailable as error:
            raise to_delay(error) from error
        failpoint("drop-points")
        while True:
            async with claim.begin() as session:
                ids = await DocumentRepository(session, claim.tenant).list_all_ids(store, _BATCH)
                await _erase(session, claim.tenant, ids)
                if not ids:
                    await StoreRepository(session, claim.tenant).erase(store)
                    break
        failpoint("drop-rows")

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Try again later: the store stays hidden, and its points, rows and bytes don't stay for good."""
        await ask_for_work(session, claim.tenant, DROP, claim.payload["store"], delay_seconds=_AGAIN_SECONDS)


async def _erase(session: AsyncSession, tenant: str, ids: Sequence[str]) -> None:
    """Delete documents with their versions, and the files that were made for them.

    A client's own files stay, and so do those that it has added to another store by their ids.
    """
    where, versions = DocumentRow.id.in_(ids), VersionRepository(session, tenant)
    contents = await versions.list_contents(where)
    await DocumentRepository(session, tenant).erase(where)
    own_files = {file for key, file, _ in contents if file != key}
    await delete_files(
        session,
        tenant,
        ids=own_files - await versions.find_used(own_files),
        digests={digest for _, _, digest in contents},
    )
