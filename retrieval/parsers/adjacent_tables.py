"""Tables that stand beside each other in a sheet, told from one table with an empty column in it."""

from collections.abc import Iterator, Sequence

from retrieval.parsers.table_heads import has_data, is_header

__all__ = ["split_adjacent"]

_Rows = Sequence[Sequence[str]]
_LOWEST = 2
"""Rows by which one table must end below another: a sum or a note below one of two halves is no sign of two tables."""

_MOST = 32
"""Runs of columns of a sheet that are looked at: each table has a copy of all rows."""


def split_adjacent(rows: _Rows) -> list[_Rows]:
    """Return the tables of which rows are, from left to right, each with its cells in the columns of the sheet.

    An empty column alone parts nothing: one table may have it between halves. It does so between two headers that
    are the same and have a name for each cell below them, and where each row on both sides has a name in front, between
    tables with a title each, or of which one begins or ends elsewhere than the other.
    """
    bounds = list(_find_bounds(rows))
    if not 2 <= len(bounds) <= _MOST:
        return [rows]
    tables: list[tuple[int, int]] = bounds[:1]
    for start, end in bounds[1:]:
        left, right = _cut(rows, *tables[-1]), _cut(rows, start, end)
        if _are_apart(left, right):
            tables.append((start, end))
        else:
            tables[-1] = tables[-1][0], end
    return [_cut(rows, start, end) for start, end in tables] if len(tables) > 1 else [rows]


def _find_bounds(rows: _Rows) -> Iterator[tuple[int, int]]:
    """Yield where runs of columns with something in them begin and end."""
    columns = sorted({column for row in rows for column, cell in enumerate(row) if cell})
    start = end = columns[0] if columns else 0
    for column in columns:
        if column > end:
            yield start, end
            start = column
        end = column + 1
    if columns:
        yield start, end


def _cut(rows: _Rows, start: int, end: int) -> _Rows:
    """Return the rows with the cells of some columns only; those keep their places."""
    return [[*[""] * min(start, len(row)), *row[start:end]] for row in rows]


def _are_apart(left: _Rows, right: _Rows) -> bool:
    place, other = _find_table(left), _find_table(right)
    if place is None or other is None:
        return False
    (titles, top, bottom), (other_titles, other_top, other_bottom) = place, other
    if (names := _list_cells(left[top])) == _list_cells(right[other_top]):
        return all(len(_list_cells(row)) <= len(names) for row in (*left, *right))
    if not (titles and other_titles) and top == other_top and abs(bottom - other_bottom) < _LOWEST:
        return False
    return _has_own_names(left[top + 1 : bottom + 1]) and _has_own_names(right[other_top + 1 : other_bottom + 1])


def _find_table(rows: _Rows) -> tuple[int, int, int] | None:
    """Return the number of titles above a header, its row, and the last row below it; None where that is no table."""
    filled = [number for number, row in enumerate(rows) if any(row)]
    wide = [number for number in filled if len(_list_cells(rows[number])) > 1]
    if len(wide) < 2 or not is_header(rows[wide[0]]):
        return None
    return filled.index(wide[0]), wide[0], wide[-1]


def _has_own_names(rows: _Rows) -> bool:
    """Tell whether each row has a name of its own in front, as those of a whole table have."""
    names = [cells[0] for row in rows if len(cells := _list_cells(row)) > 1]
    return len(names) == len(rows) == len(set(names)) and not any(has_data([name]) for name in names)


def _list_cells(row: Sequence[str]) -> list[str]:
    return [cell for cell in row if cell]
