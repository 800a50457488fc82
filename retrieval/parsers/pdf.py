"""PDF → text by page, without running heads, with the headings that larger type shows."""

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

import pypdfium2 as pdfium

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.document_title import find_top_heading, pick_title
from retrieval.parsers.ocr import Recogniser
from retrieval.parsers.parsed_document import Block, FileContent, Heading, ParsedDocument, ParseLimits
from retrieval.parsers.pdf_columns import find_columns
from retrieval.parsers.pdf_file import open_pdf, read_title
from retrieval.parsers.pdf_forms import Entry, count_unread, place_entry, read_entries
from retrieval.parsers.pdf_grids import Rule, arrange_grids
from retrieval.parsers.pdf_heads import split_under_heads
from retrieval.parsers.pdf_hidden import remove_hidden
from retrieval.parsers.pdf_layers import Layers
from retrieval.parsers.pdf_letters import PageLetters, count_units
from retrieval.parsers.pdf_moves import find_late_title, find_low_cells
from retrieval.parsers.pdf_rules import read_rules
from retrieval.parsers.pdf_scan import find_pictures, read_pictures, read_scan
from retrieval.parsers.pdf_tables import Cell, arrange_rows
from retrieval.parsers.pdf_words import read_layer, split_cells
from retrieval.parsers.table_heads import count_heads, has_data
from retrieval.parsers.table_rows import read_row, write_row
from retrieval.parsers.text import clean

__all__ = ["parse_pdf"]

# What stays of a hyphen at a line's end: a word goes on behind it.
_HYPHENATED = re.compile("(?:\ufffe|\x02)[\r\n]*")
_LARGER = 1.1  # times the size of the body's type
_LONGEST_HEADING = 120
_LETTERS = re.compile(r"[^\W\d_]{2}")  # a drop cap or a page number in large type is no heading
_BULLETS = "•◦‣▪●○■–"
_LEADING = 2.5  # times the size of type, from one line of a heading to the next
_DEEPEST = 6
_EDGE = 2  # lines at the top and at the bottom of a page that can be running heads
_LEAST_REPEATS = 3
"""Pages on which a line has to stand, and 40 % of all (left and right pages have their own), to be a running head."""
_NUMBERED = re.compile(
    r"(?P<before>(?:.{0,60}?\D)?)(?P<last>\d{1,5})(?:\s*(?:/|of|von|de|sur|di|из)\s*\d{1,5})?|(?P<first>\d{1,5})(?P<after>\D.{0,60})"
)


@dataclass(frozen=True, slots=True)
class _Line:
    """`start` is its offset in the page's text, `size` that of its first character's type, in points.

    A table's row has its cells in its text, and its table's number; other lines' `cells` are what a wide gap parts.
    """

    start: int
    text: str
    size: float
    cells: tuple[Cell, ...] = ()
    table: int = 0


@dataclass(frozen=True, slots=True)
class _Page:
    """`hidden` characters of it are in neither its text nor its lines; `entries` of forms have no label there, and
    `unread` more of them were too many. One that `is_wide` may be a slide.
    """

    text: str
    lines: list[_Line]
    hidden: int = 0
    entries: tuple[str, ...] = ()
    unread: int = 0
    is_wide: bool = False


_Change = tuple[int, Sequence[_Line]]
"""The number of the last line that is replaced, and the lines in its place."""


def parse_pdf(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the text layer, and what OCR reads of pages that are pictures; larger type makes headings.

    Pages end with a form feed.

    Raises:
        DocumentUnreadable: Encrypted, broken, too many pages, or without text.
    """
    document = open_pdf(content.data)
    recogniser = Recogniser(limits)  # whose time begins with the document's
    warnings: list[str] = []
    pictures: list[int] = []
    try:
        if len(document) > limits.pages:
            raise DocumentUnreadable(
                "invalid_file", f"The PDF has {len(document)} pages; the limit is {limits.pages}. Split it."
            )
        document.init_forms()
        layers = Layers()
        pages = [_read_page(document, number, layers) for number in range(len(document))]
        hidden, unread = sum(page.hidden for page in pages), sum(page.unread for page in pages)
        title = read_title(document)
        silent = [number for number, page in enumerate(pages) if not page.text.strip()]
        if len(silent) == len(pages) and not any(page.entries for page in pages):
            pages = [_Page(text, []) for text in read_scan(document, recogniser)]
        else:
            pictures = find_pictures(document, silent)
            texts, warnings = read_pictures(document, pictures, recogniser)
            pages = [
                replace(page, text=texts[number], lines=[]) if number in texts else page
                for number, page in enumerate(pages)
            ]
    finally:
        document.close()
    pages = _drop_running_heads(pages)
    pages = [replace(page, text="\n".join(filter(None, [page.text, *page.entries]))) for page in pages]
    levels = _rank_sizes(pages)
    headings: list[Heading] = []
    starts = list(accumulate((len(page.text) + 1 for page in pages[:-1]), initial=0))
    for start, page in zip(starts, pages, strict=True):
        titles = {size: level for size, level in levels.items() if size not in _find_own_sizes(page)}
        headings += [
            Heading(start + line.start, titles[line.size], line.text) for line in _join_headings(page.lines, titles)
        ]
    blocks = [block for start, page in zip(starts, pages, strict=True) for block in _find_tables(page, start)]
    text = "\f".join(page.text for page in pages)
    if hidden:
        warnings = [*warnings, f"{hidden} characters of hidden text were left out."]
    if unread:
        warnings = [*warnings, f"{unread} annotations weren't read, since their pages have too many. Split the pages."]
    return ParsedDocument(
        content.media_type,
        pick_title(title, find_top_heading(headings, text)),
        text,
        headings,
        starts,
        warnings,
        blocks,
        lacks_ocr=bool(pictures) and not recogniser.is_installed,
    )


def _find_tables(page: _Page, start: int) -> Iterator[Block]:
    """Find the tables of a page that begins at an offset."""
    for rows, heads in _find_runs(page):
        end = start + rows[-1].start + len(rows[-1].text)
        yield Block(start + rows[0].start, end, "table", start + rows[heads].start)


def _find_runs(page: _Page) -> Iterator[tuple[list[_Line], int]]:
    """Find runs of rows, each with the number of those that name columns, above rows with numbers."""
    for table, run in groupby(page.lines, key=lambda line: line.table):
        if table:
            rows = list(run)
            heads = count_heads(cells := [read_row(line.text) for line in rows])
            yield rows, heads if any(map(has_data, cells[heads:])) else 0


def _drop_running_heads(pages: list[_Page]) -> list[_Page]:
    """Leave out what is printed at the edge of page after page: the same line, and page numbers.

    A repeated line stays where it stands first, since it may be all that names the document; the header of a table
    that goes on stays on each page.
    """
    edges = [_find_edges(page) for page in pages]
    body = _find_body_size([line for page in pages for line in page.lines])
    least = max(_LEAST_REPEATS, len(pages) * 2 // 5)
    counts = Counter(text for lines in edges for text in {line.text for line in lines})
    numbers = Counter(key for number, lines in enumerate(edges) for key in {*_number_keys(number, lines)})
    earlier_heads: set[str] = set()
    trimmed: list[_Page] = []
    for number, (page, lines) in enumerate(zip(pages, edges, strict=True)):
        dropped: list[_Line] = []
        for line in lines:
            repeated = counts[line.text] >= least
            # In larger type `Lesson 3` is a heading of its page.
            numbered = line.size <= body and any(numbers[key] >= least for key in _number_keys(number, [line]))
            if numbered or (repeated and line.text in earlier_heads):
                dropped.append(line)
            elif repeated:
                earlier_heads.add(line.text)
        trimmed.append(_drop_lines(page, dropped))
    return trimmed


def _find_edges(page: _Page) -> list[_Line]:
    """Return the lines at the page's edges that can be running heads."""
    lines = [*page.lines[:_EDGE], *page.lines[max(len(page.lines) - _EDGE, _EDGE) :]]
    heads = [rows[0] for rows, has_head in _find_runs(page) if has_head]
    return [line for line in lines if line not in heads]


def _number_keys(number: int, lines: Sequence[_Line]) -> Iterator[tuple[str, int]]:
    """Give lines with a number at an end that grows as pages do equal keys: the other words, and its lead."""
    for line in lines:
        if match := _NUMBERED.fullmatch(line.text):
            yield f"{match['before']}#{match['after']}", int(match["last"] or match["first"]) - number


def _drop_lines(page: _Page, dropped: Sequence[_Line]) -> _Page:
    if not dropped:
        return page
    parts: list[str] = []
    lines: list[_Line] = []
    at = shift = 0
    for line in page.lines:
        if line in dropped:
            end = line.start + len(line.text)
            end += page.text[end : end + 1] == "\n"
            parts.append(page.text[at : line.start])
            shift += end - line.start
            at = end
        else:
            lines.append(replace(line, start=line.start - shift))
    return replace(page, text="".join(parts) + page.text[at:], lines=lines)


def _read_page(document: pdfium.PdfDocument, number: int, layers: Layers) -> _Page:
    try:
        sheet = document[number]
        hidden = remove_hidden(sheet, layers)
        letters = PageLetters.open(sheet)
        raw = read_layer(letters)
        text = clean(_HYPHENATED.sub("", raw)).replace("\f", "\n").strip("\n")
        entries = [letters.place(entry) for entry in read_entries(document, sheet)]
        page = _write_entries(_Page(text, _find_lines(letters, raw, text)), entries)
        page = _write_grids(_move_cells(_move_title(page)), read_rules(sheet, letters.find_point))
        page = _write_rows(_write_columns(page))
        width, height = sheet.get_size()
        return replace(page, hidden=hidden, unread=count_unread(sheet), is_wide=width > height)
    except (pdfium.PdfiumError, ctypes.ArgumentError) as error:
        raise DocumentUnreadable(
            "invalid_file",
            f"Page {number + 1} of the PDF is broken ({str(error).rstrip('.')}). Export it again from its source.",
        ) from error


def _find_lines(letters: PageLetters, raw: str, text: str) -> list[_Line]:
    """Find the page's lines in its cleaned text."""
    lines: list[_Line] = []
    at = units = 0
    for part in raw.splitlines(keepends=True):
        visible = clean(part).strip()
        start = text.find(visible, at) if visible else -1
        if start >= 0:
            blank = len(part) - len(part.lstrip())
            size = letters.measure_size(units + count_units(part[:blank]))
            lines.append(_Line(start, visible, size, tuple(split_cells(letters, part, units, size))))
            at = start + len(visible)
        units += count_units(part)
    return lines


def _write_entries(page: _Page, entries: Sequence[Entry]) -> _Page:
    """Write what was entered in a form beside the words that it belongs to; what belongs to none is in `entries`."""
    cells, rest = [line.cells for line in page.lines], list[str]()
    changes: dict[int, _Change] = {}
    for entry in entries:
        place = place_entry(cells, entry)
        if place is None:
            rest.append(f"{entry.name}: {entry.text}" if entry.name else entry.text)
            continue
        number, cells[number] = place
        text = " ".join(cell.text for cell in cells[number])
        changes[number] = number, [replace(page.lines[number], text=text, cells=cells[number])]
    return replace(_put_in_place(page, changes), entries=tuple(rest))


def _move_title(page: _Page) -> _Page:
    """Put a title that is drawn last, as programs for slides may do, before what stands below it."""
    place = find_late_title([line.cells for line in page.lines])
    if place is None:
        return page
    first, last = place
    return _put_in_place(page, {0: (last, [*page.lines[first : last + 1], *page.lines[:first]])})


def _move_cells(page: _Page) -> _Page:
    """Put cells that are joined over rows in the row that they stand in."""
    places = find_low_cells([line.cells for line in page.lines])
    return _put_in_place(
        page, {first: (last - 1, [*page.lines[first + 1 : last], page.lines[first]]) for first, last in places}
    )


def _write_grids(page: _Page, rules: Sequence[Rule]) -> _Page:
    """Write the rows of ruled tables, each in a line."""
    changes: dict[int, _Change] = {}
    for number, table in enumerate(arrange_grids([line.cells for line in page.lines], rules), 1):
        rest = [page.lines[number] for number in table.rest]
        size = _find_body_size([line for line in page.lines[table.first : table.last + 1] if line not in rest])
        titles = [_Line(0, title, own) for title, own in table.titles]
        rows = [_Line(0, write_row(row), size, table=number) for row in table.rows if any(row)]
        changes[table.first] = table.last, [*titles, *rows, *rest]
    return _put_in_place(page, changes)


def _write_columns(page: _Page) -> _Page:
    """Write columns of prose one after the other."""
    changes: dict[int, _Change] = {}
    for block in find_columns([line.cells for line in page.lines]):
        cells = [cell for column in block.columns for cell in column]
        changes[block.first] = block.last, [_Line(0, cell.text, cell.size, (cell,)) for cell in cells]
    return _put_in_place(page, changes)


def _write_rows(page: _Page) -> _Page:
    """Write the rows of tables with their columns, each in a line."""
    rows = arrange_rows(split_under_heads([line.cells for line in page.lines]))
    ruled = max((line.table for line in page.lines), default=0)
    changes: dict[int, _Change] = {}
    for row in rows:
        line = replace(page.lines[row.first], text=row.text, table=ruled + row.table)
        changes[row.first] = row.last, [line]
    return _put_in_place(page, changes)


def _put_in_place(page: _Page, changes: Mapping[int, _Change]) -> _Page:
    """Put lines in place of others, by the number of the first of those."""
    if not changes:
        return page
    parts: list[str] = []
    lines: list[_Line] = []
    at = moved = number = 0
    while number < len(page.lines):
        line = page.lines[number]
        end, others = changes.get(number, (number, [line]))
        last = page.lines[end]
        start = line.start + moved
        for other in others:
            lines.append(replace(other, start=start))
            start += len(other.text) + 1
        text = "\n".join(other.text for other in others)
        parts += (page.text[at : line.start], text)
        at = last.start + len(last.text)
        moved += len(text) - (at - line.start)
        number = end + 1
    return replace(page, text="".join(parts) + page.text[at:], lines=lines)


def _rank_sizes(pages: Sequence[_Page]) -> dict[float, int]:
    """Give each size that is larger than the body's a level."""
    body = _find_body_size([line for page in pages for line in page.lines])
    larger = {
        line.size
        for page in pages
        for own in [_find_own_sizes(page)]
        for line in page.lines
        if line.size >= body * _LARGER > 0 and line.size not in own and not line.table and _can_be_title(line)
    }
    return {size: min(level, _DEEPEST) for level, size in enumerate(sorted(larger, reverse=True), 1)}


def _find_own_sizes(page: _Page) -> set[float]:
    """Return the sizes of what a slide says below its title, however large: its points' type, and its tables'."""
    if not page.is_wide:
        return set()
    largest = max((line.size for line in page.lines), default=0.0)
    points = _find_body_size([line for line in page.lines if line.size < largest])
    return {points, *(line.size for line in page.lines if line.table)}


def _find_body_size(lines: Sequence[_Line]) -> float:
    """Return the size of the body's type, which most characters have."""
    characters = Counter[float]()
    for line in lines:
        characters[line.size] += len(line.text)
    return characters.most_common(1)[0][0] if characters else 0.0


def _join_headings(lines: Sequence[_Line], levels: dict[float, int]) -> list[_Line]:
    """Return the lines in larger type, with the lines of one heading joined."""
    headings: list[_Line] = []
    joins = False
    for line in lines:
        if line.table or line.size not in levels:
            joins = False
        elif joins and headings[-1].size == line.size and _goes_on(headings[-1], line):
            text = headings[-1].text  # which is a paragraph by now, if it is so long
            text = f"{text} {line.text}" if len(text) <= _LONGEST_HEADING else text
            headings[-1] = replace(headings[-1], text=text, cells=line.cells)
        else:
            headings.append(line)
            joins = True
    return [line for line in headings if _can_be_title(line)]


def _goes_on(title: _Line, line: _Line) -> bool:
    """Tell whether a line is close below the last one of a title."""
    if not (title.cells and line.cells):
        return True
    return title.cells[-1].low - line.cells[0].base <= _LEADING * line.size


def _can_be_title(line: _Line) -> bool:
    return (
        line.text[0] not in _BULLETS and len(line.text) <= _LONGEST_HEADING and _LETTERS.search(line.text) is not None
    )
