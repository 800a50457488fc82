"""OpenAI's search in one vector store."""

from gateway.db import Database
from gateway.vector_stores.schemas import (
    TextContent,
    VectorStoreSearch,
    VectorStoreSearchResult,
    VectorStoreSearchResultsPage,
)
from gateway.vector_stores.search import epochs_of, search, touch
from retrieval.client import Retriever

__all__ = ["StoreSearch"]


class StoreSearch:
    def __init__(self, database: Database, retriever: Retriever, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant

    async def search(self, store_id: str, request: VectorStoreSearch) -> VectorStoreSearchResultsPage:
        """Search at the store's present epoch; no transaction is open while the retriever works."""
        async with self._database.read() as session:
            stores = await epochs_of(session, self._tenant, [store_id])
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
