"""A tenant's stores, as the facts lint looks into them: their content when it began."""

from collections.abc import Sequence

from gateway.artifacts import Artifacts
from gateway.conversations.facts_lint import DocumentPassage, DocumentText
from gateway.db import Database
from gateway.vector_stores.search import StoreStates, read_states, search
from gateway.vector_stores.version_texts import DocumentTexts
from retrieval.client import Retriever

__all__ = ["StoreFacts"]


class StoreFacts:
    """The stores at one state; see `facts_lint.FactIndex`."""

    def __init__(
        self, database: Database, retriever: Retriever, artifacts: Artifacts, tenant: str, states: StoreStates
    ) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant
        self._states = states
        self._texts = DocumentTexts(database, retriever, artifacts, tenant)

    @classmethod
    async def open(
        cls, database: Database, retriever: Retriever, artifacts: Artifacts, tenant: str, stores: Sequence[str]
    ) -> "StoreFacts":
        """Read the stores' present state.

        Raises:
            NotFound: The tenant has no such store.
            StoreExpired: A store has expired.
        """
        async with database.read() as session:
            states = await read_states(session, tenant, stores)
        return cls(database, retriever, artifacts, tenant, states)

    async def search(self, texts: Sequence[str], limit: int) -> Sequence[DocumentPassage]:
        """Return the best passages; raises what `vector_stores.search` does."""
        passages = await search(self._database, self._retriever, self._tenant, self._states, texts, limit=limit)
        return [
            DocumentPassage(one.store, one.document, one.key, one.version, one.heading, one.body) for one in passages
        ]

    async def read_current(self, store: str, document: str) -> str:
        """Return a document's present text."""
        return await self._texts.read_present(self._states, store, document)

    async def read_earlier(self, document: str) -> Sequence[DocumentText]:
        """Return its earlier versions."""
        return [DocumentText(one.version, one.filename, one.text) for one in await self._texts.read_earlier(document)]
