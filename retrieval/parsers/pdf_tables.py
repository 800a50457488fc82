"""Rows of a PDF's tables: cells told by the gaps between them, so that an empty one keeps its column."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Cell", "arrange_rows"]

_LEAST_ROWS = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a line between two wide gaps, with its ends from the page's left edge, in points."""

    text: str
    left: float
    right: float


def arrange_rows(lines: Sequence[Sequence[Cell]]) -> dict[int, str]:
    """Return the text of every line that is a row of a table, by the line's number.

    A table is a run of lines with several cells each that stand in columns: cells that lie above each other are in one.
    Where two cells of a line would be in the same, it is none (or one whose columns can't be told), and stays as it is.
    """
    rows: dict[int, str] = {}
    for first, last in _find_runs(lines):
        columns = _find_columns([cell for line in lines[first:last] for cell in line])
        texts = [_arrange(line, columns) for line in lines[first:last]]
        if all(text is not None for text in texts):
            rows.update((first + n, text) for n, text in enumerate(texts) if text is not None)
    return rows


def _find_runs(lines: Sequence[Sequence[Cell]]) -> list[tuple[int, int]]:
    """Find where several lines in a row have several cells."""
    breaks = [-1, *(number for number, line in enumerate(lines) if len(line) < 2), len(lines)]
    return [(first + 1, last) for first, last in pairwise(breaks) if last - first - 1 >= _LEAST_ROWS]


def _find_columns(cells: Sequence[Cell]) -> list[tuple[float, float]]:
    """Join the widths of cells that lie above each other."""
    columns: list[tuple[float, float]] = []
    for cell in sorted(cells, key=lambda cell: cell.left):
        if columns and cell.left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], cell.right))
        else:
            columns.append((cell.left, cell.right))
    return columns


def _arrange(line: Sequence[Cell], columns: Sequence[tuple[float, float]]) -> str | None:
    """Write a row with all its columns; None where two cells are in one."""
    texts = [""] * len(columns)
    for cell in line:
        column = next(n for n, (left, right) in enumerate(columns) if left <= cell.left <= right)
        if texts[column]:
            return None
        texts[column] = cell.text
    return " | ".join(texts)
