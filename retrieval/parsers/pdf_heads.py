"""Rows of a PDF's table under a head, whose names are far apart where numbers below them are close to other columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from retrieval.parsers.pdf_tables import Cell, Word

__all__ = ["split_under_heads"]

_LEAST_NAMES, _MOST_NAMES = 3, 40
_LEAST_ROWS = 2
_STEP = 2.5  # times the size of type, at most from a row to the next
_LEAST_GAP = 0.2  # times the size of type, between two columns
_WIDE_GAP = 0.6  # the same, where no name ends or begins there
_TOUCH = 1.0  # points
_LEVEL = 0.4  # times the size of type, between the cells of a row

_Gap = tuple[float, float]


def split_under_heads(lines: Sequence[Sequence[Cell]]) -> list[Sequence[Cell]]:
    """Split the cells of rows where all of them leave a gap between the same names of the head above them."""
    split = list(lines)
    first = 0
    while first < len(lines):
        last, gaps = _find_end(lines, first)
        if gaps:
            edges = _Edges([cell for row in lines[first : last + 1] for cell in row])
            rows = [[part for cell in row for part in _split(cell, gaps, edges)] for row in lines[first + 1 : last + 1]]
            if sum(len(cells) > 1 for cells in rows) >= _LEAST_ROWS:
                split[first + 1 : last + 1] = rows
        first = last + 1
    return split


def _find_end(lines: Sequence[Sequence[Cell]], first: int) -> tuple[int, list[_Gap]]:
    """Return the last of the rows that leave gaps between all names of a head, and those gaps."""
    head = lines[first]
    if not _LEAST_NAMES <= len(head) <= _MOST_NAMES:
        return first, []
    size = head[0].size
    between = [(left.right, right.left) for left, right in pairwise(head)]
    free = [[gap] for gap in between]
    last = first
    for row in range(first + 1, len(lines)):
        if not lines[row] or not -_LEVEL * size <= lines[row - 1][0].base - lines[row][0].base <= _STEP * size:
            break
        words = [word for cell in lines[row] for word in cell.words]
        narrowed = [list(_leave_free(gaps, words, size)) for gaps in free]
        if not all(narrowed):
            break
        last, free = row, narrowed
    picks = [_choose(gaps, names, size) for gaps, names in zip(free, between, strict=True)]
    return last, [gap for gap in picks if gap is not None]


def _leave_free(gaps: Sequence[_Gap], words: Sequence[Word], size: float) -> Iterator[_Gap]:
    """Yield what some words leave of gaps."""
    for left, right in gaps:
        inside = sorted((word.left, word.right) for word in words if word.left < right and left < word.right)
        for start, end in [*inside, (right, right)]:
            if start - left >= _LEAST_GAP * size:
                yield left, start
            left = max(left, end)


def _choose(gaps: Sequence[_Gap], names: _Gap, size: float) -> _Gap | None:
    """Return the widest of the gaps beside a name, else one that is wider than a blank."""
    beside = [gap for gap in gaps if gap[0] <= names[0] + _TOUCH or gap[1] >= names[1] - _TOUCH]
    wide = [gap for gap in gaps if gap[1] - gap[0] >= _WIDE_GAP * size]
    return max(beside or wide, key=lambda gap: gap[1] - gap[0], default=None)


class _Edges:
    """The ends of the cells of some rows."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._lefts = {int(cell.left) + more for cell in cells for more in (-1, 0, 1)}
        self._rights = {int(cell.right) + more for cell in cells for more in (-1, 0, 1)}

    def tell_apart(self, before: Word, word: Word) -> bool:
        """Tell whether a word ends where cells of other rows do, and the next begins where some begin."""
        return int(before.right) in self._rights and int(word.left) in self._lefts


def _split(cell: Cell, gaps: Sequence[_Gap], edges: _Edges) -> Iterator[Cell]:
    """Split a cell at the gaps that are between two of its words, if they are wider than a blank or at edges."""
    first = 0
    for place, (before, word) in enumerate(pairwise(cell.words), 1):
        is_wide = word.left - before.right >= _WIDE_GAP * cell.size or edges.tell_apart(before, word)
        if is_wide and any(
            before.right <= left + _TOUCH / 2 and right - _TOUCH / 2 <= word.left for left, right in gaps
        ):
            yield replace(cell, words=cell.words[first:place])
            first = place
    yield replace(cell, words=cell.words[first:])
