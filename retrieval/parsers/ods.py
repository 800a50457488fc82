"""ODS → text with a heading per sheet, and cells as they are shown."""

import re
from collections.abc import Iterator

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.archive import Element, get_attribute, get_name
from retrieval.parsers.opendocument import OpenDocument, expand_row, iterate_rows, read_repeats
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.sheet import add_sheet
from retrieval.parsers.text_writer import TextWriter

__all__ = ["parse_ods"]

_HIDDEN = ("collapse", "filter")
_NO_TEXT = ("annotation", "shapes", "frame")
_VALUES = ("date-value", "time-value", "string-value", "boolean-value", "value")
_TIME = re.compile(r"PT(\d\d)H(\d\d)M(?:00S)?")
_MOST_COLUMNS = 16_384


def parse_ods(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take each sheet's cells as they are shown; hidden sheets, rows and columns are left out.

    Raises:
        DocumentUnreadable: Broken, encrypted, over a limit, or without visible text.
    """
    document = OpenDocument(content, limits, "spreadsheet")
    writer = TextWriter()
    characters = limits.characters
    for table in (table for table in document.body if get_name(table) == "table"):
        name = get_attribute(table, "name")
        if document.styles.is_hidden("table", get_attribute(table, "style-name")):
            writer.warnings.append(f"The hidden sheet {name!r} was left out.")
            continue
        sheet = _Sheet(table, characters)
        rows = list(sheet.read())
        characters = sheet.characters
        if any(any(row) for row in rows):
            writer.add_heading(name, 1)
            add_sheet(writer, rows)
        if sheet.hidden_rows or sheet.hidden_columns:
            writer.warnings.append(
                f"{sheet.hidden_rows} hidden rows and {len(sheet.hidden_columns)} hidden columns of the sheet {name!r} "
                "were left out."
            )
    return writer.finish(content.media_type, document.title)


class _Sheet:
    """The rows of a sheet.

    Attributes:
        characters: Of text that may still come: cells and rows can stand for a million.
        hidden_columns: Those with text.
    """

    def __init__(self, table: Element, characters: int) -> None:
        self.characters = characters
        self.hidden_rows = 0
        self.hidden_columns: set[int] = set()
        self._table = table
        self._unseen = _read_hidden_columns(table)

    def read(self) -> Iterator[list[str]]:
        """Yield rows; an empty one stands for any number of them."""
        spans: dict[int, tuple[int, str]] = {}
        for row, _ in iterate_rows(self._table):
            cells = [cell for cell in row if get_name(cell) in ("table-cell", "covered-table-cell")]
            texts = [_read_cell(cell) for cell in cells]
            repeats = read_repeats(row, "number-rows-repeated")
            self._count(cells, texts, repeats)
            line = expand_row(row, texts, spans)
            if get_attribute(row, "visibility") in _HIDDEN:
                self.hidden_rows += repeats if any(line.values()) else 0
                continue
            self.hidden_columns |= {column for column, text in line.items() if text} & self._unseen
            line = {column: text for column, text in line.items() if column not in self._unseen}
            width = max(line, default=-1) + 1
            for _ in range(repeats if line else 1):
                yield [line.get(column, "") for column in range(width)]

    def _count(self, cells: list[Element], texts: list[str], repeats: int) -> None:
        """Count characters before cells and rows are written out as often as they stand."""
        for cell, text in zip(cells, texts, strict=True):
            self.characters -= len(text) * read_repeats(cell, "number-columns-repeated") * repeats
        if self.characters < 0:
            raise DocumentUnreadable(
                "invalid_file", "The spreadsheet has more characters of text than a document may have. Split it."
            )


def _read_hidden_columns(table: Element) -> set[int]:
    hidden: set[int] = set()
    at = 0
    for column in table.iter("{*}table-column"):
        repeats = read_repeats(column, "number-columns-repeated")
        if get_attribute(column, "visibility") in _HIDDEN:
            hidden.update(range(at, min(at + repeats, _MOST_COLUMNS)))
        at += repeats
    return hidden


def _read_cell(cell: Element) -> str:
    """Return a cell's text as the program that saved it showed it; of a program that didn't, its value."""
    lines: list[str] = []
    for paragraph in cell.iterchildren("{*}p"):
        lines.append("".join(_read_inline(paragraph)))
    text = " ".join(lines).strip()
    values = (get_attribute(cell, name) for name in _VALUES)
    return text or next((_TIME.sub(r"\1:\2", value) for value in values if value), "")


def _read_inline(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        name = get_name(child)
        if name == "s":
            yield " " * min(read_repeats(child, "c"), 100)
        elif name in ("tab", "line-break"):
            yield " "
        elif name not in _NO_TEXT:
            yield from _read_inline(child)
        yield child.tail or ""
