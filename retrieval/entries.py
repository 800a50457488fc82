"""Chunks of a document → what the index holds of them."""

import hashlib
import uuid
from pathlib import PurePath

from msgspec import Struct

from retrieval.chunks import TokenOffsets, chunk
from retrieval.filters import FIELD, filterable
from retrieval.parsers import Parsed
from retrieval.passages import Ingest
from retrieval.scope import OPEN
from retrieval.stores import KeywordVector, Point

__all__ = ["Entry", "as_point", "entries"]

_CONTEXT_TOKENS = 40
_SPECIAL_TOKENS = 2
_CONTEXT_CHARACTERS = 120
_POINTS = uuid.UUID("6f0d5c9e-5a43-4f7c-9c3e-0b1f6f2f8a11")


class Entry(Struct, frozen=True):
    """A chunk in its context.

    Attributes:
        ordinal: Place in the document, from 0.
        heading: Path of headings, for people.
        indexed_text: What is embedded and weighed: the context (title, headings), then the text. Among near-misses
            (32 questions to the demo's documents) the right passage is first 30 times with the context, 28 without.
        digest: SHA-256 of `indexed_text`: equal digests have equal vectors.
    """

    ordinal: int
    start: int
    end: int
    text: str
    heading: str
    indexed_text: str
    digest: str


def entries(parsed: Parsed, request: Ingest, offsets: TokenOffsets, *, window: int) -> list[Entry]:
    """Cut a document. Chunks are held below the embedder's window, so that none is embedded only in part."""
    title = parsed.title or PurePath(request.filename).stem.replace("-", " ").replace("_", " ")
    room = max(window - _CONTEXT_TOKENS - _SPECIAL_TOKENS, 1)
    chunks = chunk(
        parsed,
        offsets,
        # A tiny last piece may exceed a chunk's size by an eighth.
        max_tokens=max(min(request.max_chunk_tokens, room * 8 // 9), 1),
        overlap_tokens=request.overlap_tokens,
    )
    made: list[Entry] = []
    for ordinal, piece in enumerate(chunks):
        path = piece.headings if piece.headings[:1] == (title,) else (title, *piece.headings)
        indexed = f"{' > '.join(path)[-_CONTEXT_CHARACTERS:]}\n{piece.text}"
        digest = hashlib.sha256(indexed.encode()).hexdigest()
        made.append(Entry(ordinal, piece.start, piece.end, piece.text, " > ".join(piece.headings), indexed, digest))
    return made


def as_point(entry: Entry, request: Ingest, dense: list[float], keywords: KeywordVector) -> Point:
    """The point of an entry, open from the ingest's epoch on. The same ingest makes the same ids again."""
    place = "\0".join((request.tenant, request.store, request.document, str(request.epoch), str(entry.ordinal)))
    return Point(
        str(uuid.uuid5(_POINTS, place)),
        dense,
        keywords,
        {
            "tenant": request.tenant,
            "store": request.store,
            "document": request.document,
            "digest": entry.digest,
            "from": request.epoch,
            "to": OPEN,
            "key": request.key,
            "version": request.version,
            "file_id": request.file_id,
            "filename": request.filename,
            "text": entry.text,
            "start": entry.start,
            "end": entry.end,
            "heading": entry.heading,
            "attributes": dict(request.attributes),
            FIELD: filterable(request.attributes),
        },
    )
