"""Text → BM25 vectors, by the engine's own encoder for every store."""

import qdrant_edge as edge

from retrieval.stores.protocol import KeywordVector

__all__ = ["KeywordEncoder"]

AVERAGE_TOKENS = 100.0
"""Length of a usual chunk in words that count; BM25 weighs a chunk's length against it."""


class KeywordEncoder:
    """English stop words and stemming; words of other languages pass through as they are. Safe in any thread."""

    identity = "bm25-en-1"
    """Part of the index's name: vectors of two encoders can't be compared. Change it with anything below."""

    def __init__(self) -> None:
        self._bm25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=AVERAGE_TOKENS))

    def question(self, text: str) -> KeywordVector:
        return _vector(self._bm25.embed_query(text))

    def passage(self, text: str) -> KeywordVector:
        return _vector(self._bm25.embed_document(text))


def _vector(vector: edge.SparseVector) -> KeywordVector:
    return KeywordVector(vector.indices, vector.values)
