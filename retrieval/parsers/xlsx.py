"""XLSX → text with a heading per sheet, and cells as they are shown: formulas by their results, dates, percents."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.archive import Archive, Element, get_attribute, get_name, to_number
from retrieval.parsers.docx import find_main_part, read_core_title
from retrieval.parsers.drawings import get_relation, iterate_shapes, read_paragraphs, read_runs
from retrieval.parsers.number_formats import BUILT_IN, show_number
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.sheet import add_sheet
from retrieval.parsers.table_rows import COVERED_CELL
from retrieval.parsers.text_writer import TextWriter

__all__ = ["parse_xlsx"]

_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})")
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z0-9$]+):([A-Z0-9$]+)"')
_ESCAPED = re.compile(r"_x([0-9A-F]{4})_", re.I)
"""A character that XML has no place for, as Excel writes it: `_x000D_` is the end of a line."""
_MOST_COLUMNS = 16_384
_MOST_MERGED_ROWS = 10_000
_MOST_MERGED_COLUMNS = 100
_ON = ("1", "true")


def parse_xlsx(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take each sheet's cells as they are shown; hidden sheets, rows and columns are left out.

    Raises:
        DocumentUnreadable: Broken, encrypted, over a limit, or without visible text.
    """
    workbook = _Workbook(Archive(content.data, limits), limits)
    writer = TextWriter()
    for name, part, hidden in workbook.list_sheets():
        if hidden:
            writer.warnings.append(f"The hidden sheet {name!r} was left out.")
            continue
        sheet = workbook.read_sheet(part)
        if any(any(row) for row in sheet.rows):
            writer.add_heading(name, 1)
            add_sheet(writer, sheet.rows)
        boxes = list(workbook.read_boxes(part))
        if boxes and not any(any(row) for row in sheet.rows):
            writer.add_heading(name, 1)
        for box in boxes:
            writer.add_paragraph(box)
        if sheet.hidden_rows or sheet.hidden_columns:
            writer.warnings.append(
                f"{sheet.hidden_rows} hidden rows and {len(sheet.hidden_columns)} hidden columns of the sheet {name!r} "
                "were left out."
            )
        if sheet.without_result:
            writer.warnings.append(
                f"{sheet.without_result} formulas of the sheet {name!r} have no result in the file and stand as they "
                "are. Open it in a spreadsheet program and save it again."
            )
    return writer.finish(content.media_type, read_core_title(workbook.archive))


@dataclass(slots=True)
class _Sheet:
    """The rows of a sheet that are shown, without gaps; an empty one stands for any number of them."""

    rows: list[list[str]] = field(default_factory=list[list[str]])
    hidden_rows: int = 0
    hidden_columns: set[int] = field(default_factory=set[int])
    without_result: int = 0


class _Workbook:
    def __init__(self, archive: Archive, limits: ParseLimits) -> None:
        self.archive = archive
        self._limits = limits
        self._characters = 0
        self._main = find_main_part(archive)
        self._root = archive.read_xml(self._main)
        self._relations = archive.read_relations(self._main)
        parts = {kind: name for kind, name in self._relations.values() if archive.has(name)}
        self._strings = list(self._read_strings(parts["sharedStrings"])) if "sharedStrings" in parts else []
        self._formats = _read_formats(archive.read_xml(parts["styles"])) if "styles" in parts else []
        properties = self._root.find("{*}workbookPr")
        self._since_1904 = properties is not None and get_attribute(properties, "date1904") in _ON

    def list_sheets(self) -> Iterator[tuple[str, str, bool]]:
        """Yield each sheet's name, its part, and whether it is hidden; charts on sheets of their own aren't listed."""
        for sheet in self._root.iterfind("{*}sheets/{*}sheet"):
            relation = next((value for key, value in sheet.items() if key.endswith("}id")), "")
            kind, part = self._relations.get(relation, ("", ""))
            if kind == "worksheet":
                yield sheet.get("name", ""), part, sheet.get("state", "visible") != "visible"

    def read_boxes(self, part: str) -> Iterator[str]:
        """Yield the texts of a sheet's shapes and the titles of its charts, whose values stand in cells."""
        for kind, name in self.archive.read_relations(part).values():
            if kind != "drawing" or not self.archive.has(name):
                continue
            relations = self.archive.read_relations(name)
            for shape in (shape for anchor in self.archive.read_xml(name) for shape in iterate_shapes(anchor)):
                yield "\n".join(text for _, text in read_paragraphs(shape))
                for chart in shape.iterfind("{*}graphic/{*}graphicData/{*}chart"):
                    _, target = relations.get(get_relation(chart), ("", ""))
                    if self.archive.has(target):
                        titles = self.archive.read_xml(target).iterfind("{*}chart/{*}title")
                        yield "".join(read_runs(title) for title in titles)

    def read_sheet(self, part: str) -> _Sheet:
        sheet = _Sheet()
        data = self.archive.read(part)
        merges = _read_merges(data)
        hidden_columns: set[int] = set()
        for element in self.archive.iterate_xml(data, part, ("cols", "row")):
            if get_name(element) == "cols":
                hidden_columns = _read_hidden_columns(element)
            elif element.get("hidden") in _ON:
                sheet.hidden_rows += any(True for _ in element.iter("{*}v", "{*}t"))
            else:
                self._add_row(sheet, element, hidden_columns, merges)
        return sheet

    def _add_row(self, sheet: _Sheet, row: Element, hidden: set[int], merges: "_Merges") -> None:
        cells: dict[int, str] = {}
        at = 0
        for cell in row.iterchildren("{*}c"):
            if match := _REFERENCE.fullmatch(cell.get("r", "")):
                at = _to_column(match[1])
            if text := self._show(sheet, cell):
                if at in hidden:
                    sheet.hidden_columns.add(at)
                else:
                    cells[at] = text
            at += 1
        if number := to_number(row.get("r")):
            merges.fill(number, cells)
            if sheet.rows and number > merges.last_row + 1:
                sheet.rows.append([])
            merges.last_row = number
        self._characters += sum(map(len, cells.values()))
        if self._characters > self._limits.characters:
            raise DocumentUnreadable(
                "invalid_file", f"The workbook has more than {self._limits.characters} characters of text. Split it."
            )
        sheet.rows.append([cells.get(column, "") for column in range(max(cells, default=-1) + 1)])

    def _show(self, sheet: _Sheet, cell: Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return "".join(map(_read_text, cell.iterchildren("{*}is"))).strip()
        value = cell.findtext("{*}v") or ""
        formula = cell.findtext("{*}f")
        if not value:
            sheet.without_result += formula is not None and kind == "n"
            return f"={formula}" if formula and kind == "n" else ""
        if kind == "s":
            return self._find_string(value)
        if kind == "b":
            return "TRUE" if value in _ON else "FALSE"
        style = to_number(cell.get("s"))
        code = self._formats[style] if style < len(self._formats) else ""
        if kind == "n":
            return show_number(value, code, since_1904=self._since_1904)
        return _show_iso_date(value) if kind == "d" else value.strip()

    def _find_string(self, value: str) -> str:
        place = to_number(value, len(self._strings))
        return self._strings[place].strip() if place < len(self._strings) else ""

    def _read_strings(self, part: str) -> Iterator[str]:
        for element in self.archive.iterate_xml(self.archive.read(part), part, ("si",)):
            yield _read_text(element)


@dataclass(slots=True)
class _Merges:
    """Cells over several rows or columns: the text of the first goes on in those below, and covers those beside it.

    Attributes:
        starts: Row → column → last row and last column of a cell that begins there.
        last_row: Number of the row that was read last.
    """

    starts: dict[int, dict[int, tuple[int, int]]]
    last_row: int = 0
    _open: dict[int, tuple[int, int, str]] = field(default_factory=dict[int, tuple[int, int, str]])

    def fill(self, row: int, cells: dict[int, str]) -> None:
        for column, (last_row, last_column) in self.starts.get(row, {}).items():
            self._open[column] = last_row, last_column, cells.get(column, "")
        for column, (last_row, last_column, text) in list(self._open.items()):
            if row > last_row:
                del self._open[column]
            elif text:
                cells.setdefault(column, text)
                for beside in range(column + 1, last_column + 1):
                    cells.setdefault(beside, COVERED_CELL)


def _read_merges(data: bytes) -> _Merges:
    """Find merged cells, which a sheet's part lists after its rows."""
    starts: dict[int, dict[int, tuple[int, int]]] = {}
    for match in _MERGED.finditer(data):
        first, last = (_REFERENCE.fullmatch(reference.decode()) for reference in match.groups())
        if first and last and 0 <= int(last[2]) - int(first[2]) < _MOST_MERGED_ROWS:
            column = _to_column(first[1])
            last_column = min(_to_column(last[1]), column + _MOST_MERGED_COLUMNS)
            starts.setdefault(int(first[2]), {})[column] = int(last[2]), last_column
    return _Merges(starts)


def _read_hidden_columns(columns: Element) -> set[int]:
    hidden: set[int] = set()
    for column in columns.iterchildren("{*}col"):
        if column.get("hidden") in _ON:
            first, last = (to_number(column.get(name), most=_MOST_COLUMNS) for name in ("min", "max"))
            hidden.update(range(first - 1, last))
    return hidden


def _read_formats(styles: Element) -> list[str]:
    """Return the number format's code of each cell style."""
    codes = dict(BUILT_IN)
    for element in styles.iterfind("{*}numFmts/{*}numFmt"):
        codes[to_number(element.get("numFmtId"))] = element.get("formatCode", "")
    return [codes.get(to_number(style.get("numFmtId")), "") for style in styles.iterfind("{*}cellXfs/{*}xf")]


def _read_text(element: Element) -> str:
    """Return a string's text without the readings that stand above Japanese."""
    text = "".join(text.text or "" for text in element.iter("{*}t") if get_name(text.getparent()) != "rPh")
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def _show_iso_date(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value.removesuffix("Z"))
    except ValueError:
        return value
    return moment.isoformat(" ", "minutes") if moment.time() != datetime.min.time() else moment.date().isoformat()


def _to_column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
