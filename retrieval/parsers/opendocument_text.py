"""ODT and ODP → text with headings, lists, tables and notes, as it reads when all changes are accepted."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from retrieval.parsers.archive import Element, get_attribute, get_name, to_number
from retrieval.parsers.mathml import find_formula
from retrieval.parsers.opendocument import ListCounts, OpenDocument, expand_row, iterate_rows, read_repeats
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.scripts import LEVEL, LOWERED, RAISED, mark_runs
from retrieval.parsers.symbol_fonts import read_symbols
from retrieval.parsers.table_heads import count_heads, widen_names
from retrieval.parsers.text_writer import GatheredBlocks, TextWriter, join_words

__all__ = ["parse_odp", "parse_odt"]

_NO_TEXT = frozenset(
    "tracked-changes annotation annotation-end event-listeners ruby-text hidden-text table-of-content "
    "alphabetical-index illustration-index table-index object-index user-index notes forms variable-decls "
    "sequence-decls image title desc plugin".split()
)
_RUNNING = frozenset(("header", "footer", "date-time", "page-number", "page"))
_CHARACTERS = {"tab": "\t", "line-break": "\n"}
_SHAPES = frozenset(
    "frame custom-shape rect ellipse circle polygon regular-polygon polyline path g a caption connector line".split()
)
_DEEPEST = 10
_LONGEST_CELL = 2_000
_MOST_REPEATED = 1_000


def parse_odt(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the body of a text; headers, footers, comments, deleted and hidden text are left out.

    Raises:
        DocumentUnreadable: Broken, encrypted, over a limit, or without visible text.
    """
    document = OpenDocument(content, limits, "text")
    reader = _Reader(document)
    reader.walk(document.body)
    writer = reader.finish()
    return writer.finish(content.media_type, reader.title, document.title, outlined=True)


def parse_odp(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take each slide's title, shapes, tables and notes; hidden slides are left out.

    Raises:
        DocumentUnreadable: Broken, encrypted, over a limit, or without visible text.
    """
    document = OpenDocument(content, limits, "presentation")
    reader = _Reader(document)
    hidden = 0
    for number, page in enumerate((page for page in document.body if get_name(page) == "page"), 1):
        reader.writer.begin_page()
        if document.styles.is_hidden("drawing-page", get_attribute(page, "style-name")):
            hidden += 1
        else:
            reader.add_slide(page, number)
    if hidden:
        reader.writer.warnings.append(f"{hidden} hidden slides were left out.")
    writer = reader.finish()
    return writer.finish(content.media_type, document.title, writer.headings[0].title if writer.headings else "")


class _Reader:
    """A document while it is read. Paragraphs of a list or of code are collected until another kind comes."""

    def __init__(self, document: OpenDocument) -> None:
        self.writer = TextWriter()
        self.title = ""
        self._document = document
        self._styles = document.styles
        self._counts = ListCounts()
        self._outline: dict[int, int] = {}
        self._gathered = GatheredBlocks(self.writer)
        self._attached: list[Element] = []
        self._hidden = 0
        self._ground = self._styles.page_ground  # of the page, the section, or the cell; "" of a slide and a frame

    def finish(self) -> TextWriter:
        self._gathered.flush()
        if self._hidden:
            self.writer.warnings.append(f"{self._hidden} characters of hidden text were left out.")
        return self.writer

    def add_slide(self, page: Element, number: int) -> None:
        self._ground = ""
        shapes = [shape for shape in page if get_attribute(shape, "class") not in _RUNNING]
        titles = [shape for shape in shapes if get_attribute(shape, "class") == "title"]
        title = " ".join(self._read(paragraph) for shape in titles for paragraph in shape.iter("{*}p"))
        self.writer.add_heading(join_words(title) or f"Slide {number}", 1)
        for shape in shapes:
            if shape not in titles and get_name(shape) in _SHAPES:
                self.walk([shape])
                self._gathered.flush()
        for notes in page.iterchildren("{*}notes"):
            frames = [frame for frame in notes if get_attribute(frame, "class") not in _RUNNING]
            text = "\n".join(self._read(paragraph) for frame in frames for paragraph in frame.iter("{*}p"))
            self.writer.add_paragraph(f"Notes: {text}" if text.strip() else "")

    def walk(self, container: Iterator[Element] | Element | list[Element]) -> None:
        for element in container:
            name = get_name(element)
            if name in _NO_TEXT or not name:
                continue
            if name == "p":
                self._add_paragraph(element)
            elif name == "h":
                self._add_heading(element)
            elif name == "list":
                self._gathered.flush_code()
                self._add_list(element, "", 1)
            elif name == "table":
                self._add_table(element)
            elif name == "object":
                self._add_object(element)
            elif not self._is_hidden(element, name):
                with self._on(element, "section"):  # as indexes are, too
                    self._ground = "" if name in _SHAPES else self._ground
                    self.walk(element)

    @contextmanager
    def _on(self, element: Element, family: str) -> Generator[None]:
        """Read what stands on an element, which may put a colour behind it."""
        outside = self._ground
        ground = self._styles.find_ground(family, get_attribute(element, "style-name"))
        self._ground = outside if ground is None else ground
        yield
        self._ground = outside

    def _add_object(self, element: Element) -> None:
        """Add a formula, or a chart's title and its values, or the tables of a spreadsheet."""
        root = self._document.read_object(element)
        if root is None:
            return
        self.writer.add_paragraph(find_formula(root))
        for title in root.iterfind(".//{*}chart/{*}title"):
            self.writer.add_paragraph(" ".join(self._read(paragraph) for paragraph in title.iter("{*}p")))
        for table in root.iter("{*}table"):
            self._add_table(table)

    def _find_formula(self, frame: Element) -> str:
        embedded = frame.find("{*}object") if get_name(frame) == "frame" else None
        root = self._document.read_object(embedded) if embedded is not None else None
        return find_formula(root) if root is not None else ""

    def _is_hidden(self, element: Element, name: str) -> bool:
        if name != "section":
            return False
        hidden = self._styles.is_hidden("section", get_attribute(element, "style-name"))
        if hidden or get_attribute(element, "display", "true") == "none":
            self._hidden += sum(len(text) for text in element.itertext())
            return True
        return False

    def _add_paragraph(self, paragraph: Element) -> None:
        style = get_attribute(paragraph, "style-name")
        text = self._read(paragraph)
        self._gathered.flush_items()
        if self._styles.is_code(style):
            self._gathered.code.append(text)
        else:
            self._gathered.flush_code()
            if self._styles.is_title(style) and text.strip():
                self.title = self.title or text
                self.writer.add_heading(text, 1)
            else:
                self.writer.add_paragraph(text)
        self._add_attached()

    def _add_list(self, element: Element, style: str, level: int, counts: dict[int, int] | None = None) -> None:
        style = get_attribute(element, "style-name") or style
        if counts is None:
            counts = self._counts.begin(element, style)
        for item in element:
            if get_name(item) not in ("list-item", "list-header"):
                continue
            self._add_item(item, style, level, counts)
            if self._attached:
                self._gathered.flush()
                self._add_attached()
        if level == 1:
            self._gathered.flush_items()

    def _add_item(self, item: Element, style: str, level: int, counts: dict[int, int]) -> None:
        label = ""
        # One that has only a list in it is there for that list's depth, and counts nothing.
        if get_name(item) == "list-item" and any(get_name(child) in ("p", "h") for child in item):
            start = to_number(get_attribute(item, "start-value"), counts.get(level, self._start(style, level)) + 1)
            self._counts.count(counts, level, start)
            label = self._styles.make_label(style, level, counts)
        for child in item:
            name = get_name(child)
            if name == "list":
                self._add_list(child, style, level + 1, counts)
            elif name == "p":
                text = join_words(self._read(child))
                self._gathered.items.append(f"{'  ' * (level - 1)}{label} {text}".rstrip() if text else "")
                label = " " * len(label)
            elif name == "h":
                self._add_heading(child, label.strip("-"))
            else:
                self.walk([child])

    def _start(self, style: str, level: int) -> int:
        return self._styles.get_start(style, level) - 1

    def _add_heading(self, element: Element, label: str = "") -> None:
        self._gathered.flush()
        level = to_number(get_attribute(element, "outline-level"), 1, most=_DEEPEST) or 1
        text = self._read(element)
        if not label and text.strip() and get_attribute(element, "is-list-header") != "true":
            start = to_number(
                get_attribute(element, "start-value"), self._outline.get(level, self._start("", level)) + 1
            )
            self._counts.count(self._outline, level, start)
            label = self._styles.make_label("", level, self._outline)
        self.writer.add_heading(f"{label} {text}" if label else text, level)
        self._add_attached()

    def _add_table(self, table: Element) -> None:
        with self._on(table, "table"):
            if _has_styles_elsewhere(table):
                self._ground = ""
            self._add_rows(list(iterate_rows(table)))

    def _add_rows(self, rows: list[tuple[Element, bool]]) -> None:
        self._gathered.flush()
        cells = [[cell for cell in row if get_name(cell) == "table-cell"] for row, _ in rows]
        if max(map(len, cells), default=0) < 2 or any(_lays_out(cell) for row in cells for cell in row):
            for row, _ in rows:
                self._walk_cells(row)
            return
        spans: dict[int, tuple[int, str]] = {}
        lines: list[list[str]] = []
        for row, _ in rows:
            with self._on(row, "table-row"):
                names = ("table-cell", "covered-table-cell")
                texts = [self._read_cell(cell) for cell in row if get_name(cell) in names]
            line = expand_row(row, texts, spans)
            repeats = min(read_repeats(row, "number-rows-repeated"), _MOST_REPEATED)
            lines += [[line.get(column, "") for column in range(max(line, default=-1) + 1)]] * repeats
        width = max(map(len, lines), default=0)
        lines = [line + [""] * (width - len(line)) for line in lines]
        heads = max(sum(header for _, header in rows), count_heads(lines), 1)
        self.writer.add_table(widen_names(lines, heads), heads)
        self._add_attached()

    def _walk_cells(self, row: Element) -> None:
        """Add what is in the cells of a table that only lays out a page."""
        with self._on(row, "table-row"):
            for cell in (cell for cell in row if get_name(cell) == "table-cell"):
                with self._on(cell, "table-cell"):
                    self.walk(cell)
                    self._gathered.flush()

    def _read_cell(self, cell: Element) -> str:
        with self._on(cell, "table-cell"):
            return " ".join(self._read(paragraph) for paragraph in cell.iter("{*}p", "{*}h"))

    def _read(self, element: Element, around: "_Look | None" = None) -> str:
        """Return the text of a paragraph, or of what stands in one; the look is that of the text around."""
        look = self._find_look(element, around)
        parts = [self._keep(element.text, look)]
        for child in element:
            name = get_name(child)
            if name == "s":
                parts.append(" " * min(read_repeats(child, "c"), 100))
            elif name in _CHARACTERS:
                parts.append(_CHARACTERS[name])
            elif name == "note":
                parts.append(f" (note {1 + sum(get_name(one) == 'note' for one in self._attached)})")
                self._attached.append(child)
            elif name in _SHAPES and name != "a":
                if formula := self._find_formula(child):
                    parts.append(formula)
                else:
                    self._attached.append(child)
            elif name == "span" and self._styles.is_hidden("text", get_attribute(child, "style-name")):
                self._hidden += sum(len(text) for text in child.itertext())
            elif name not in _NO_TEXT and name:
                text = self._read(child, look)
                parts.append(self._mark(child, text) if name == "span" else text)
            parts.append(self._keep(child.tail, look))
        return mark_runs(parts)

    def _keep(self, text: str | None, look: "_Look") -> str:
        """Return a text that is seen; one that isn't is counted."""
        self._hidden += len(text or "") if look.is_unseen else 0
        return "" if look.is_unseen else text or ""

    def _find_look(self, element: Element, around: "_Look | None") -> "_Look":
        style, name = get_attribute(element, "style-name"), get_name(element)
        family = "text"
        if around is None or name in ("p", "h"):
            family = "paragraph"
            around = _Look(self._ground, is_hidden=self._styles.is_hidden(family, style))
        elif name not in ("span", "a"):
            return around
        return around.change(self._styles.find_color(family, style), self._styles.find_ground(family, style))

    def _mark(self, span: Element, text: str) -> str:
        text = read_symbols(text, self._styles.find_font(get_attribute(span, "style-name")))
        position = self._styles.find_position(get_attribute(span, "style-name"))
        if not position or position.startswith("0%"):
            return text
        return f"{LOWERED if position.startswith(('sub', '-')) else RAISED}{text}{LEVEL}"

    def _add_attached(self) -> None:
        """Add the notes and the text boxes of a paragraph after it."""
        attached, self._attached = self._attached, []
        if attached:
            self._gathered.flush()
        number = 0
        outside = self._ground
        for element in attached:
            if get_name(element) == "note":
                number += 1
                self._ground = self._styles.page_ground
                text = " ".join(self._read(paragraph).strip() for paragraph in element.iterfind("{*}note-body/{*}p"))
                self.writer.add_paragraph(f"Note {number}: {text}")
            else:
                self._ground = ""
                self.walk([element])
                self._gathered.flush()
            self._ground = outside


@dataclass(frozen=True, slots=True)
class _Look:
    """The colour behind a text and its own, by which it is seen or not; "" where one can't be told."""

    ground: str
    color: str = ""
    is_hidden: bool = False

    @property
    def is_unseen(self) -> bool:
        return self.is_hidden or (self.color == self.ground != "")

    def change(self, color: str | None, ground: str | None) -> "_Look":
        """Return the look of text in it with a style that may give both."""
        return _Look(self.ground if ground is None else ground, self.color if color is None else color, self.is_hidden)


def _has_styles_elsewhere(table: Element) -> bool:
    """Tell whether cells of a table may have styles that they don't name."""
    if get_attribute(table, "template-name"):
        return True
    parts = table.iter("{*}table-column", "{*}table-row")
    return any(get_attribute(part, "default-cell-style-name") for part in parts)


def _lays_out(cell: Element) -> bool:
    """Tell whether a table with this cell only lays out a page: another table in it, or a long text."""
    if cell.find(".//{*}table") is not None:
        return True
    return sum(len(text) for text in cell.itertext()) > _LONGEST_CELL
