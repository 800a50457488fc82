"""Texts of clients → vectors, beside questions and documents, and without starving either."""

import asyncio
from array import array

from retrieval.embedder import Embedder
from retrieval.errors import RetrieverBusy, TextTooLong
from retrieval.messages import Embeddings, EmbedRequest
from retrieval.priority_threads import Priority, PriorityThreads

__all__ = ["TextEmbedder"]

_MOST_REQUESTS = 16
"""Under way at once; they take turns, and the last one's first turn comes before its caller's patience ends."""

_SPECIAL_TOKENS = 2


class TextEmbedder:
    """Embeds texts in the embedder's threads. All requests together take the turns of one document that is ingested."""

    def __init__(self, embedder: Embedder, threads: PriorityThreads) -> None:
        self._embedder = embedder
        self._threads = threads
        self._turn = asyncio.Lock()  # which is fair: who waits longest is next
        self._requests = 0

    @property
    def requests(self) -> int:
        """The number of those under way."""
        return self._requests

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """See `retrieval.client.Retriever.embed`."""
        if self._requests >= _MOST_REQUESTS:
            raise RetrieverBusy(f"{self._requests} requests for embeddings are under way. Try again in a second.")
        self._requests += 1
        try:
            tokens = await asyncio.to_thread(self._count_tokens, request)
            vectors: list[bytes] = []
            size = self._embedder.batch  # as of a document's passages: a question waits for one turn at most
            for start in range(0, len(request.texts), size):
                batch = request.texts[start : start + size]
                async with self._turn:
                    step = await self._threads.run(Priority.INGEST, self._embedder.embed_passages, batch)
                vectors += [array("f", vector).tobytes() for vector in step]
            return Embeddings(vectors, tokens)
        finally:
            self._requests -= 1

    def _count_tokens(self, request: EmbedRequest) -> list[int]:
        most = max(self._embedder.window - _SPECIAL_TOKENS, 1)
        counts = [len(self._embedder.find_token_offsets(text)) for text in request.texts]
        for number, count in enumerate(counts, request.first):
            if count > most:
                raise TextTooLong(
                    f"The input {number} has {count} tokens, and the embedder reads at most {most} of one. Split it."
                )
        return counts
