"""Lines that say what document a chunk is of, put between its context and its text: made by rules, without a model."""

import re
from collections.abc import Callable, Sequence

from retrieval.points import ContextualChunk
from tests.bench.retrieval.models import Document

__all__ = ["CONTEXTS", "add_opening"]

_MOST = 160
_SENTENCE = re.compile(r"\S.*?(?:[.!?。](?=\s|$)|\n\n|$)", re.DOTALL)

Chunks = Sequence[tuple[Document, ContextualChunk]]


def add_opening(chunks: Chunks) -> list[str]:
    """Put a document's first sentence before each of its chunks but the first, which has it."""
    return [_insert(chunk, _read_opening(document.text) if chunk.ordinal else "") for document, chunk in chunks]


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
}
"""By variant: what is indexed of chunks. `titled` is what Braid does."""
