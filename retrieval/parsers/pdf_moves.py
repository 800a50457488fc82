"""Lines of a PDF's page that are drawn in another order than they are read in.

Programs for slides draw frame by frame, and those for sheets a joined cell before the rows that it reaches over.
"""

from collections.abc import Sequence

from retrieval.parsers.pdf_tables import Cell

__all__ = ["find_late_title", "find_low_cells"]

_MOST_LINES = 12  # that a joined cell reaches over
_LARGER = 1.1  # times the size of all other type
_BELOW = 1 / 2  # of the lines before it, that stand under it: those of a column beside it don't


def find_late_title(lines: Sequence[Sequence[Cell]]) -> tuple[int, int] | None:
    """Return the first and the last line of a title that is to be read before all lines in front of it, or None.

    It is in the largest type of the page, and above all of them.
    """
    sizes = [max((cell.size for cell in cells), default=0.0) for cells in lines]
    largest = max(sizes, default=0.0)
    first = sizes.index(largest) if largest else 0
    last = first
    while last + 1 < len(lines) and sizes[last + 1] == largest:
        last += 1
    before = [cell for cells in lines[:first] for cell in cells]
    others = [size for number, size in enumerate(sizes) if not first <= number <= last]
    if not before or largest < _LARGER * max(others):
        return None
    title = [cell for cells in lines[first : last + 1] for cell in cells]
    if max(cell.base for cell in before) >= min(cell.base for cell in title):
        return None
    under = sum(any(cell.overlaps(one) for one in title) for cell in before)
    return (first, last) if under >= _BELOW * len(before) else None


def find_low_cells(lines: Sequence[Sequence[Cell]]) -> list[tuple[int, int]]:
    """Find lines that are of a later row, since their cell reaches over the rows before it, as where cells are joined.

    Each is told with the number of the line beside it, which begins the rest of its row. What has one cell in each line
    is no rows, but a text with its name beside it.
    """
    pairs: list[tuple[int, int]] = []
    number = 1
    while number < len(lines) - 2:
        last = _find_beside(lines, number)
        if last is not None:
            pairs.append((number, last))
        number = number + 1 if last is None else last + 1
    return pairs


def _find_beside(lines: Sequence[Sequence[Cell]], number: int) -> int | None:
    """Return the line that goes on with the row of one, behind rows between the line before it and this one."""
    above = lines[number - 1]
    if not above or len(lines[number]) != 1:
        return None
    cell = lines[number][0]
    for other in range(number + 1, min(number + _MOST_LINES, len(lines))):
        cells = lines[other]
        if not cells or cells[0].base >= above[0].base or any(one.overlaps(cell) for one in cells):
            return None
        if cells[0].is_beside(cell, cells[0].base):
            has_rows = any(len(row) > 1 for row in lines[number + 1 : other + 1])
            return other if has_rows and other > number + 1 else None
        if cells[0].base < cell.base:
            return None
    return None
