"""Tables of a PDF that are ruled: their cells are what lies between lines, an empty one as well as any other."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from retrieval.parsers.pdf_tables import Cell

__all__ = ["CLOSE", "Grid", "Rule", "RuledTable", "arrange_grids"]

CLOSE = 2.0
"""Points from one line to another that is the same, or that it meets."""
_MOST_SLOTS = 5000
_MOST_GRIDS = 40
_MOST_LINES = 12
"""Lines of a cell: a frame around a column of prose has more, and is no cell."""
_MOST_WIDE_LINES = 3
"""Lines of a cell over all columns: one with more is prose between two tables."""
_FILLED = 1 / 4  # of a table's cells, at least; a chart's lines have few words between them
_MIDDLE = 0.3  # times the size of type: where a line of text is, above its base line


@dataclass(frozen=True, slots=True)
class Rule:
    """A line from `first` to `last`: upright at `at` from the left, or level at `at` from the lower edge."""

    is_upright: bool
    at: float
    first: float
    last: float

    def meets(self, other: "Rule") -> bool:
        """Tell whether it touches or crosses one that runs the other way."""
        return (
            self.first - CLOSE <= other.at <= self.last + CLOSE and other.first - CLOSE <= self.at <= other.last + CLOSE
        )


@dataclass(frozen=True, slots=True)
class RuledTable:
    """The lines `first` to `last` of a page, and what stands in them.

    Attributes:
        titles: Names over all columns, above the others, each with the size of its type.
        rows: Each with a text for each column.
        rest: The numbers of the lines among them that aren't of the table.
    """

    first: int
    last: int
    titles: Sequence[tuple[str, float]]
    rows: Sequence[Sequence[str]]
    rest: Sequence[int]


def arrange_grids(lines: Sequence[Sequence[Cell]], rules: Sequence[Rule]) -> list[RuledTable]:
    """Return the ruled tables of a page, by the cells of its lines."""
    tables: list[RuledTable] = []
    grids = list(_find_grids(rules))
    for grid in grids:
        parts = [] if any(grid.holds(other) for other in grids) else list(grid.split(lines))
        for table in filter(None, (part.arrange(lines) for part in parts)):
            if all(table.last < one.first or one.last < table.first for one in tables):
                tables.append(table)
    return sorted(tables, key=lambda table: table.first)


def _find_grids(rules: Sequence[Rule]) -> "Iterator[Grid]":
    """Yield what rules enclose that meet each other."""
    left = dict.fromkeys(rules)
    for _ in range(_MOST_GRIDS):
        if not left:
            return
        together, pending = list[Rule](), [left.popitem()[0]]
        while pending:
            rule = pending.pop()
            together.append(rule)
            met = [one for one in left if one.is_upright != rule.is_upright and rule.meets(one)]
            for one in met:
                del left[one]
            pending += met
        grid = Grid.make(together)
        if grid is not None:
            yield grid


@dataclass(frozen=True, slots=True)
class Grid:
    """Slots between upright lines, from the left, and level ones, from the top; several may be one cell.

    Attributes:
        lefts: Where columns begin and the last one ends.
        tops: The same of rows, as heights with the sign turned, so that they grow.
        cells: For each row, the cell that each of its slots is of.
    """

    lefts: Sequence[float]
    tops: Sequence[float]
    cells: Sequence[Sequence[int]]

    @classmethod
    def make(cls, rules: Sequence[Rule]) -> "Grid | None":
        """Make the grid of rules that meet; None where they have too few or too many slots."""
        upright = _index_rules(rules, upright=True)
        level = _index_rules(rules, upright=False)
        lefts, heights = sorted(upright), sorted(level, reverse=True)
        if len(lefts) < 3 or len(heights) < 3 or len(lefts) * len(heights) > _MOST_SLOTS:
            return None
        cells: list[list[int]] = []
        same = _Sets()
        for top, bottom in pairwise(heights):
            row: list[int] = []
            for column, (left, right) in enumerate(pairwise(lefts)):
                number = same.add()
                if column and not _is_ruled(upright[left], (top + bottom) / 2):
                    same.join(row[-1], number)
                if cells and not _is_ruled(level[top], (left + right) / 2):
                    same.join(cells[-1][column], number)
                row.append(number)
            cells.append(row)
        joint = [[same.find(number) for number in row] for row in cells]
        return cls(lefts, [-height for height in heights], joint)

    def holds(self, other: "Grid") -> bool:
        """Tell whether another one is in a part of it, as a table in a frame or in a cell."""
        if self.lefts == other.lefts and self.tops == other.tops:
            return False
        edges = [(self.lefts, other.lefts), (self.tops, other.tops)]
        return all(outer[0] <= inner[0] and inner[-1] <= outer[-1] for outer, inner in edges)

    def split(self, lines: Sequence[Sequence[Cell]]) -> "Iterator[Grid]":
        """Yield what is above, between and below cells over all columns that are prose."""
        counts = Counter(
            slot
            for cells in lines
            for slot in {self._find(cell, (word.left + word.right) / 2) for cell in cells for word in cell.words}
        )
        prose = [n for n, row in enumerate(self.cells) if len({*row}) == 1 and counts[row[0]] > _MOST_WIDE_LINES]
        for above, below in pairwise([-1, *prose, len(self.cells)]):
            if below - above > 1:
                yield Grid(self.lefts, self.tops[above + 1 : below + 1], self.cells[above + 1 : below])

    def arrange(self, lines: Sequence[Sequence[Cell]]) -> RuledTable | None:
        """Return the table that the grid is of, by the cells of a page's lines; None where it is of none."""
        parts: dict[int, list[str]] = {}
        sizes: dict[int, float] = {}
        counts: dict[int, set[int]] = {}
        inside: list[int] = []
        for number, cells in enumerate(lines):
            slots = [
                (word.text, cell.size, self._find(cell, (word.left + word.right) / 2))
                for cell in cells
                for word in cell.words
            ]
            if all(slot is None for *_, slot in slots):
                continue
            if any(slot is None for *_, slot in slots):
                return None
            inside.append(number)
            for text, size, slot in slots:
                if slot is not None:
                    parts.setdefault(slot, []).append(text)
                    sizes.setdefault(slot, size)
                    counts.setdefault(slot, set()).add(number)
        if not inside or max(map(len, counts.values())) > _MOST_LINES or not self._are_boxes(parts):
            return None
        numbers = {number for row in self.cells for number in row}
        titles, rows = self._write({number: " ".join(words) for number, words in parts.items()})
        filled = [row for row in rows if sum(map(bool, row)) > 1]
        if len(rows) < 2 or len(filled) < 2 or len(parts) < _FILLED * len(numbers):
            return None
        if len(rows) == 2 and sum(len(lines) > 2 for lines in counts.values()) > 1:
            return None  # as likely, only its head is ruled
        rest = sorted({*range(inside[0], inside[-1])} - {*inside})
        sized = [(" ".join(parts[number]), sizes[number]) for number in titles]
        return RuledTable(inside[0], inside[-1], sized, rows, rest)

    def _find(self, cell: Cell, x: float) -> int | None:
        """Return the cell that a word is in."""
        column = bisect_right(self.lefts, x) - 1
        row = bisect_right(self.tops, -cell.base - _MIDDLE * cell.size) - 1
        is_inside = 0 <= column < len(self.lefts) - 1 and 0 <= row < len(self.tops) - 1
        return self.cells[row][column] if is_inside else None

    def _are_boxes(self, numbers: Collection[int]) -> bool:
        """Tell whether cells have four corners each: one with more is around a table, or its lines are a drawing."""
        places: dict[int, list[tuple[int, int]]] = {}
        for row, cells in enumerate(self.cells):
            for column, number in enumerate(cells):
                places.setdefault(number, []).append((row, column))
        for number in numbers:
            rows, columns = zip(*places[number], strict=True)
            if len(rows) != (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1):
                return False
        return True

    def _write(self, texts: dict[int, str]) -> tuple[list[int], list[list[str]]]:
        """Return the cells of names over all columns, and the rows below, without rows and columns of nothing."""
        titles, rows, above = list[int](), list[list[str]](), set[int]()
        for cells in self.cells:
            row = [
                texts.get(number, "") if not column or cells[column - 1] != number else ""
                for column, number in enumerate(cells)
            ]
            if not rows and len(set(cells)) == 1:
                titles += cells[:1] if row[0] and cells[0] not in titles else []
            elif any(text and number not in above for number, text in zip(cells, row, strict=True)):
                rows.append(row)  # that has more than what reaches into it
                above.update(cells)
        filled = [column for column in range(len(self.lefts) - 1) if any(row[column] for row in rows)]
        return titles, [[row[column] for column in filled] for row in rows]


@dataclass(frozen=True, slots=True)
class _Sets:
    """Slots that are joined to cells."""

    above: list[int] = field(default_factory=list[int])

    def add(self) -> int:
        self.above.append(len(self.above))
        return self.above[-1]

    def find(self, number: int) -> int:
        while self.above[number] != number:
            self.above[number] = self.above[self.above[number]]
            number = self.above[number]
        return number

    def join(self, one: int, other: int) -> None:
        one, other = sorted((self.find(one), self.find(other)))
        self.above[other] = one


def _index_rules(rules: Sequence[Rule], *, upright: bool) -> dict[float, list[Rule]]:
    index: dict[float, list[Rule]] = {}
    for rule in rules:
        if rule.is_upright == upright:
            index.setdefault(rule.at, []).append(rule)
    return index


def _is_ruled(rules: Sequence[Rule], at: float) -> bool:
    return any(rule.first <= at <= rule.last for rule in rules)
