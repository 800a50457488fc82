"""Lines that say what document a chunk is of, put between its context and its text: made by rules, without a model."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from retrieval.points import ContextualChunk
from tests.bench.retrieval.models import Document

__all__ = ["CONTEXTS", "add_key_words", "add_opening"]

_MOST = 160
_WORDS = 6
_SENTENCE = re.compile(r"\S.*?(?:[.!?。](?=\s|$)|\n\n|$)", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{3,}")

Chunks = Sequence[tuple[Document, ContextualChunk]]


def add_opening(chunks: Chunks) -> list[str]:
    """Put a document's first sentence before each of its chunks but the first, which has it."""
    return [_insert(chunk, _read_opening(document.text) if chunk.ordinal else "") for document, chunk in chunks]


def add_key_words(chunks: Chunks) -> list[str]:
    """Put the words that tell a document from the others before each of its chunks."""
    documents = {document.id: document.text for document, _chunk in chunks}
    counts = {id: Counter(_WORD.findall(text.lower())) for id, text in documents.items()}
    shared = Counter(word for words in counts.values() for word in words)
    lines: dict[str, str] = {}
    for id, words in counts.items():
        weights = {word: count * math.log(len(counts) / shared[word]) for word, count in words.items()}
        best = sorted(weights, key=lambda word: (-weights[word], word))[:_WORDS]
        lines[id] = f"About: {', '.join(best)}."
    return [_insert(chunk, lines[document.id]) for document, chunk in chunks]


def _read_opening(text: str) -> str:
    match = _SENTENCE.search(text)
    return " ".join(match[0].split())[:_MOST] if match else ""


def _insert(chunk: ContextualChunk, line: str) -> str:
    context = chunk.indexed_text.removesuffix(chunk.text)
    return f"{context}{line}\n{chunk.text}" if line else chunk.indexed_text


CONTEXTS: dict[str, Callable[[Chunks], list[str]]] = {
    "titled": lambda chunks: [chunk.indexed_text for _document, chunk in chunks],
    "text": lambda chunks: [chunk.text for _document, chunk in chunks],
    "opening": add_opening,
    "words": add_key_words,
}
"""By variant: what is indexed of chunks. `titled` is what Braid does."""
