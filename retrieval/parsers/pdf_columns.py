"""Columns of prose in a PDF that was written line by line across them: each is read down to its end before the next.

Rows of a table look the same to pdfium. Prose is told by what tables don't have together: line after line at the same
distance, nearly all of them as wide as their column, of several words, most beginning in the middle of a sentence with
a word for which there was no room above, and sentences that end within a line.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from retrieval.parsers.pdf_tables import Cell

__all__ = ["ColumnBlock", "find_columns"]

_LEAST_LINES = 6
_LEAST_WORDS = 4.0
_LEADING = 1.8  # times the size of type, the most between two lines
_EVEN = 1.1  # times the least distance of two lines: more is the space between rows, or paragraphs
_GUTTER = 0.8  # times the size of type, at least between two columns
_FULL, _MOSTLY = 0.75, 0.7  # of a column's width, that so many of its lines have
_RUNNING = 0.35  # of lines, that begin with a small letter
_BLANK = 0.45  # times the size of type, with what is free at the sides of signs
_WRAPPED = 0.85  # of those, for whose first word the line above had no room
_SENTENCES = 12  # lines, of which one at least has the end of a sentence in it
_END = re.compile(r"[.!?]\s")
_LAST = re.compile(r"[.!?][\"'”’»)]?$")


@dataclass(frozen=True, slots=True)
class ColumnBlock:
    """The lines `first` to `last` of a page, and the columns of which they are in truth."""

    first: int
    last: int
    columns: Sequence[Sequence[Cell]]


def find_columns(lines: Sequence[Sequence[Cell]]) -> list[ColumnBlock]:
    """Find the columns of prose of a page, by the cells of its lines."""
    blocks: list[ColumnBlock] = []
    first = 0
    while first < len(lines):
        last, gutters = _find_end(lines, first)
        columns = list(_split(lines[first : last + 1], gutters))
        if len(columns) > 1 and all(map(_is_prose, columns)):
            blocks.append(ColumnBlock(first, last, columns))
        first = last + 1
    return blocks


def _find_end(lines: Sequence[Sequence[Cell]], first: int) -> tuple[int, list[tuple[float, float]]]:
    """Return the last line of a block that begins with the first one, and the gutters that all of it leaves free."""
    cells = lines[first]
    gutters = [(left.right, right.left) for left, right in pairwise(cells)]
    last, least, right = first, 0.0, cells[-1].right if cells else 0.0
    for number in range(first + 1, len(lines)):
        step = lines[number - 1][0].base - lines[number][0].base if lines[number - 1] and lines[number] else 0.0
        least = min(least, step) if least else step
        narrowed = [gutter for one in gutters if (gutter := _narrow(one, lines[number])) is not None]
        if not 0 < step <= min(_LEADING * cells[0].size, _EVEN * least) or len(narrowed) < len(gutters) or not gutters:
            break
        if _ends_row(lines[number - 1], lines[number], [*(left for left, _ in gutters), right]):
            break
        last, gutters, right = number, narrowed, max(right, lines[number][-1].right)
    return last, gutters


def _ends_row(above: Sequence[Cell], below: Sequence[Cell], edges: Sequence[float]) -> bool:
    """Tell whether a line is the last of a table's row: all columns, up to `edges`, end a sentence there and begin one.

    Full lines of prose may do so by chance, so that one column at least has room for the next line's first word.
    """
    if not len(above) == len(below) == len(edges):
        return False
    pairs = list(zip(above, below, strict=True))
    return all(_LAST.search(cell.text) and more.text[:1].isupper() for cell, more in pairs) and any(
        cell.right + _BLANK * cell.size + more.words[0].right - more.left < edge
        for (cell, more), edge in zip(pairs, edges, strict=True)
    )


def _narrow(gutter: tuple[float, float], cells: Sequence[Cell]) -> tuple[float, float] | None:
    """Return what some cells leave free of a gutter; None if one crosses it, or too little is left."""
    left, right = gutter
    middle = (left + right) / 2
    for cell in cells:
        if cell.left < middle < cell.right:
            return None
        left, right = (max(left, cell.right), right) if cell.right <= middle else (left, min(right, cell.left))
    return (left, right) if not cells or right - left >= _GUTTER * cells[0].size else None


def _split(lines: Sequence[Sequence[Cell]], gutters: Sequence[tuple[float, float]]) -> Iterator[list[Cell]]:
    """Yield the columns, each with the lines that it has."""
    edges = [float("-inf"), *((left + right) / 2 for left, right in gutters), float("inf")]
    for left, right in pairwise(edges):
        column: list[Cell] = []
        for cells in lines:
            inside = [cell for cell in cells if left < cell.left < right]
            if inside:
                whole = inside[0]
                for more in inside[1:]:
                    whole = whole.extend(more)
                column.append(whole)
        yield column


def _is_prose(column: Sequence[Cell]) -> bool:
    if len(column) < _LEAST_LINES:
        return False
    left, right = min(cell.left for cell in column), max(cell.right for cell in column)
    running = [(above, cell) for above, cell in pairwise(column) if cell.text[:1].islower()]
    wrapped = sum(
        above.right + _BLANK * cell.size + cell.words[0].right - cell.left >= right for above, cell in running
    )
    full = sum(cell.right - left >= _FULL * (right - left) for cell in column)
    words = sum(len(cell.words) for cell in column)
    ends = sum(_END.search(cell.text) is not None for cell in column)
    return (
        full >= _MOSTLY * len(column)
        and words >= _LEAST_WORDS * len(column)
        and len(running) >= _RUNNING * (len(column) - 1)
        and wrapped >= _WRAPPED * len(running)
        and ends * _SENTENCES >= len(column)
    )
