"""The head of a table: which of its first rows name its columns, and names that stand over several of them."""

import re
from collections.abc import Iterable, Sequence

from retrieval.parsers.table_rows import COVERED_CELL

__all__ = [
    "MOST_HEADS",
    "count_heads",
    "cover_groups",
    "has_data",
    "has_names",
    "is_header",
    "is_title",
    "widen_names",
]

_DATA = re.compile(
    r"[-+(]?[^\w\s]?\s?\d[\d.,:/\s-]*[^\w\s]?\)?|\d+[.,]?\d*\s?\w{1,3}|\d{4}-\d\d-\d\d[T ][\d:.]+|true|false", re.I
)
"""A number, an amount, a date or a time: what stands under a header, not in one."""
_YEAR = re.compile(r"(?:19|20)\d\d")
MOST_HEADS = 4
_LONGEST_NAMES = 500  # characters of a row of the head, with the names over several columns above each of them


def is_header(row: Sequence[str]) -> bool:
    """Tell whether a row names columns: several cells, all of them words or years, at least one of them words."""
    return has_names(row) and not all(_YEAR.fullmatch(cell.strip()) for cell in row if cell.strip())


def has_data(row: Sequence[str]) -> bool:
    """Tell whether a cell of a row is a number, an amount or a date."""
    return any(_DATA.fullmatch(cell.strip()) for cell in row)


def count_heads(rows: Sequence[Sequence[str]]) -> int:
    """Count the rows that name columns: one names those that the row above it leaves open, under names for several.

    The first row is taken for one, if it has several cells, all of them words or years, or a row of names is below it
    that it leaves open. Titles over all columns may stand above, and belong to the head.
    """
    titles = 0
    while titles < min(len(rows) - 2, MOST_HEADS - 1) and is_title(rows[titles]):
        titles += 1
    heads = titles
    while heads < min(len(rows) - 2, MOST_HEADS - 1) and _leaves_open(rows[heads], rows[heads + 1]):
        heads += 1
    while heads > titles and not has_data(rows[heads + 1]) and not _is_agreed(rows[heads - 1], rows[heads]):
        heads -= 1  # as likely, it is the first of the rows below a name over several columns
    return heads + 1 if heads > titles or (rows and is_header(rows[titles])) else 0


def is_title(row: Sequence[str]) -> bool:
    """Tell whether a row is one cell over all columns."""
    return len(row) > 1 and bool(row[0]) and all(cell is COVERED_CELL for cell in row[1:])


def widen_names(rows: Sequence[Sequence[str]], heads: int) -> list[Sequence[str]]:
    """Write the names in the head that stand over several columns above each of them.

    A title over all columns stands once, and so do names that would make a very long row: it is repeated by each piece.
    """
    return [*map(_widen, rows[:heads]), *rows[heads:]]


def cover_groups(above: Sequence[str], below: Sequence[str]) -> Sequence[str]:
    """Return a row of the head with names over several columns, where a file can't say that they are, as CSV can't.

    The row below it names the same columns under each of them: `Units, Revenue` under `2025` and under `2026`.
    """
    starts = [column for column, name in enumerate(above) if name]
    bounds = list(zip(starts, [*starts[1:], len(above)], strict=True))
    groups = [(start, end) for start, end in bounds if end - start > 1 and all(below[start:end])]
    names = [list(below[start:end]) for start, end in groups]
    if len(groups) < 2 or any(one != names[0] for one in names):
        return above
    covered_columns = {column for start, end in groups for column in range(start + 1, end)}
    return [COVERED_CELL if column in covered_columns else name for column, name in enumerate(above)]


def _widen(row: Sequence[str]) -> Sequence[str]:
    if all(cell is COVERED_CELL for cell in row[1:]):
        return row
    cells: list[str] = []
    for cell in row:
        cells.append(cells[-1] if cell is COVERED_CELL and cells else cell)
    return cells if sum(map(len, cells)) <= _LONGEST_NAMES else row


def has_names(row: Sequence[str]) -> bool:
    """Tell whether a row has several cells, all of them words or years."""
    cells = [cell.strip() for cell in row if cell.strip()]
    return len(cells) > 1 and all(_YEAR.fullmatch(cell) for cell in cells if _DATA.fullmatch(cell))


def _leaves_open(above: Sequence[str], below: Sequence[str]) -> bool:
    """Tell whether a row of names leaves columns open that one below it names.

    A first row of data under a column without a name looks the same. It has something in all columns, where the lower
    row of a head has nothing in those that the upper row names, or the same if their cells reach over both.
    """
    if not is_header(below) or not any(above):
        return False
    pairs = list(zip(_fit(above, len(below)), below, strict=False))
    if not any(name and not over for over, name in pairs[1:]):
        return False
    if any(over is COVERED_CELL and name for over, name in pairs):
        return has_names(above) or _count_cells(above) == 1
    return has_names(above) and _is_agreed(above, below)


def _is_agreed(above: Sequence[str], below: Sequence[str]) -> bool:
    """Tell whether two rows of a head share a column: the upper one names it for both, or leaves the first one open."""
    return not above[0] or any(over and name in ("", over) for over, name in zip(above, below, strict=False))


def _fit(row: Sequence[str], width: int) -> Iterable[str]:
    return [*row, *[""] * (width - len(row))]


def _count_cells(row: Sequence[str]) -> int:
    return sum(map(bool, row))
