"""A vector store of a running gateway, as evaluations see it: its documents' names, and searches."""

from gateway.client import Client, find_store
from gateway.evaluation.document_names import DocumentNames, StoreDocument
from gateway.evaluation.labels import BadLabels
from gateway.evaluation.retrieval_run import Hit

__all__ = ["MOST_PASSAGES", "NoStore", "RemoteStore"]

MOST_PASSAGES = 50
"""Of one search, the most that the gateway gives."""


class NoStore(BadLabels):
    """There is no such store."""


class RemoteStore:
    """One store; `open` reads the names of its documents, by which hits and labels are matched."""

    def __init__(self, client: Client, id: str, documents: list[StoreDocument], name: str) -> None:
        self.id = id
        self.names = DocumentNames(name, documents)
        self._client = client
        self._keys = {document.file_id: document.key for document in documents}

    @classmethod
    async def open(cls, client: Client, store: str) -> "RemoteStore":
        """Find a store by its id or name.

        Raises:
            NoStore: There is none.
            BadLabels: It has no documents.
            ClientError: The gateway can't be reached, or refuses.
        """
        id = await find_store(client, store)
        if id is None:
            raise NoStore(f"There is no vector store {store!r}. 'braid docs add NAME FILE…' makes one.")
        documents = [
            StoreDocument(row["key"], row["document_id"], row["file_id"], row["filename"])
            async for row in client.rows(f"/api/vector_stores/{id}/documents")
        ]
        if not documents:
            raise BadLabels(f"The vector store {store!r} has no documents. Add them with 'braid docs add'.")
        return cls(client, id, documents, store)

    async def search(self, text: str) -> list[Hit]:
        """Search as a client does; a passage of a document that was saved since goes by its file's name."""
        body = {"query": text[:_MOST_CHARACTERS], "max_num_results": MOST_PASSAGES}
        page = await self._client.post(f"/v1/vector_stores/{self.id}/search", body)
        return [Hit(self._keys.get(str(row["file_id"])) or row["filename"], row["score"]) for row in page["data"]]


_MOST_CHARACTERS = 32_768
