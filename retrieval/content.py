"""A document's text, put together again from its chunks."""

from typing import Any

from retrieval.backends import IndexBackend
from retrieval.filter_expressions import Between
from retrieval.messages import ContentRequest, TextPiece
from retrieval.visibility import show_document

__all__ = ["read_pieces"]

_MOST_CHARACTERS = 1_000_000
"""Of one answer: a third of what a frame holds of characters with four bytes each."""


async def read_pieces(backend: IndexBackend, request: ContentRequest) -> list[TextPiece]:
    """Return the chunks from a place on, each without what is in the one before it, up to `_MOST_CHARACTERS`."""
    points = show_document(request.tenant, request.store, request.document).narrow(
        Between("from", lte=request.index_epoch),
        Between("to", gt=request.index_epoch),
        Between("end", gt=request.start),
    )
    if request.end is not None:
        points = points.narrow(Between("start", lt=request.end))
    chunks = await backend.read(points, ("start", "end", "text", "lead", "tail", "heading", "headline"))
    return _join(chunks, request.start)


def _join(chunks: list[dict[str, Any]], start: int) -> list[TextPiece]:
    """Cut from each chunk what ends before it begins: overlaps, and whatever is before `start`."""
    pieces: list[TextPiece] = []
    characters = 0
    for chunk in sorted(chunks, key=lambda chunk: (chunk["start"], chunk["end"])):
        first = max(chunk["start"], start)
        if first >= chunk["end"]:
            continue
        lead, body, tail = _take_apart(chunk)
        text = body[first - chunk["start"] :]
        characters += len(text)
        if characters > _MOST_CHARACTERS and pieces:
            break
        headline = max(chunk.get("headline", 0) - (first - chunk["start"]), 0)
        pieces.append(TextPiece(first, chunk["end"], text, chunk["heading"], lead, tail, headline))
        start = chunk["end"]
    return pieces


def _take_apart(chunk: dict[str, Any]) -> tuple[str, str, str]:
    """Return a chunk's text in three: what is between its offsets, and what it repeats before and behind."""
    text: str = chunk["text"]
    lead: int = chunk.get("lead", 0)
    end = len(text) - chunk.get("tail", 0)
    return text[:lead], text[lead:end], text[end:]
