"""Chunks of a document in their context → points of the index."""

import hashlib
import re
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from retrieval.backends import KeywordVector, Point
from retrieval.chunks import TokenOffsets, split_into_chunks
from retrieval.document_names import find_name
from retrieval.filters import ATTRIBUTES_FIELD, encode_attributes
from retrieval.messages import IngestRequest
from retrieval.parsers import ParsedDocument
from retrieval.sign_runs import measure_thinned, thin_runs
from retrieval.visibility import OPEN

__all__ = ["CHUNKER", "ContextualChunk", "contextualize", "to_point"]

CHUNKER = "chunks-9"
"""Name of what `contextualize` and `to_point` make of parsed text. Raise its number with any change that gives
documents other chunks, or these other payloads: stores that were indexed before are then known to be out of date
(`braid docs reindex`). Parsers have versions of their own (`retrieval.parsers.formats`)."""

_CONTEXT_TOKENS = 40
_SPECIAL_TOKENS = 2
_CONTEXT_CHARACTERS = 120
_WORD = re.compile(r"[^\W_]+")
_POINTS = uuid.UUID("6f0d5c9e-5a43-4f7c-9c3e-0b1f6f2f8a11")


@dataclass(frozen=True, slots=True)
class ContextualChunk:
    """A chunk with the context that is indexed with it.

    Attributes:
        ordinal: Place in the document, from 0.
        text: That between `start` and `end`, and what it repeats of a table or code that it is cut from.
        lead: Characters of `text` that are repeated, before what is between the offsets.
        tail: The same behind it: `text[lead : len(text) - tail]` is the parsed text's `[start:end]`.
        headline: Characters of `text`, at its beginning, that are lines of headings which `heading` says as well; 0
            where there is a `lead`.
        heading: What people and models are shown as its place: the document's title and the path of headings; "" in a
            document that has neither.
        name: What tells the document from others with its title, in the context in any case: "" if its file's name says
            nothing more.
        page: Number of the page on which it begins, from 1; 0 in a document without pages. No part of the digest: a
            page that is put in front changes nothing else.
        indexed_text: The text that is embedded and weighed: the context (title, headings), then `text`, both with runs
            of one sign shortened. Among near-misses (32 questions to the demo's documents) the right passage is first
            30 times with the context, 28 times without.
        digest: SHA-256 of `indexed_text`: equal digests have equal vectors.
    """

    ordinal: int
    start: int
    end: int
    text: str
    lead: int
    tail: int
    headline: int
    heading: str
    name: str
    page: int
    indexed_text: str
    digest: str


def contextualize(
    document: ParsedDocument, request: IngestRequest, offsets: TokenOffsets, *, window: int
) -> list[ContextualChunk]:
    """Cut a document. Chunks stay below the embedder's window, so that none is embedded only in part."""
    title = document.title or PurePath(request.filename).stem.replace("-", " ").replace("_", " ")
    name = find_name(title, request.filename, request.key)
    offsets = measure_thinned(offsets)
    room = max(window - _CONTEXT_TOKENS - _SPECIAL_TOKENS, 1)
    chunks = split_into_chunks(
        document,
        offsets,
        # A tiny last piece may exceed a chunk's size by an eighth.
        max_tokens=max(min(request.max_chunk_tokens, room * 8 // 9), 1),
        overlap_tokens=request.overlap_tokens,
    )
    contextual: list[ContextualChunk] = []
    for ordinal, piece in enumerate(chunks):
        path = (title, *piece.headings[1:]) if _says(title, piece.headings[:1]) else (title, *piece.headings)
        text = piece.whole
        headings = (f"{title} ({name})", *path[1:]) if name else path
        indexed_text = thin_runs(f"{_make_context(headings, offsets)}\n{text}")
        digest = hashlib.sha256(indexed_text.encode()).hexdigest()
        heading = " > ".join(path) if piece.headings else document.title
        contextual.append(
            ContextualChunk(
                ordinal=ordinal,
                start=piece.start,
                end=piece.end,
                text=text,
                lead=len(piece.lead),
                tail=len(piece.tail),
                headline=piece.headline,
                heading=heading,
                name=name,
                page=bisect_right(document.pages, piece.start),
                indexed_text=indexed_text,
                digest=digest,
            )
        )
    return contextual


def _says(title: str, headings: Sequence[str]) -> bool:
    """Tell whether a title has the words of a heading, one after the other: `Warranty | Kestrel` has `Warranty`."""
    title_words = f" {_join(title)} "
    return any(f" {_join(heading)} " in title_words for heading in headings)


def _join(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _make_context(path: Sequence[str], offsets: TokenOffsets) -> str:
    """Join a path within the context's bounds: of one that is too long, the title's beginning and the path's end."""
    whole = " > ".join(path)
    tokens = offsets(whole)
    if len(whole) <= _CONTEXT_CHARACTERS and len(tokens) <= _CONTEXT_TOKENS:
        return whole
    title = path[0][: _CONTEXT_CHARACTERS // 2]
    starts = [*offsets(title), len(title)]
    title = title[: starts[min(_CONTEXT_TOKENS // 2, len(starts) - 1)]]
    end = " > ".join(path[1:])[-_CONTEXT_CHARACTERS // 2 :]
    if not end:
        return title
    starts = [0, *offsets(end)]
    return f"{title.rstrip()} > {end[starts[max(len(starts) - _CONTEXT_TOKENS // 2 + 2, 0)] :]}"


def to_point(chunk: ContextualChunk, request: IngestRequest, dense: list[float], keywords: KeywordVector) -> Point:
    """Make a chunk's point, open from the request's index epoch on. The same request makes the same ids again."""
    place = "\0".join((request.tenant, request.store, request.document, str(request.index_epoch), str(chunk.ordinal)))
    return Point(
        str(uuid.uuid5(_POINTS, place)),
        dense,
        keywords,
        {
            "tenant": request.tenant,
            "store": request.store,
            "document": request.document,
            "digest": chunk.digest,
            "from": request.index_epoch,
            "to": OPEN,
            "key": request.key,
            "version": request.version,
            "file_id": request.file_id,
            "filename": request.filename,
            "text": chunk.text,
            "start": chunk.start,
            "end": chunk.end,
            "lead": chunk.lead,
            "tail": chunk.tail,
            "headline": chunk.headline,
            "heading": chunk.heading,
            "name": chunk.name,
            "page": chunk.page,
            "attributes": dict(request.attributes),
            ATTRIBUTES_FIELD: encode_attributes(request.attributes),
        },
    )
