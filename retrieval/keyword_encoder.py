"""Text → BM25 vectors, by the embedded engine's own encoder for every index backend.

A vector's indices are hashes of terms, the same in every process. Document frequencies aren't in it: the engine adds
those of the corpus that a search names, so that a point needn't change when others come and go.
"""

from collections.abc import Sequence

import qdrant_edge as edge

from retrieval.backends import KeywordVector

__all__ = ["KeywordEncoder"]

AVERAGE_TOKENS = 100.0
"""Length of a usual chunk in words that count; BM25 weighs a chunk's length against it."""


class KeywordEncoder:
    """English stop words and stemming; words of other languages pass through as they are. Safe in any thread."""

    identity = "bm25-en-1"
    """Part of the index's name: vectors of two encoders can't be compared. Change it with anything below."""

    def __init__(self) -> None:
        self._bm25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=AVERAGE_TOKENS))

    def encode_question(self, text: str) -> KeywordVector:
        """Return the question's terms, each with weight 1; none where it has only stop words."""
        return _to_keyword_vector(self._bm25.embed_query(text))

    def encode_passage(self, text: str) -> KeywordVector:
        """Return the passage's terms with BM25's weights, without the document frequencies of any corpus."""
        return _to_keyword_vector(self._bm25.embed_document(text))

    def encode_passages(self, texts: Sequence[str]) -> list[KeywordVector]:
        return [self.encode_passage(text) for text in texts]


def _to_keyword_vector(vector: edge.SparseVector) -> KeywordVector:
    return KeywordVector(vector.indices, vector.values)
