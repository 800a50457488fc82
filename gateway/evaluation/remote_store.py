"""A vector store of a running gateway, as evaluations see it: its documents' names, and searches."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway.client import Client, find_store, put_document
from gateway.evaluation.document_names import DocumentNames, StoreDocument
from gateway.evaluation.label_sets import CorpusDocument
from gateway.evaluation.labels import BadLabels
from gateway.evaluation.retrieval_run import Hit, SearchHits
from retrieval.messages import Weights

__all__ = ["NoStore", "RemoteStore", "put_corpus"]

_MOST_PASSAGES = 50  # of one search, the most that the gateway gives
_MOST_CHARACTERS = 32_768
_AT_ONCE = 4


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
            async for row in client.read_rows(f"/api/vector_stores/{id}/documents")
        ]
        if not documents:
            raise BadLabels(f"The vector store {store!r} has no documents. Add them with 'braid docs add'.")
        return cls(client, id, documents, store)

    async def search(self, text: str, weights: Weights | None = None) -> SearchHits:
        """Search as a client does; a passage of a document that was saved since goes by its file's name."""
        body: dict[str, Any] = {"query": text[:_MOST_CHARACTERS], "max_num_results": _MOST_PASSAGES}
        if weights is not None:
            shares = {"embedding_weight": weights.embedding, "text_weight": weights.text}
            body["ranking_options"] = {"hybrid_search": shares}
        page, headers = await self._client.post_for_headers(f"/v1/vector_stores/{self.id}/search", body)
        hits = [Hit(self._keys.get(str(row["file_id"])) or row["filename"], row["score"]) for row in page["data"]]
        probability = headers.get("braid-answer-probability")  # an older gateway doesn't say
        return SearchHits(hits, None if probability is None else float(probability))


async def put_corpus(
    client: Client, store: str, documents: Sequence[CorpusDocument], on_progress: Callable[[int], None]
) -> None:
    """Put a test collection's documents into a store, four at a time; one with a new name is made.

    Raises:
        BadLabels: A document can't be indexed.
        ClientError: The gateway can't be reached, or refuses.
    """
    id = await find_store(client, store) or (await client.post("/v1/vector_stores", {"name": store}))["id"]
    free = asyncio.Semaphore(_AT_ONCE)
    count = 0

    async def put(document: CorpusDocument) -> None:
        nonlocal count
        text = f"# {document.title}\n\n{document.text}" if document.title else document.text
        async with free:
            state = await put_document(client, id, f"{document.id}.md", text.encode())
        if state["status"] != "completed":
            reason = state["error"]["message"] if state["error"] else state["status"]
            raise BadLabels(f"The document {document.id!r} of the corpus can't be indexed: {reason}")
        count += 1
        on_progress(count)

    try:
        async with asyncio.TaskGroup() as group:
            for document in documents:
                group.create_task(put(document))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
