"""Tables of HTML: those of data, told from those that lay out a page, and their rows as lines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from retrieval.parsers.html_visibility import HEADINGS, is_hidden
from retrieval.parsers.table_heads import MOST_HEADS, count_heads, has_data, has_names, is_title, widen_names
from retrieval.parsers.table_rows import COVERED_CELL, write_row

__all__ = ["CELLS", "Table", "is_of_data", "is_short"]

CELLS = frozenset(("td", "th"))
_GROUPS = frozenset(("thead", "tbody", "tfoot"))
_LONGEST_CELL = 2_000
_WIDEST_SPAN = 100


class Table:
    """A table of data, row by row: every cell keeps its column, also where it is empty or spans others.

    Attributes:
        rows: Those that aren't empty, so far.
        start: Offset of the first of them.
    """

    def __init__(self) -> None:
        self.rows: int = 0
        self.start: int = 0
        self._row: list[str] = []
        self._headers = self._grouped = True
        self._spans: dict[int, tuple[int, str]] = {}  # Column → rows below that its cell reaches into, and its text.
        self._first: list[Sequence[str]] = []
        self._ends: list[int] = []  # of the first rows
        self._declared: int = 0
        self._titles: int = 0  # over all columns, before any other row
        self._has_data = False

    def add_cell(self, text: str, element: Any) -> None:
        self._add_spanned()
        self._grouped = self._grouped and element.getparent().getparent().tag == "thead"
        self._headers = self._headers and (element.tag == "th" or not (text or self.rows > self._titles))
        rows, columns = (_read_span(element, name) for name in ("rowspan", "colspan"))
        for number in range(columns):
            cell = COVERED_CELL if number else text
            if rows > 1:
                self._spans[len(self._row)] = (rows - 1, cell)
            self._row.append(cell)

    def end_row(self) -> str:
        """Return the row as a line, `Norvik | 12 |`, or "" where all its cells are empty.

        A name in the head that stands over several columns is in each of them.
        """
        if self._row:
            self._add_spanned()
        row, self._row = self._row, []
        grouped, headers, self._grouped, self._headers = self._grouped, self._headers, True, True
        if not any(row):
            return ""
        # Below a row of headers one of its kind names columns only where the upper one leaves that to it.
        may_name = not self.rows or (len(row) > 1 and any(cell is COVERED_CELL for cell in self._first[-1]))
        if self.rows in (self._declared, self._titles) and (grouped or (headers and may_name)):
            self._declared = self.rows + 1
        if self._titles == self.rows and is_title(row):
            self._titles += 1
        self._has_data = self._has_data or (self.rows > 0 and has_data(row))
        if len(self._first) < MOST_HEADS:
            self._first.append(row)
        self.rows += 1
        is_named = self._declared == self.rows or (self.rows == self._titles + 1 and has_names(row))
        if is_named and len(self._first) == self.rows:
            row = widen_names([row], 1)[0]
        return write_row(row)

    def keep_place(self, start: int, end: int) -> None:
        """Keep where the row that ended last is, and where what follows it begins."""
        if self.rows == 1:
            self.start = start
        if len(self._ends) < MOST_HEADS:
            self._ends.append(end)

    def find_head_end(self) -> int:
        """Return where the rows below the head begin: headers by their elements, or names above rows with numbers."""
        heads = self._declared
        if heads <= self._titles and self._has_data:
            heads = max(heads, count_heads(self._first))
        return self._ends[heads - 1] if 0 < heads < self.rows and heads <= len(self._ends) else self.start

    def _add_spanned(self) -> None:
        while (span := self._spans.pop(len(self._row), None)) is not None:
            rows, text = span
            if rows > 1:
                self._spans[len(self._row)] = (rows - 1, text)
            self._row.append(text)


def _read_span(element: Any, name: str) -> int:
    value = element.get(name, "").strip()
    return min(max(int(value), 1), _WIDEST_SPAN) if value.isdecimal() and len(value) < 9 else 1


def is_of_data(table: Any) -> bool:
    """Tell whether a table has data in rows and columns, and doesn't only lay out a page.

    Data is a grid of two rows or more, or at least two columns without other tables, headings or long texts in them.
    """
    rows = [cells for row in _iterate_rows(table) if (cells := [cell for cell in row if _is_cell(cell)])]
    return (_is_grid(rows) and not _lays_out(rows)) or _is_plain(table, rows)


def _iterate_rows(table: Any) -> Iterator[Any]:
    """Yield the rows that are a table's own, not those of tables in its cells."""
    for child in table:
        if child.tag == "tr" and not is_hidden(child):
            yield child
        elif child.tag in _GROUPS and not is_hidden(child):
            yield from (row for row in child if row.tag == "tr" and not is_hidden(row))


def _is_cell(element: Any) -> bool:
    return element.tag in CELLS and not is_hidden(element)


def _is_grid(rows: list[list[Any]]) -> bool:
    """Tell whether most rows have the same width, of two columns or more, and at least two do."""
    widths = Counter[int]()
    spans: list[tuple[int, int]] = []  # Of the cells above: columns, and rows that they reach into.
    for cells in rows:
        sizes = [(_read_span(cell, "colspan"), _read_span(cell, "rowspan")) for cell in cells]
        width = sum(columns for columns, _ in (*sizes, *spans))
        widths[width] += 1
        spans = [(columns, rows_left - 1) for columns, rows_left in (*sizes, *spans) if rows_left > 1]
    width, number = widths.most_common(1)[0] if rows else (0, 0)
    return width > 1 and number > 1 and number * 2 > len(rows) and sum(len(cells) > 1 for cells in rows) > 1


def _lays_out(rows: list[list[Any]]) -> bool:
    """Tell whether a grid's cells are parts of a page: several headings in one, a long one, or tables in most."""
    cells = [cell for row in rows for cell in row]
    tables = 0
    for cell in cells:
        has_table = cell.find(".//table") is not None
        headings = [heading for heading, _ in zip(cell.iter(*HEADINGS), range(2), strict=False)]
        if len(headings) > 1 or ((headings or has_table) and not is_short(cell, _LONGEST_CELL)):
            return True
        tables += has_table
    return tables * 2 > len(cells)


def _is_plain(table: Any, rows: list[list[Any]]) -> bool:
    if table.find(".//table") is not None or all(len(cells) < 2 for cells in rows):
        return False
    return all(
        is_short(cell, _LONGEST_CELL) and (cell.tag == "th" or next(cell.iter(*HEADINGS), None) is None)
        for cells in rows
        for cell in cells
    )


def is_short(element: Any, longest: int) -> bool:
    length = 0
    for text in element.itertext():
        length += len(text)
        if length > longest:
            return False
    return True
