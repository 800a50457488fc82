"""Tables of AsciiDoc: cells, one or several per line, as rows under the columns that the table has."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.parsers.table_heads import count_heads, has_data, widen_names
from retrieval.parsers.table_rows import COVERED_CELL
from retrieval.parsers.text_writer import make_row

__all__ = ["read_asciidoc_table"]

_OPTIONS = re.compile(r"(?:\b(?:options|opts)\s*=\s*\"?|%)([\w,%-]+)")
_NAMED_ATTRIBUTE = re.compile(r"\b(cols|format|separator)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s,\]]+))")
_REPEAT = re.compile(r"\s*(\d{1,3})\*")
_SIZE = r"(?:(?P<times>\d{1,3})\*|(?P<columns>\d{0,3})(?:\.(?P<rows>\d{1,3}))?\+)"
_BEFORE = rf"(?:{_SIZE})?(?:\.?[<^>]){{0,2}}[a-z]?"
_RULES = re.compile(r"[-.=_*+]{4,}|--|!={3,}|```.*")
"""Lines that bound code and the like in a cell."""
_SEPARATORS = {"csv": ",", "tsv": "\t", "dsv": ":"}
_SIGNS = {",": "csv", ":": "dsv"}
_WIDEST = 100
_FREE, _GROWTH = 20_000, 10
"""Characters that cells which are repeated may add to a table: so many, and so many times its own.

Each takes `_BETWEEN` more, so that there aren't any number of short ones.
"""
_BETWEEN = 8


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    columns: int = 1
    rows: int = 1


def read_asciidoc_table(lines: Sequence[str], sign: str, attributes: str) -> tuple[list[str], int]:
    """Return a table's rows as lines, and how many of them name its columns; no rows if it can't be told which it has.

    Args:
        lines: Those between its bounds.
        sign: The character with which its bounds begin, such as `|`.
        attributes: The line of attributes above it, or "".
    """
    values = {match[1]: match[match.lastindex or 0] for match in _NAMED_ATTRIBUTE.finditer(attributes)}
    kind = values.get("format") or _SIGNS.get(sign, "psv")
    separator = values.get("separator", "").replace("\\t", "\t")
    if len(separator) != 1 or separator in '"\\':
        separator = _SEPARATORS.get(kind, sign)
    options = {word for match in _OPTIONS.finditer(attributes) for word in re.split(r"[,%]", match[1])}
    width = _count_columns(values.get("cols", ""))
    if kind == "dsv":
        rows = [_read_escaped(line, separator) for line in lines if line]
    elif kind in _SEPARATORS:
        rows = _read_delimited(lines, separator)
    else:
        cells = _read_cells("\n".join(lines), separator)
        width = width or sum(one.columns for one in _read_cells(next(filter(str.strip, lines), ""), separator))
        rows = _place(cells, width, sum(map(len, lines))) if 0 < width <= _WIDEST else []
    is_declared = "header" in options or ("noheader" not in options and _is_apart(lines))
    heads = 1 if is_declared else count_heads(rows) if any(map(has_data, rows[1:])) else 0
    row_lines = list(map(make_row, widen_names(rows, heads)))
    return list(filter(None, row_lines)), min(heads, len(rows))


def _read_delimited(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return [list[str](row) for row in csv.reader((f"{line}\n" for line in lines), delimiter=separator) if row]
    except csv.Error:  # a field that is too long for one
        return []


def _read_escaped(line: str, separator: str) -> list[str]:
    """Split a line at each separator without a backslash before it."""
    cells = re.split(rf"(?<!\\){re.escape(separator)}", line)
    return [cell.replace(f"\\{separator}", separator) for cell in cells]


def _is_apart(lines: Sequence[str]) -> bool:
    """Tell whether a blank line stands behind the first, and none before it: that line is the header then."""
    return len(lines) > 2 and bool(lines[0].strip()) and not lines[1].strip()


def _count_columns(columns: str) -> int:
    """Return the number of columns that `cols` gives, such as `1,3*` or `2*`; 0 if it gives none."""
    if not columns.strip():
        return 0
    parts = re.split(r"[,;]", columns)
    return sum(int(match[1]) if (match := _REPEAT.match(part)) else 1 for part in parts)


def _read_cells(text: str, separator: str) -> list[_Cell]:
    """Read cells, each of which begins with the separator and what stands before it: `2+|`, `.3+^|`, `3*|`, `a|`."""
    cut = re.compile(rf"(?:(?:\A|(?<=\s)){_BEFORE})?(?<!\\){re.escape(separator)}")
    bounds = list(cut.finditer(text))
    if not bounds or text[: bounds[0].start()].strip():
        return []  # what stands before the first cell is in none
    ends = [*(bound.start() for bound in bounds[1:]), len(text)]
    room = _FREE + _GROWTH * len(text)
    cells: list[_Cell] = []
    for bound, end in zip(bounds, ends, strict=True):
        lines = (line.strip() for line in text[bound.end() : end].split("\n"))
        words = " ".join(line for line in lines if line != "+" and not _RULES.fullmatch(line))
        words = words.replace(f"\\{separator}", separator)
        one = _Cell(words.strip(), int(bound["columns"] or 1), int(bound["rows"] or 1))
        size = len(one.text) + _BETWEEN
        more = max(min(int(bound["times"] or 1) - 1, room // size), 0)
        room -= more * size
        cells += [one] * (more + 1)
    return cells


def _place(cells: Sequence[_Cell], width: int, size: int) -> list[list[str]]:
    """Lay cells out in rows: a cell that reaches into others leaves those beside it empty, and is in those below it."""
    grid = _Grid(width, _FREE + _GROWTH * size)
    for one in cells:
        for number in range(min(max(one.columns, 1), width)):
            grid.add(COVERED_CELL if number else one.text, one.rows)
    return grid.finish()


class _Grid:
    """Rows of `width` cells, and what reaches into those to come; that adds no more than `room` characters."""

    def __init__(self, width: int, room: int) -> None:
        self._width = width
        self._room = room
        self._rows: list[list[str]] = []
        self._row: list[str] = []
        self._reaching: dict[int, tuple[int, str]] = {}  # column → rows below that its cell reaches into, and its text

    def add(self, text: str, rows: int) -> None:
        """Put a cell into the next place that nothing reaches into."""
        while len(self._row) == self._width or self._repeat():
            if len(self._row) == self._width:
                self._rows.append(self._row)
                self._row = []
        if rows > 1:
            self._reaching[len(self._row)] = (rows - 1, text)
        self._row.append(text)

    def finish(self) -> list[list[str]]:
        while self._row and len(self._row) < self._width and self._repeat():
            pass
        return [*self._rows, self._row] if any(self._row) else self._rows

    def _repeat(self) -> bool:
        """Put what reaches into the next place there, if anything does."""
        below, text = self._reaching.pop(len(self._row), (0, ""))
        size = len(text) + _BETWEEN
        if not below or size > self._room:
            return False
        self._room -= size
        if below > 1:
            self._reaching[len(self._row)] = (below - 1, text)
        self._row.append(text)
        return True
