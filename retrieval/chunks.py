"""Parsed text → chunks that keep to its structure: headings, blocks, paragraphs, lines, sentences, in this order."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from retrieval.blocks import BlockMap, RepeatedText, TokenOffsets
from retrieval.headlines import HeadlineMap
from retrieval.parsers.parsed_document import Heading, ParsedDocument

__all__ = ["Chunk", "TokenOffsets", "split_into_chunks"]

_BLANK = r"\n[ \t\f]*\n\s*"
_ITEM = r"\n(?:[ \t]*\n)*(?=(?:[-*+•]|\d{1,3}[.)])[ \t])"
_BOUNDARIES = tuple(
    re.compile(p) for p in (_BLANK, _ITEM, _BLANK, _BLANK, r"[\n\f]\s*", r"(?<=[.!?。！？;])\s+", r"\s+")
)
"""From the coarsest on. At the first, blocks stay whole; at the next two, only the tables, code and records in them."""
_OUTSIDE_BLOCKS, _OUTSIDE_LEAVES, _LINE, _SENTENCE = 0, 2, 4, 5
_TINY = 8
"""A piece below 1/8 of the size isn't worth a chunk of its own: it is joined to a neighbour."""

_CHARACTERS_PER_TOKEN = 16
_MOST_CHARACTERS = 6_000
"""A chunk's bounds in characters. Prose has 4 to 6 per token, but a word of more than 100 is a single token to
WordPiece, so that tokens alone bound nothing. Three passages of the upper bound still fit a prompt of 8,192 tokens."""

_LONGEST_WORD = 256
_RUN = re.compile(r"[A-Za-z0-9+/_=%-]{60,}(?:\n[ \t]*[A-Za-z0-9+/_=%-]{60,})*(?:\n[A-Za-z0-9+/]{1,59}={1,2}(?!\S))?")
_PART = re.compile(r"[A-Za-z0-9]+")
_CODED_PART = 20
_RUN_KEPT = 40
"""Of a coded run (base64, a hexadecimal dump), which no question asks for and an embedder reads as one unknown token or
as noise, the first characters stay, to show that it is there."""

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a document.

    Attributes:
        text: Exactly `document.text[start:end]`.
        headings: Those above it, outermost first.
        opening: What is repeated above it of the block that it is cut from, such as a table's header row, or "".
        closing: What ends it where its block goes on, such as a fence, or "".
        headline: Characters of `text`, at its beginning, that are the lines of headings which `headings` says.
    """

    start: int
    end: int
    text: str
    headings: tuple[str, ...]
    opening: str = ""
    closing: str = ""
    headline: int = 0

    @property
    def lead(self) -> str:
        """The opening with the end of its line, before the text."""
        return f"{self.opening}\n" if self.opening else ""

    @property
    def tail(self) -> str:
        """The closing on a line of its own, behind the text."""
        return f"\n{self.closing}" if self.closing else ""

    @property
    def whole(self) -> str:
        """The text between what is repeated."""
        return f"{self.lead}{self.text}{self.tail}"


def split_into_chunks(
    document: ParsedDocument, offsets: TokenOffsets, *, max_tokens: int, overlap_tokens: int = 0
) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens` (a tiny last piece may exceed it by an eighth).

    They are also bounded in characters. Of long coded runs only the beginning is in a chunk; all other text is in one.
    A section starts its own chunks, so an edit moves boundaries in its section only, and a chunk never mixes two
    products' facts. `overlap_tokens` are repeated from the piece before, within a section. Tables, code and lists stay
    whole if they fit; of one that is cut, each piece has what it needs to be read (`Chunk.opening`), within its size.
    """
    chunks: list[Chunk] = []
    blocks = BlockMap(document, offsets, max_tokens)
    headlines = HeadlineMap(document, blocks)
    for section in _join_sections(_split_sections(document), document.text, offsets, max_tokens):
        overlap = min(overlap_tokens, max_tokens // 2)
        for start, end in _leave_out_runs(document.text, section.start, section.end):
            ruler = _Ruler(document.text, start, end, offsets, blocks)
            for first, last in _widen(_cut(ruler, max_tokens - overlap), ruler, overlap):
                opening, closing = blocks.find_opening(first).text, blocks.find_closing(last).text
                headline = headlines.measure(first, last, section.headings)
                text = document.text[first:last]
                chunks.append(Chunk(first, last, text, section.headings, opening, closing, headline))
    return chunks


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    end: int
    headings: tuple[str, ...]


class _Ruler:
    """Spans of one section, measured in tokens; the section is tokenised once."""

    def __init__(self, text: str, start: int, end: int, offsets: TokenOffsets, blocks: BlockMap) -> None:
        self.text = text
        self.blocks = blocks
        self.start = start
        self.end = end
        self.tokens = [start + offset for offset in offsets(text[start:end])]

    def count_tokens(self, span: _Span) -> int:
        first = bisect_left(self.tokens, span[0])
        return bisect_left(self.tokens, span[1]) - first + self._begins_inside(span[0], first)

    def _begins_inside(self, at: int, token: int) -> bool:
        """Tell whether a cut at `at`, before `token`, left the rest of a token, which is a token of its own."""
        if token == 0 or self.tokens[token : token + 1] == [at]:
            return False
        return not (self.text[at - 1].isspace() or self.text[at : at + 1].isspace())

    def fits(self, span: _Span, size: int) -> bool:
        """Tell whether a span is within a chunk's size, with what it would repeat of its block."""
        opening, closing = self.find_carried(span)
        characters = span[1] - span[0] + len(opening.text) + len(closing.text)
        if characters > _limit_characters(size):
            return False
        return self.count_tokens(span) + opening.tokens + closing.tokens <= size

    def is_tiny(self, span: _Span, size: int) -> bool:
        return self.count_tokens(span) * _TINY <= size and (span[1] - span[0]) * _TINY <= _limit_characters(size)

    def find_carried(self, span: _Span) -> tuple[RepeatedText, RepeatedText]:
        start, end = self.trim(span)
        return self.blocks.find_opening(start), self.blocks.find_closing(end)

    def trim(self, span: _Span) -> _Span:
        start, end = span
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return start, end


def _leave_out_runs(text: str, start: int, end: int) -> list[_Span]:
    """Return the spans of a section around its coded runs, each with the beginning of the run after it."""
    spans: list[_Span] = []
    for run in _RUN.finditer(text, start, end):
        if run.end() - run.start() >= _LONGEST_WORD and _is_coded(run[0]):
            spans.append((start, run.start() + _RUN_KEPT))
            start = run.end()
    spans.append((start, end))
    if len(spans) == 1:
        return spans
    return [span for span in spans if any(character.isalnum() for character in text[slice(*span)])]


def _is_coded(run: str) -> bool:
    """Tell whether most of a run is in parts too long for words, each of small and capital letters or digits mixed."""
    coded = sum(len(part) for part in _PART.findall(run) if len(part) >= _CODED_PART and _is_mixed(part))
    return coded * 2 >= len(run)


def _is_mixed(part: str) -> bool:
    if len(part) >= _LONGEST_WORD:
        return True
    return sum((a.isdigit(), a.isupper()) != (b.isdigit(), b.isupper()) for a, b in pairwise(part)) * 4 >= len(part)


def _split_sections(document: ParsedDocument) -> list[_Section]:
    """Split from each heading to the next, under the path of headings above it."""
    sections: list[_Section] = []
    path: list[Heading] = []
    first = document.headings[0].start if document.headings else len(document.text)
    if document.text[:first].strip():
        sections.append(_Section(0, first, ()))
    starts = [heading.start for heading in document.headings] + [len(document.text)]
    for heading, end in zip(document.headings, starts[1:], strict=True):
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        if document.text[heading.start : end].strip():
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


def _limit_characters(size: int) -> int:
    """Return the most characters of a chunk of `size` tokens."""
    return min(size * _CHARACTERS_PER_TOKEN, _MOST_CHARACTERS)


def _cut(ruler: _Ruler, size: int) -> list[_Span]:
    pieces = _split(ruler, (ruler.start, ruler.end), size, 0)
    if len(pieces) > 1 and ruler.is_tiny(pieces[-1], size):
        last = pieces.pop()
        pieces[-1] = (pieces[-1][0], last[1])
    return [span for span in map(ruler.trim, pieces) if span[0] < span[1]]


def _split(ruler: _Ruler, span: _Span, size: int, level: int) -> list[_Span]:
    """Cut at the coarsest boundary that gives fitting pieces, then join neighbours as far as they fit."""
    if ruler.fits(span, size):
        return [span]
    if level == len(_BOUNDARIES):
        return _split_anywhere(ruler, span, size)
    pieces: list[_Span] = []
    for part in pairwise([span[0], *_find_cuts(ruler, span, level), span[1]]):
        for piece in _split(ruler, part, size, level + 1):
            if pieces and ruler.fits((pieces[-1][0], piece[1]), size):
                pieces[-1] = (pieces[-1][0], piece[1])
            else:
                pieces.append(piece)
    return pieces


def _find_cuts(ruler: _Ruler, span: _Span, level: int) -> list[int]:
    """Return the cuts of a level: they break no block that it keeps whole, and leave no heading alone."""
    blocks = ruler.blocks
    cuts = [match.end() for match in _BOUNDARIES[level].finditer(ruler.text, *span) if match.end() < span[1]]
    if level == _OUTSIDE_BLOCKS:
        cuts = sorted({*(at for at in cuts if not blocks.breaks(at)), *blocks.find_edges(*span)})
        cuts = [at for at in cuts if not (blocks.is_beginning(at) and _introduces(ruler.text, at))]
    elif level <= _OUTSIDE_LEAVES:
        cuts = [at for at in cuts if not blocks.breaks_leaf(at)]
    if level <= _LINE:
        cuts = [at for at in cuts if not blocks.is_body(at)]
    return cuts


def _introduces(text: str, at: int) -> bool:
    """Tell whether the words before an offset introduce what follows: "Do this:"."""
    return text[max(at - 8, 0) : at].rstrip().endswith((":", "："))


def _split_anywhere(ruler: _Ruler, span: _Span, size: int) -> list[_Span]:
    """Cut an unbroken span at tokens, and inside of a token that is too long."""
    opening, closing = ruler.find_carried(span)
    size = max(size - opening.tokens - closing.tokens, 1)
    first = bisect_left(ruler.tokens, span[0])
    last = bisect_left(ruler.tokens, span[1])
    by_tokens = [span[0], *ruler.tokens[first + size : last : size], span[1]]
    longest = _limit_characters(size)
    cuts = sorted({*by_tokens, *(at for a, b in pairwise(by_tokens) for at in range(a, b, longest))})
    return list(pairwise(cuts))


def _widen(spans: list[_Span], ruler: _Ruler, overlap: int) -> list[_Span]:
    """Let each span but the first begin up to `overlap` tokens earlier, at a sentence's or else a word's start."""
    if overlap <= 0:
        return spans
    wider = spans[:1]
    for start, end in spans[1:]:
        earliest = ruler.tokens[max(bisect_left(ruler.tokens, start) - overlap, 0)]
        earliest = max(earliest, start - _limit_characters(overlap))
        begin = start
        for boundary in _BOUNDARIES[_LINE if ruler.blocks.breaks_leaf(start) else _SENTENCE :]:
            if match := boundary.search(ruler.text, max(earliest - 1, ruler.start), start):
                begin = min(match.end(), start)
                if begin < start:
                    break
        if ruler.blocks.find_opening(begin).tokens > ruler.blocks.find_opening(start).tokens:
            begin = start  # It would be in another block, whose head takes room that isn't there.
        wider.append((begin, end))
    return wider
