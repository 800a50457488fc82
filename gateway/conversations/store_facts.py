"""A tenant's stores, as the facts lint looks into them: their content when it began."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.artifacts import Artifacts
from gateway.conversations.deleted_facts import DeletedText, DeletedTexts
from gateway.conversations.facts_lint import DocumentPassage, DocumentText
from gateway.db import Database
from gateway.vector_stores.deleted_documents import list_deleted, list_successors
from gateway.vector_stores.search import StoreStates, read_states, search
from gateway.vector_stores.version_texts import DocumentTexts
from retrieval.client import Retriever

__all__ = ["StoreFacts"]


class StoreFacts:
    """The stores at one state; see `facts_lint.FactIndex`.

    Args:
        database: Where documents and their versions are.
        retriever: Searches, and parses.
        artifacts: The documents' bytes.
        tenant: Whose they are.
        states: The stores, and the index epochs that are searched.
        deleted_texts: Values that trainings noted of documents which aren't there any more.
    """

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        artifacts: Artifacts,
        tenant: str,
        states: StoreStates,
        deleted_texts: Sequence[DeletedText] = (),
    ) -> None:
        self._database = database
        self._retriever = retriever
        self._tenant = tenant
        self._states = states
        self._deleted_texts = deleted_texts
        self._texts = DocumentTexts(database, retriever, artifacts, tenant)

    @classmethod
    async def open(
        cls,
        database: Database,
        retriever: Retriever,
        artifacts: Artifacts,
        tenant: str,
        stores: Sequence[str],
        deleted_texts: Sequence[DeletedText] = (),
    ) -> "StoreFacts":
        """Read the stores' present state.

        Raises:
            NotFound: The tenant has no such store.
            StoreExpired: A store has expired.
        """
        async with database.read() as session:
            states = await read_states(session, tenant, stores)
        return cls(database, retriever, artifacts, tenant, states, deleted_texts)

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

    async def read_deleted(self) -> DeletedTexts:
        """Return what is kept of documents that were deleted from the stores, the whole texts first.

        Raises:
            Unavailable: The retriever, which parses, can't answer now.
        """
        stores = list(self._states.index_epochs)
        async with self._database.read() as session:
            deleted = await list_deleted(session, self._tenant, stores)
        texts = [
            DeletedText(
                *(one.store, one.document, one.key, one.version, one.deleted_at, one.filename, text),
            )
            for one, text in await self._texts.read_deleted(deleted.contents)
        ]
        texts += [replace(one, deleted_at=deleted.times.get(one.document, 0)) for one in self._deleted_texts]
        async with self._database.read() as session:
            successors = await list_successors(session, self._tenant, stores, {one.key for one in texts})
        unread = deleted.times.keys() - {one.document for one in texts}
        return DeletedTexts([replace(one, successor=successors.get(one.key)) for one in texts], len(unread))
