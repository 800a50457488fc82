"""The rows of a table in RTF: each row says by itself where its cells end, and which of them are merged."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.parsers.table_rows import COVERED_CELL

__all__ = ["RtfTable"]

_MOST_COLUMNS = 500
_NEAR = 20  # twips, within which two cells end at the same line


@dataclass(frozen=True, slots=True)
class _Row:
    """A row's cells, and of each, as far as the row defines it, how it is merged ("": it isn't) and where it ends."""

    cells: list[str]
    merges: list[str]
    ends: list[int]


class RtfTable:
    """The rows of a table as they come.

    Attributes:
        heads: Rows at its beginning that it repeats on each page.
    """

    def __init__(self) -> None:
        self.heads = 0
        self._rows: list[_Row] = []
        self._cells: list[str] = []
        self._merges: list[str] = []
        self._ends: list[int] = []
        self._merge = ""
        self._is_head = False

    @property
    def has_rows(self) -> bool:
        return bool(self._rows)

    def begin_next(self) -> "RtfTable":
        """Return an empty table, for which a row may have been defined already."""
        table = RtfTable()
        if not self._cells:
            table._merges, table._ends, table._is_head = self._merges, self._ends, self._is_head
        return table

    def define(self, word: str, value: int | None) -> None:
        if word == "trowd":
            self._merges, self._ends, self._merge, self._is_head = [], [], "", False
        elif word == "trhdr":
            self._is_head = True
        elif word in ("clvmrg", "clmrg"):
            self._merge = word
        elif word == "cellx" and len(self._ends) < _MOST_COLUMNS:
            self._merges.append(self._merge)
            self._ends.append(value or 0)
            self._merge = ""

    def add_cell(self, text: str) -> None:
        if len(self._cells) < _MOST_COLUMNS:
            self._cells.append(text)

    def end_row(self) -> None:
        self.heads += self._is_head and self.heads == len(self._rows)
        self._rows.append(_Row(self._cells, self._merges, self._ends))
        self._cells = []

    def read_rows(self) -> list[list[str]]:
        """Return the texts by column: a cell over several rows has its in each, one over columns in the first.

        The columns are those of the widest row: a cell that is as wide as several of them covers them.
        """
        widest = max((row.ends for row in self._rows), key=len, default=list[int]())
        lines: list[list[str]] = []
        above: list[str] = []
        for row in self._rows:
            line: list[str] = []
            for number, (text, place) in enumerate(zip(row.cells, _find_places(row, widest), strict=True)):
                merge = row.merges[number] if number < len(row.merges) else ""
                over = above[len(line)] if len(line) < len(above) else text
                line.append(over if merge == "clvmrg" else COVERED_CELL if merge == "clmrg" else text)
                line += [COVERED_CELL] * (place + 1 - len(line))
            lines.append(line)
            above = line
        return lines


def _find_places(row: _Row, widest: Sequence[int]) -> Sequence[int]:
    """Return the last column of each cell of a row; its own number, where cells don't all end where the widest's do."""
    places = [bisect_left(widest, end - _NEAR) for end in row.ends]
    ends = zip(places, row.ends, strict=True)
    is_exact = all(at < len(widest) and abs(widest[at] - end) <= _NEAR for at, end in ends)
    return places if is_exact and len(places) == len(row.cells) == len(set(places)) else range(len(row.cells))
