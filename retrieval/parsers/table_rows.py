"""A table's row as a line, `Norvik | 12 |`: every parser that writes rows writes them here.

The boundary of two columns is a `|` that no backslash is before; one of a cell's own text has a backslash, as Markdown
has it. Cells begin and end without blanks, so that a backslash at a cell's end stands apart from the boundary.
"""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["COVERED_CELL", "read_row", "write_row"]

_BOUNDARY = re.compile(r"(?<!\\)\|")


class _CoveredCell(str):
    __slots__ = ()


COVERED_CELL: Final[str] = _CoveredCell()
"""An empty cell that the one before it in its row reaches into; it is told by being this very object."""


def write_row(cells: Iterable[str]) -> str:
    """Write a row with all its columns; "" if all of its cells are empty.

    Args:
        cells: Texts of one line, without blanks at their ends.
    """
    texts = [cell.replace("|", "\\|") for cell in cells]
    return " | ".join(texts).strip() if any(texts) else ""


def read_row(line: str) -> list[str]:
    """Return the cells of a row that was written here."""
    return [cell.strip().replace("\\|", "|") for cell in _BOUNDARY.split(line)]
