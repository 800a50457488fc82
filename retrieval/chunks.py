"""Parsed text → chunks that keep to its structure: headings, paragraphs, lines, sentences, in this order."""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from retrieval.parsers.parsed import Heading, Parsed

__all__ = ["Chunk", "TokenOffsets", "split_into_chunks"]

TokenOffsets = Callable[[str], Sequence[int]]
"""The character offset at which each token of a text starts, in order."""

_BOUNDARIES = tuple(re.compile(p) for p in (r"\n[ \t\f]*\n\s*", r"[\n\f]\s*", r"(?<=[.!?。！？;])\s+", r"\s+"))
_SENTENCE = 2
_TINY = 8
"""A piece below 1/8 of the size isn't worth a chunk of its own: it is joined to a neighbour."""

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is exactly `parsed.text[start:end]`; `headings` are those above it, outermost first."""

    start: int
    end: int
    text: str
    headings: tuple[str, ...]


def split_into_chunks(
    parsed: Parsed, offsets: TokenOffsets, *, max_tokens: int, overlap_tokens: int = 0
) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens` (a tiny last piece may exceed it by an eighth).

    A section starts its own chunks, so an edit moves boundaries in its section only, and a chunk never mixes two
    products' facts. `overlap_tokens` are repeated from the piece before, within a section.
    """
    chunks: list[Chunk] = []
    for section in _join_sections(_split_sections(parsed), parsed.text, offsets, max_tokens):
        ruler = _Ruler(parsed.text, section.start, section.end, offsets)
        overlap = min(overlap_tokens, max_tokens // 2)
        for start, end in _widen(_cut(ruler, max_tokens - overlap), ruler, overlap):
            chunks.append(Chunk(start, end, parsed.text[start:end], section.headings))
    return chunks


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    end: int
    headings: tuple[str, ...]


class _Ruler:
    """Spans of one section, measured in tokens; the section is tokenised once."""

    def __init__(self, text: str, start: int, end: int, offsets: TokenOffsets) -> None:
        self.text = text
        self.start = start
        self.end = end
        self.tokens = [start + offset for offset in offsets(text[start:end])]

    def count_tokens(self, span: _Span) -> int:
        return bisect_left(self.tokens, span[1]) - bisect_left(self.tokens, span[0])

    def trim(self, span: _Span) -> _Span:
        start, end = span
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return start, end


def _split_sections(parsed: Parsed) -> list[_Section]:
    """Split from each heading to the next, under the path of headings above it."""
    sections: list[_Section] = []
    path: list[Heading] = []
    first = parsed.headings[0].start if parsed.headings else len(parsed.text)
    if parsed.text[:first].strip():
        sections.append(_Section(0, first, ()))
    starts = [heading.start for heading in parsed.headings] + [len(parsed.text)]
    for heading, end in zip(parsed.headings, starts[1:], strict=True):
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        if parsed.text[heading.start : end].strip():
            sections.append(_Section(heading.start, end, tuple(above.title for above in path)))
    return sections


def _join_sections(sections: list[_Section], text: str, offsets: TokenOffsets, max_tokens: int) -> list[_Section]:
    """Give a heading with next to nothing under it to its first subsection."""
    merged: list[_Section] = []
    for section in sections:
        before = merged[-1] if merged else None
        if (
            before is not None
            and section.headings[: len(before.headings)] == before.headings
            and len(section.headings) > len(before.headings)
            and len(offsets(text[before.start : before.end])) * _TINY <= max_tokens
        ):
            merged[-1] = _Section(before.start, section.end, section.headings)
        else:
            merged.append(section)
    return merged


def _cut(ruler: _Ruler, size: int) -> list[_Span]:
    pieces = _split(ruler, (ruler.start, ruler.end), size, 0)
    if len(pieces) > 1 and ruler.count_tokens(pieces[-1]) * _TINY <= size:
        last = pieces.pop()
        pieces[-1] = (pieces[-1][0], last[1])
    return [span for span in map(ruler.trim, pieces) if span[0] < span[1]]


def _split(ruler: _Ruler, span: _Span, size: int, level: int) -> list[_Span]:
    """Cut at the coarsest boundary that gives fitting pieces, then join neighbours as far as they fit."""
    if ruler.count_tokens(span) <= size:
        return [span]
    if level == len(_BOUNDARIES):
        first = bisect_left(ruler.tokens, span[0])
        last = bisect_left(ruler.tokens, span[1])
        cuts = [span[0], *ruler.tokens[first + size : last : size], span[1]]
        return list(pairwise(cuts))
    cuts = [span[0], *(m.end() for m in _BOUNDARIES[level].finditer(ruler.text, *span) if m.end() < span[1]), span[1]]
    pieces: list[_Span] = []
    for part in pairwise(cuts):
        for piece in _split(ruler, part, size, level + 1):
            if pieces and ruler.count_tokens((pieces[-1][0], piece[1])) <= size:
                pieces[-1] = (pieces[-1][0], piece[1])
            else:
                pieces.append(piece)
    return pieces


def _widen(spans: list[_Span], ruler: _Ruler, overlap: int) -> list[_Span]:
    """Let each span but the first begin up to `overlap` tokens earlier, at a sentence's or else a word's start."""
    if overlap <= 0:
        return spans
    wider = spans[:1]
    for start, end in spans[1:]:
        earliest = ruler.tokens[max(bisect_left(ruler.tokens, start) - overlap, 0)]
        begin = start
        for boundary in _BOUNDARIES[_SENTENCE:]:
            if match := boundary.search(ruler.text, max(earliest - 1, ruler.start), start):
                begin = min(match.end(), start)
                if begin < start:
                    break
        wider.append((begin, end))
    return wider
