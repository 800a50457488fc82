"""The blocks of a document as its chunks see them: where a cut would break one, and what a cut-off piece repeats."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retrieval.parsers.parsed_document import Block, ParsedDocument

__all__ = ["BlockMap", "RepeatedText", "TokenOffsets"]

TokenOffsets = Callable[[str], Sequence[int]]
"""The character offset at which each token of a text starts, in order."""

_MOST_CHARACTERS = 1_500
_LINE = re.compile(r".*\n\s*")


@dataclass(frozen=True, slots=True)
class RepeatedText:
    """A text that a piece repeats, and its size."""

    text: str = ""
    tokens: int = 0


_NOTHING = RepeatedText()


class BlockMap:
    """Blocks by their place in the text. What a piece repeats of its block is at most half of a chunk's size."""

    def __init__(self, document: ParsedDocument, offsets: TokenOffsets, max_tokens: int) -> None:
        self._text = document.text
        self._offsets = offsets
        self._most_tokens = max_tokens // 2
        self._outer = _take_outer(document.blocks)
        self._leaves = [block for block in document.blocks if block.kind != "list"]
        self._outer_starts = [block.start for block in self._outer]
        self._leaf_starts = [block.start for block in self._leaves]
        self._bodies = {_skip_line(document.text, heading.start) for heading in document.headings}
        self._heads: dict[int, RepeatedText] = {}
        self._closings: dict[str, RepeatedText] = {}

    def breaks(self, at: int) -> bool:
        """Tell whether a cut would be inside of a block."""
        return self._find(self._outer, self._outer_starts, at) is not None

    def breaks_leaf(self, at: int) -> bool:
        """Tell whether a cut would be inside of a table, code or a record, in a list or not."""
        return self._find_leaf(at) is not None

    def find_edges(self, start: int, end: int) -> list[int]:
        """Return where outer blocks begin or end between two offsets."""
        first = max(bisect_left(self._outer_starts, start) - 1, 0)
        last = bisect_left(self._outer_starts, end)
        return [at for block in self._outer[first:last] for at in (block.start, block.end) if start < at < end]

    def is_body(self, at: int) -> bool:
        """Tell whether an offset is where the text under a heading begins."""
        return at in self._bodies

    def is_beginning(self, at: int) -> bool:
        """Tell whether an outer block begins at an offset."""
        place = bisect_left(self._outer_starts, at)
        return self._outer_starts[place : place + 1] == [at]

    def find_opening(self, start: int) -> RepeatedText:
        """Return what a piece that begins at `start` repeats of its block: the head, if it begins after that."""
        block = self._find_leaf(start)
        if block is None or not block.start < block.head <= start:
            return _NOTHING
        if block.start not in self._heads:
            self._heads[block.start] = self._measure(self._text[block.start : block.head].rstrip("\n"))
        return self._heads[block.start]

    def find_closing(self, end: int) -> RepeatedText:
        """Return what a piece that ends at `end` needs to be closed, if its block goes on."""
        block = self._find_leaf(end)
        if block is None or not block.closing:
            return _NOTHING
        if block.closing not in self._closings:
            self._closings[block.closing] = RepeatedText(block.closing, len(self._offsets(block.closing)))
        return self._closings[block.closing]

    def _find_leaf(self, at: int) -> Block | None:
        return self._find(self._leaves, self._leaf_starts, at)

    def _find(self, blocks: Sequence[Block], starts: Sequence[int], at: int) -> Block | None:
        place = bisect_left(starts, at) - 1
        return blocks[place] if place >= 0 and at < blocks[place].end else None

    def _measure(self, head: str) -> RepeatedText:
        """Measure a head, and cut one that would leave too little room for what it is the head of."""
        tokens = self._offsets(head)
        characters = _MOST_CHARACTERS
        if len(tokens) > self._most_tokens:
            characters = min(tokens[self._most_tokens], characters)
        head = head[:characters].rstrip()
        return RepeatedText(head, bisect_right(tokens, max(len(head) - 1, 0))) if head else _NOTHING


def _skip_line(text: str, start: int) -> int:
    """Return the offset of the first character after a line that is none of white space."""
    match = _LINE.match(text, start)
    return match.end() if match is not None else len(text)


def _take_outer(blocks: Sequence[Block]) -> list[Block]:
    """Leave out the blocks in others."""
    outer: list[Block] = []
    for block in blocks:
        if not outer or block.start >= outer[-1].end:
            outer.append(block)
    return outer
