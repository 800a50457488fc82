"""A text as its parser leaves it, line by line: what stays as it was written, with its titles and blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal
from unicodedata import east_asian_width

from retrieval.parsers.document_title import find_top_heading, pick_title
from retrieval.parsers.parsed_document import Block, Heading, ParsedDocument
from retrieval.parsers.text import clean_visible, describe_comments

__all__ = ["BlockKind", "TextPage", "find_end", "measure_columns", "measure_indent"]

BlockKind = Literal["list", "table", "code"]


@dataclass(frozen=True, slots=True)
class _LineBlock:
    """A block as lines of the page, from `first` to before `last`; `head` is the first that isn't repeated."""

    first: int
    last: int
    head: int
    kind: BlockKind
    closing: str


class TextPage:
    """A file as far as it is read: lines that stay, and by their numbers titles and blocks.

    Attributes:
        comments: What was left out, to be told of.
        open_list: The first line of the list that goes on, None outside of lists.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.comments: list[str] = []
        self.open_list: int | None = None
        self._titles: list[tuple[int, int, str]] = []
        self._blocks: list[_LineBlock] = []

    def add_title(self, words: str, level: int) -> None:
        self._titles.append((len(self.lines), level, words))
        self.lines.append(words)

    def ends_with_title(self) -> bool:
        return bool(self._titles) and self._titles[-1][0] == len(self.lines) - 1

    def add_block(self, lines: Sequence[str], kind: BlockKind, head: int = 0) -> None:
        """Add lines that belong together, of which the first `head` are repeated above each piece."""
        first = len(self.lines)
        self.lines += lines
        self.close_block(first, kind, first + head)

    def close_block(self, first: int, kind: BlockKind, head: int = 0, closing: str = "") -> None:
        """Make a block of the lines from `first` on; `head` is the number of the first that isn't repeated."""
        self._blocks.append(_LineBlock(first, len(self.lines), max(first, head), kind, closing))

    def close_list(self) -> None:
        """Make a block of the list that goes on, if there is one."""
        if self.open_list is not None:
            self.close_block(self.open_list, "list")
            self.open_list = None

    def to_parsed(self, media_type: str, *titles: str) -> ParsedDocument:
        """Return the document; its title is the first that somebody gave, or the heading that all of it is under.

        Raises:
            DocumentUnreadable: Nothing visible is in it.
        """
        text = "\n".join(self.lines)
        clean_visible(text)  # it may have been comments alone
        starts = list(accumulate((len(line) + 1 for line in self.lines), initial=0))
        headings = [Heading(starts[line], level, title) for line, level, title in self._titles]
        ordered = sorted(self._blocks, key=lambda block: (block.first, -block.last))
        blocks = [block for one in ordered if (block := _make_block(text, starts, one)) is not None]
        title = pick_title(*titles, find_top_heading(headings, text))
        warning = describe_comments(self.comments)
        return ParsedDocument(media_type, title, text, headings, warnings=[warning] if warning else [], blocks=blocks)


def find_end(lines: Sequence[str], at: int, indent: int) -> int:
    """Return where the lines end that are deeper than `indent`, without the blank ones behind them."""
    end = at
    for number in range(at, len(lines)):
        line = lines[number]
        if line.strip():
            if measure_indent(line) <= indent:
                break
            end = number + 1
    return end


def measure_indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def measure_columns(line: str) -> int:
    """Return the width of a line as editors show it: Chinese letters take two columns."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in line)


def _make_block(text: str, starts: Sequence[int], lines: _LineBlock) -> Block | None:
    start = starts[lines.first]
    end = start + len(text[start : starts[lines.last]].rstrip())
    if end == start:
        return None
    return Block(start, end, lines.kind, min(starts[lines.head], end), lines.closing)
