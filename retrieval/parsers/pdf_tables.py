"""Rows of a PDF's tables: cells told by the gaps between them, so that an empty one keeps its column.

A cell that wraps is several lines of the page's text, and those beside it come behind all of them, as programs write
one cell after the other: what stands as high as the row begins goes on with the row.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from retrieval.parsers.table_heads import is_header
from retrieval.parsers.table_rows import write_row

__all__ = ["GAP", "Cell", "TableRow", "Word", "arrange_rows"]

_LEAST_ROWS = 2
_MOST_LINES = 12
"""Lines of a cell: columns of a page have more, and are no row."""
_LEADING = 1.5  # times the size of type, from one line of a cell to the next
_LEVEL = 0.4  # times the size of type, between the lines of cells that are on one level
_FAR = 2.5  # times the usual distance of two rows: from a table to the next
GAP = 1.5
"""Times the size of type: wider than words of a line are apart, also in justified text."""
_NARROW_GAP = 0.6  # times the size of type: between a cell that fills its column, and the next

_Columns = list[tuple[float, float]]
"""The left and the right end of each."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its ends from the page's left edge, in points."""

    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Cell:
    """Words between wide gaps.

    `base` is the base line of the first of its lines, and `low` of the last one, in points from the page's lower edge;
    `size` is that of its type.
    """

    words: Sequence[Word]
    base: float
    low: float
    size: float

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def left(self) -> float:
        return min(word.left for word in self.words)

    @property
    def right(self) -> float:
        return max(word.right for word in self.words)

    def extend(self, more: "Cell") -> "Cell":
        """Return it with what follows in it."""
        return replace(self, words=[*self.words, *more.words], low=more.low)

    def overlaps(self, other: "Cell") -> bool:
        """Tell whether one is above the other, at whatever height."""
        return self.left < other.right and other.left < self.right

    def goes_on_with(self, below: "Cell") -> bool:
        """Tell whether a line may be the next one of this cell."""
        return self.overlaps(below) and 0 < self.low - below.base <= _LEADING * self.size

    def is_beside(self, other: "Cell", height: float) -> bool:
        """Tell whether it begins on a level."""
        return abs(height - other.base) <= _LEVEL * min(self.size, other.size)


@dataclass(frozen=True, slots=True)
class TableRow:
    """The lines `first` to `last` of a page as a row of a table, or what is told of them so far.

    `table` is the number of the table that it is of, from 1.
    """

    first: int
    last: int
    cells: Sequence[Cell]
    text: str = ""
    table: int = 0


def arrange_rows(lines: Sequence[Sequence[Cell]]) -> list[TableRow]:
    """Return the rows of all tables.

    A table is a run of rows with several cells each that stand in columns: cells that lie above each other are in one.
    Where half of the rows and the first have the most cells, the columns are those: a name may stand above no number of
    its column. So they are where two cells of a row would be in one column, which may be wider in other rows. Else it
    is none, and stays as it is.
    """
    row_lines = _join_lines(_split_at_columns(lines))
    runs = [row_lines[first:last] for first, last in _find_runs(row_lines)]
    tables = [rows for run in runs for part in _split_run(run) if (rows := _arrange_run(part))]
    return [replace(row, table=number) for number, rows in enumerate(tables, 1) for row in rows]


def _split_run(run: Sequence[TableRow]) -> list[Sequence[TableRow]]:
    """Split a run where a row of names comes far below another row: it is the head of a table of its own."""
    steps = [
        min(cell.low for cell in above.cells) - max(cell.base for cell in row.cells) for above, row in pairwise(run)
    ]
    usual = sorted(steps)[len(steps) // 2]
    places = [
        place
        for place, step in enumerate(steps, 1)
        if step > _FAR * usual > 0
        and _LEAST_ROWS <= place <= len(run) - _LEAST_ROWS
        and is_header([cell.text for cell in run[place].cells])
    ]
    return [run[first:last] for first, last in pairwise([0, *places, len(run)]) if last - first >= _LEAST_ROWS]


def _arrange_run(run: Sequence[TableRow]) -> list[TableRow]:
    for columns in _list_columns(run):
        texts = [_arrange(row.cells, columns) for row in run]
        if all(texts):
            return [replace(row, text=text) for row, text in zip(run, texts, strict=True)]
    return []


def _list_columns(run: Sequence[TableRow]) -> Iterator[_Columns]:
    """Yield what may be the columns of a run, the likeliest first."""
    most = max(len(row.cells) for row in run)
    full = [row for row in run if len(row.cells) == most]
    columns = _find_columns([cell for row in run for cell in row.cells])
    is_usual = len(full) * 2 >= len(run)
    if is_usual and len(run[0].cells) == most < len(columns):
        full_columns = [
            (min(cell.left for cell in cells), max(cell.right for cell in cells))
            for cells in zip(*(row.cells for row in full), strict=True)
        ]
        if all(left[1] < right[0] for left, right in pairwise(full_columns)):
            yield full_columns
    yield columns
    if is_usual:
        yield _find_columns([cell for row in full for cell in row.cells])


def _split_at_columns(lines: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Split the cells that reach as far as the next one, where words of several rows begin one above the other."""
    lefts = Counter(left for cells in lines if len(cells) > 1 for left in _list_beginnings(cells))
    columns = {left for left in lefts if lefts[left] + lefts[left + 1] >= _LEAST_ROWS}
    columns |= {left + 1 for left in columns}  # a column on the edge between two of them
    return [[part for cell in cells for part in _split(cell, columns)] for cells in lines]


def _list_beginnings(cells: Sequence[Cell]) -> set[int]:
    """List where words begin before which there is more than a blank, in whole points."""
    wide = {int(cell.left) for cell in cells[1:]}
    return wide.union(*({int(cell.words[place].left) for place in _find_gaps(cell)} for cell in cells))


def _find_gaps(cell: Cell) -> list[int]:
    """Return the numbers of the words of a cell before which there is more than a blank."""
    pairs = enumerate(pairwise(cell.words), 1)
    return [number for number, (before, word) in pairs if word.left - before.right > _NARROW_GAP * cell.size]


def _split(cell: Cell, columns: Collection[int]) -> list[Cell]:
    return _split_before(cell, [place for place in _find_gaps(cell) if int(cell.words[place].left) in columns])


def _split_before(cell: Cell, places: Sequence[int]) -> list[Cell]:
    """Split a cell before words, given by their numbers."""
    ends = [0, *places, len(cell.words)]
    return [replace(cell, words=cell.words[first:last]) for first, last in pairwise(ends)]


def _join_lines(lines: Sequence[Sequence[Cell]]) -> list[TableRow]:
    """Join the lines of each row, in the order in which the page has them."""
    rows: list[TableRow] = []
    for number, line in enumerate(lines):
        for cells in _split_by_level(line):
            start = _find_beginning(rows, cells)
            if start is not None:
                rows[start:] = [TableRow(rows[start].first, number, _put_beside(_stack(rows[start:]), cells))]
            elif rows and rows[-1].last == number:  # the rest of a line stays in it
                rows[-1] = TableRow(rows[-1].first, number, [*rows[-1].cells, *cells])
            elif rows and len(cells) == 1 and (place := _find_wrapped(rows[-1].cells, cells[0])) is not None:
                above = list(rows[-1].cells)
                above[place] = above[place].extend(cells[0])
                rows[-1] = TableRow(rows[-1].first, number, above)
            else:
                rows.append(TableRow(number, number, cells))
    return rows


def _split_by_level(line: Sequence[Cell]) -> list[list[Cell]]:
    """Split a line where what was taken for it is on several levels; an empty one has a part without cells."""
    parts: list[list[Cell]] = [[]]
    for cell in line:
        if parts[-1] and not cell.is_beside(parts[-1][0], cell.base):
            parts.append([])
        parts[-1].append(cell)
    return parts


def _find_wrapped(row: Sequence[Cell], line: Cell) -> int | None:
    """Return the place of the cell of a row whose next line a line is; a line below the first one begins a row."""
    places = [place for place, cell in enumerate(row) if cell.overlaps(line)]
    return places[0] if len(places) == 1 and places[0] and row[places[0]].goes_on_with(line) else None


def _find_beginning(rows: Sequence[TableRow], cells: Sequence[Cell]) -> int | None:
    """Return the place of the line with which the row begins that these cells go on; None if they begin one."""
    start = len(rows)
    while start > max(len(rows) - _MOST_LINES, 0) and cells:
        row = rows[start - 1]
        is_above = start < len(rows)
        if not row.cells or any(one.overlaps(cell) for one in row.cells for cell in cells):
            break
        if is_above and not (len(rows[start].cells) == 1 and row.cells[-1].goes_on_with(rows[start].cells[0])):
            break
        start -= 1
    block = [row.cells[0] for row in rows[start:]]
    if len(block) > 1 and cells[0].is_beside(block[0], cells[0].base + (block[0].base - block[-1].low) / 2):
        return start  # it is beside the middle, as what is centred
    return next((n for n in range(start, len(rows)) if _is_beside_any(cells[0], rows[n].cells)), None)


def _is_beside_any(cell: Cell, others: Sequence[Cell]) -> bool:
    return any(cell.is_beside(other, cell.base) for other in others)


def _stack(rows: Sequence[TableRow]) -> list[Cell]:
    """Return the cells of the first row, the last of them with the lines below it."""
    cells = list(rows[0].cells)
    for row in rows[1:]:
        cells[-1] = cells[-1].extend(row.cells[0])
    return cells


def _put_beside(left: Sequence[Cell], right: Sequence[Cell]) -> list[Cell]:
    """Return the cells of a row; what is close behind the last one, such as behind a raised number, is of the same."""
    last, first = left[-1], right[0]
    if last.base == last.low and 0 <= first.left - last.right <= GAP * last.size:
        return [*left[:-1], last.extend(first), *right[1:]]
    return [*left, *right]


def _find_runs(rows: Sequence[TableRow]) -> list[tuple[int, int]]:
    """Find where several rows one after the other have several cells."""
    breaks = [-1, *(number for number, row in enumerate(rows) if len(row.cells) < 2), len(rows)]
    return [(first + 1, last) for first, last in pairwise(breaks) if last - first - 1 >= _LEAST_ROWS]


def _find_columns(cells: Sequence[Cell]) -> _Columns:
    """Join the widths of cells that lie above each other."""
    columns: _Columns = []
    for cell in sorted(cells, key=lambda cell: cell.left):
        if columns and cell.left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], cell.right))
        else:
            columns.append((cell.left, cell.right))
    return columns


def _arrange(row: Sequence[Cell], columns: _Columns) -> str:
    """Write a row with all its columns, a cell in the first that it reaches; empty where two cells would be in one."""
    texts = [""] * len(columns)
    for cell in (part for whole in row for part in _split_over(whole, columns)):
        column = next((n for n, (_left, right) in enumerate(columns) if cell.left <= right), len(columns) - 1)
        if texts[column]:
            return ""
        texts[column] = cell.text
    return write_row(texts)


def _split_over(cell: Cell, columns: _Columns) -> list[Cell]:
    """Split a cell that reaches over several columns where one ends and another begins, if there is a gap."""
    ends = [
        (right + left) / 2
        for (_first, right), (left, _last) in pairwise(columns)
        if cell.left < right and cell.right > left
    ]
    places = [
        place
        for place in _find_gaps(cell)
        if any(cell.words[place - 1].left < end < cell.words[place].right for end in ends)
    ]
    return _split_before(cell, places)
