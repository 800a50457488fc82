"""CSV and TSV → rows as text, each group of them with the header."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from retrieval.parsers.html_values import HtmlValues
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.sheet import add_sheet
from retrieval.parsers.text import clean_visible, parse_text
from retrieval.parsers.text_writer import TextWriter

__all__ = ["parse_delimited"]

_DELIMITERS = ",;\t|"
_SAMPLE = 200
"""Lines from which the delimiter is told."""
_MOST_LINES = 200  # of a cell
_SEPARATOR_LINE = re.compile(r"sep=(.)\n", re.I)


def parse_delimited(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the rows of a table, told by the delimiter by which most of them have as many cells.

    A text without columns is taken as it is.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    csv.field_size_limit(sys.maxsize)
    text = clean_visible(content.text)
    name_match = _SEPARATOR_LINE.match(text)
    lines = text[name_match.end() if name_match else 0 :].split("\n")
    delimiter = name_match[1] if name_match else _find_delimiter(lines[:_SAMPLE])
    if not delimiter:
        return parse_text(content, limits)
    escaped = [line.replace('\\"', '""') for line in lines]  # as databases and programs on Unix write quotes
    if escaped != lines and _measure_evenness(escaped, delimiter) > _measure_evenness(lines, delimiter):
        lines = escaped
    writer = TextWriter()
    rows = list(_read_rows(lines, delimiter))
    if any(cell.count("\n") > _MOST_LINES for row in rows for cell in row):
        # A quotation mark that nobody closed, as in `12" disc`, has the rest of the file in its cell.
        rows = _read_rows(lines, delimiter, csv.QUOTE_NONE)
    pages = HtmlValues(limits)
    add_sheet(writer, ([pages.read(cell) for cell in row] for row in rows))
    writer.warnings += pages.warnings
    return writer.finish(content.media_type)


def _read_rows(lines: Sequence[str], delimiter: str, quoting: Literal[0, 3] = csv.QUOTE_MINIMAL) -> Iterable[list[str]]:
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, skipinitialspace=True, quoting=quoting)
    for row in rows:
        yield [cell.strip() for cell in row]


def _measure_evenness(lines: Sequence[str], delimiter: str) -> float:
    """Return the share of rows that have as many cells as most."""
    widths = Counter(len(row) for row in _read_rows(lines, delimiter) if any(row))
    return max(widths.values(), default=0) / (widths.total() or 1)


def _find_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that cuts most lines into as many cells, several; "" if none does."""
    best, score = "", 0.5
    for delimiter in _DELIMITERS:
        widths = Counter(len(row) for row in _read_rows(lines, delimiter) if any(row))
        if not widths:
            continue
        # More columns win a draw: a comma in each of a row's sentences makes fewer.
        width, rows = max(widths.items(), key=lambda item: (item[1], item[0]))
        share = rows / widths.total() + width / 1000
        if width > 1 and share > score:
            best, score = delimiter, share
    return best
