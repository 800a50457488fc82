"""The text of a store's file, as it was parsed and is searched."""

import msgspec

from gateway.db import Database
from gateway.errors import Conflict
from gateway.vector_stores.file_service import get_document
from gateway.vector_stores.retriever_errors import explain_index_change, explain_retriever_errors
from gateway.vector_stores.schemas import TextContent, VectorStoreFileContent
from gateway.vector_stores.search import read_states
from retrieval.client import Retriever
from retrieval.messages import ContentRequest

__all__ = ["FileContentService"]


class FileContentService:
    """Reads the text of one tenant's vector store files. No transaction is open while the retriever is asked."""

    def __init__(self, database: Database, retriever: Retriever, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant

    async def get(self, store_id: str, file_id: str) -> VectorStoreFileContent:
        """Return a file's text at the store's present index epoch, passage by passage, nothing twice.

        Raises:
            Conflict: No version of the file has been read yet.
            Unavailable: The index can't be asked now, or doesn't have all of the store's documents.
        """
        async with self._database.read() as session:
            document = await get_document(session, self._tenant, store_id, file_id)
            stores = await read_states(session, self._tenant, [store_id])
        if not document.version:
            raise Conflict(
                f"The file {file_id!r} has no text in this store yet: its status is {document.status!r}. Wait until it "
                "is 'completed'.",
                param="file_id",
                code="file_not_ready",
            )
        if stores.problem:
            raise explain_index_change(stores.problem)
        request = ContentRequest(
            tenant=self._tenant,
            store=store_id,
            document=document.id,
            index_epoch=stores.index_epochs[store_id],
            indexes=list(stores.indexes),
        )
        return VectorStoreFileContent(data=[TextContent(text=text) for text in await self._read(request)])

    async def _read(self, request: ContentRequest) -> list[str]:
        texts: list[str] = []
        with explain_retriever_errors([request.store]):
            while pieces := await self._retriever.read_content(request):
                texts += [piece.text for piece in pieces]
                request = msgspec.structs.replace(request, start=pieces[-1].end)
        return texts
