"""A file's addition to a store, which also repairs it where the index that had its passages is gone."""

from gateway.db import Database
from gateway.vector_stores.file_service import VectorStoreFileService
from gateway.vector_stores.repository import DocumentRepository, StoreRepository
from gateway.vector_stores.schemas import VectorStoreFile, VectorStoreFileCreate
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo
from retrieval.patience import Patience

__all__ = ["FileAdditionService", "describe_promptly"]

_PATIENCE_SECONDS = 2.0
"""For the retriever's word on what is there already; without it the index of the store's last change counts."""


class FileAdditionService:
    """Adds files to one tenant's stores. No transaction is open while the retriever says what index it has."""

    def __init__(self, database: Database, retriever: Retriever, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant

    async def add(self, store_id: str, request: VectorStoreFileCreate) -> VectorStoreFile:
        """Add a file; the same again changes nothing where it is indexed."""
        async with self._database.read() as session:
            store = await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
            document = await DocumentRepository(session, self._tenant).by_key(store_id, request.file_id)
        present = None
        if document is not None:  # else there is nothing that could be in another index
            present = await describe_promptly(self._retriever, store.index_identity)
        async with self._database.begin() as session:
            return await VectorStoreFileService(session, self._tenant).add(store_id, request, present)


async def describe_promptly(retriever: Retriever, index: str | None) -> RetrieverInfo | None:
    """Return what has this index; None where the retriever doesn't say it at once, since no put waits for that."""
    try:
        async with Patience(_PATIENCE_SECONDS):
            return await retriever.describe(index)
    except (RetrieverError, TimeoutError):
        return None
