"""Tables of HTML: those of data, told from those that lay out a page, and their rows as lines."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from retrieval.parsers.html_visibility import HEADINGS, is_hidden

__all__ = ["CELLS", "Table", "is_of_data", "is_short"]

CELLS = frozenset(("td", "th"))
_GROUPS = frozenset(("thead", "tbody", "tfoot"))
_LONGEST_CELL = 2_000
_WIDEST_SPAN = 100


class Table:
    """A table of data, row by row: every cell keeps its column, also where it is empty or spans others.

    Attributes:
        rows: Those that aren't empty, so far.
        start: Offset of the first of them, and `head` that after it, if all its cells are headers; else 0.
        of_headers: All cells of the row that ended last are headers.
    """

    def __init__(self) -> None:
        self.rows = self.start = self.head = 0
        self.of_headers = True
        self._row: list[str] = []
        self._headers = True
        self._spans: dict[int, tuple[int, str]] = {}  # Column → rows below that its cell reaches into, and its text.

    def add_cell(self, text: str, element: Any) -> None:
        self._add_spanned()
        self._headers = self._headers and element.tag == "th"
        rows, columns = (_read_span(element, name) for name in ("rowspan", "colspan"))
        for number in range(columns):
            if rows > 1:
                self._spans[len(self._row)] = (rows - 1, text if number == 0 else "")
            self._row.append(text.replace("|", "\\|") if number == 0 else "")

    def end_row(self) -> str:
        """Return the row as a line, `Norvik | 12 |`, or "" where all its cells are empty."""
        if self._row:
            self._add_spanned()
        row, self._row = self._row, []
        self.of_headers, self._headers = self._headers, True
        self.rows += any(map(bool, row))
        return " | ".join(row).strip() if any(row) else ""

    def _add_spanned(self) -> None:
        while (span := self._spans.pop(len(self._row), None)) is not None:
            rows, text = span
            if rows > 1:
                self._spans[len(self._row)] = (rows - 1, text)
            self._row.append(text.replace("|", "\\|"))


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
        spans = [(columns, left - 1) for columns, left in (*sizes, *spans) if left > 1]
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
