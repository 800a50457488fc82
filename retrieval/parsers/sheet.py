"""A sheet of cells as text: its tables, each with the header that all its pieces need."""

from collections.abc import Iterable, Iterator, Sequence

from retrieval.parsers.adjacent_tables import split_adjacent
from retrieval.parsers.table_heads import count_heads, cover_groups, is_header, widen_names
from retrieval.parsers.text_writer import TextWriter

__all__ = ["add_sheet"]


def add_sheet(writer: TextWriter, rows: Iterable[Sequence[str]]) -> None:
    """Add the rows of a sheet.

    Empty rows part groups of rows. A group begins a table of its own if its first row is a header, or if lines of text
    (rows with a single cell), such as a title, come before it; else it goes on with the table above it. Tables beside
    each other come one after the other.
    """
    table: list[Sequence[str]] = []
    for group in _split_groups(rows):
        titles = _count_titles(group, below_table=bool(table))
        if len(adjacent := split_adjacent(group[titles:])) > 1:
            _add_table(writer, table)
            table = []
            writer.add_paragraph(_join_titles(group[:titles]))
            for part in adjacent:
                add_sheet(writer, part)
            continue
        if titles or is_header(group[0]):
            _add_table(writer, table)
            table = []
        writer.add_paragraph(_join_titles(group[:titles]))
        table += group[titles:]
    _add_table(writer, table)


def _split_groups(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    group: list[Sequence[str]] = []
    for row in rows:
        if any(row):
            group.append(row)
        elif group:
            yield group
            group = []
    if group:
        yield group


def _count_titles(group: Sequence[Sequence[str]], *, below_table: bool) -> int:
    """Count the rows with a single cell before the first wider one.

    Below a table a title stands in the first column; a lone cell in another one belongs to that column.
    """
    others = (n for n, row in enumerate(group) if _count_cells(row) > 1 or (below_table and not row[0]))
    return next(others, len(group))


def _join_titles(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(cell for row in rows for cell in row if cell)


def _count_cells(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def _add_table(writer: TextWriter, table: Sequence[Sequence[str]]) -> None:
    """Add rows without the columns in which none has anything."""
    if not table:
        return
    width = max(map(len, table))
    columns = [column for column in range(width) if any(column < len(row) and row[column] for row in table)]
    rows = [[row[column] if column < len(row) else "" for column in columns] for row in table]
    heads = count_heads(rows)
    if heads == 1:
        rows[0] = list(_tell_apart(rows[0], columns))
    for number in range(heads - 1):
        rows[number] = list(cover_groups(rows[number], rows[number + 1]))
    writer.add_table(widen_names(rows, heads), heads)


def _tell_apart(head: Sequence[str], columns: Sequence[int]) -> Iterator[str]:
    """Yield the names of columns, each once: `Price`, `Price (2)`, and `column 4` for one without a name.

    The first column may be without: it is that of the rows' own names.
    """
    names = set(head)
    earlier: set[str] = set()
    numbers: dict[str, int] = {}  # the last of each name
    for place, (name, column) in enumerate(zip(head, columns, strict=True)):
        base = name or f"column {column + 1}"
        own = base if place else name
        while own and (own in earlier or (own != name and own in names)):
            numbers[base] = numbers.get(base, 1) + 1
            own = f"{base} ({numbers[base]})"
        earlier.add(own)
        yield own
