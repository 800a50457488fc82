"""HTML → text with headings, lists and tables, without the parts that a browser wouldn't show."""

import re
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.formats import ACCEPTED
from retrieval.parsers.parsed import Block, FileContent, Heading, Parsed, ParseLimits
from retrieval.parsers.text import clean

__all__ = ["parse_html"]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

_HIDDEN_TAGS = frozenset(
    "script style template noscript svg math canvas iframe object embed audio video nav button select input "
    "textarea datalist dialog head".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form "
    "header hr html legend li main ol p pre section summary table ul".split()
)
_LINES = frozenset(("tr", "li", "dt", "dd", "br"))
_CELLS = frozenset(("td", "th"))
_LISTS = frozenset(("ol", "ul"))
_LONGEST_HEADING = 300  # characters; one that is never closed has the rest of a page in it
_LONGEST_CELL = 2_000
_WIDEST_SPAN = 100
_PERMALINKS = re.compile(r"\b(?:headerlink|header-?anchor|heading-?anchor|hash-link|permalink|anchorjs-link)\b", re.I)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0*\.?0*(?:;|$)|font-size:0(?:px|em|rem|pt|%)?(?:;|$)"
)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_REFERENCES = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
"""Numeric references such as `&#146;` are to Windows-1252, as browsers read them; the source has no such characters."""


def parse_html(content: FileContent, _limits: ParseLimits) -> Parsed:
    """Take the visible text of a page; navigation, forms, scripts and hidden elements are left out.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    # libxml2 wants bytes: a decoded text may still declare the encoding that it had.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    root = etree.fromstring(clean(content.text).encode(), parser)
    page = _Page()
    if root is not None:
        _walk(root, page)
    if not (body := page.finish()).strip():
        raise DocumentUnreadable(
            "empty_file", f"The page shows no text without scripts. Save it with its text. {ACCEPTED}"
        )
    title = _make_line(root.findtext(".//title") or "") if root is not None else ""
    first = next((heading.title for heading in page.headings if heading.level == 1), "")
    blocks = sorted(page.blocks, key=lambda block: (block.start, -block.end))
    warnings = [f"{page.hidden} characters of hidden text were left out."] if page.hidden else []
    return Parsed(content.media_type, first or title, body, page.headings, warnings=warnings, blocks=blocks)


class _Page:
    """The text of a page as it grows: runs of inline text, ended by blocks.

    Attributes:
        table: The table of data whose cells are being read: blocks and lines end no line then, but are words apart.
        in_heading: The same is true of a heading.
        lists: Nesting of lists.
        hidden: Characters that were left out because a style or an attribute hides them.
    """

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self.blocks: list[Block] = []
        self.lists = self.hidden = 0
        self._block = 0  # Where the table or the outermost list began.
        self.table: _Table | None = None
        self.in_heading = False
        self._parts: list[str] = []
        self._length = 0
        self._line = ""
        self._gap = ""  # Line ends owed before the next text.

    def add_inline(self, text: str) -> None:
        self._line += text

    def add_preformatted(self, text: str) -> None:
        if self.table is not None or self.in_heading:
            self._line += f" {text} "
            return
        self.end_block()
        if lines := text.strip("\n"):
            start = self._length + len(self._gap)
            self._write(lines)
            self.blocks.append(Block(start, self._length, "code", start))
            self._gap = "\n\n"

    def begin_list(self) -> None:
        self.lists += 1
        if self.lists == 1:
            self._block = self._length + len(self._gap)

    def end_list(self) -> None:
        self.lists -= 1
        if self.lists == 0 and self._length > self._block:
            self.blocks.append(Block(self._block, self._length, "list", self._block))

    def end_table(self) -> None:
        """End a table of data; a first row of header cells is its head."""
        self.end_row()
        self.add_stray()
        if self.table is not None and self.table.rows:
            start, head = self.table.start, self.table.head
            self.blocks.append(Block(start, self._length, "table", head or start))
        self.table = None
        self.end_block()

    def end_cell(self, element: Any) -> None:
        if self.table is not None:
            self.table.add_cell(self.take_line(), element)

    def end_row(self) -> None:
        if self.table is not None and (row := self.table.end_row()):
            if self.table.rows == 1:
                self.table.start = self._length + len(self._gap)
            self._write(row)
            if self.table.rows == 1 and self.table.of_headers:
                self.table.head = self._length + 1
            self._gap = "\n"

    def add_stray(self) -> None:
        """Write what stands in a table of data outside of its cells: its caption, and what a browser puts before it."""
        if line := self.take_line():
            self._write(line)
            self._gap = "\n"

    def end_line(self) -> None:
        if self.table is not None or self.in_heading:
            self._line += " "
        elif line := self.take_line():
            self._write(line)
            self._gap = self._gap or "\n"

    def end_block(self) -> None:
        self.end_line()
        if self._length and self.table is None and not self.in_heading:
            self._gap = "\n\n"

    def add_heading(self, level: int) -> None:
        if title := self.take_line():
            self.headings.append(Heading(self._length + len(self._gap), level, title))
            self._write(f"{'#' * level} {title}")
            self._gap = "\n\n"

    def take_line(self) -> str:
        line, self._line = _make_line(self._line), ""
        return line

    def finish(self) -> str:
        self.end_block()
        return "".join(self._parts)

    def _write(self, text: str) -> None:
        self._parts += [self._gap, text]
        self._length += len(self._gap) + len(text)
        self._gap = ""


class _Table:
    """A table of data, row by row: every cell keeps its column, also where it is empty or spans others.

    Attributes:
        rows: Those that aren't empty, so far.
        start: Offset of the first of them, and `head` that after it, if all its cells are headers; else 0.
        of_headers: All cells of the row that ended last are headers.
    """

    def __init__(self) -> None:
        self.rows = self.start = self.head = 0
        self.of_headers = True
        self._row: list[str] = []
        self._headers = True
        self._spans: dict[int, tuple[int, str]] = {}  # Column → rows below that its cell reaches into, and its text.

    def add_cell(self, text: str, element: Any) -> None:
        self._add_spanned()
        self._headers = self._headers and element.tag == "th"
        rows, columns = (_read_span(element, name) for name in ("rowspan", "colspan"))
        for number in range(columns):
            if rows > 1:
                self._spans[len(self._row)] = (rows - 1, text if number == 0 else "")
            self._row.append(text.replace("|", "\\|") if number == 0 else "")

    def end_row(self) -> str:
        """Return the row as a line, `Norvik | 12 |`, or "" where all its cells are empty."""
        if self._row:
            self._add_spanned()
        row, self._row = self._row, []
        self.of_headers, self._headers = self._headers, True
        self.rows += any(map(bool, row))
        return " | ".join(row).strip() if any(row) else ""

    def _add_spanned(self) -> None:
        while (span := self._spans.pop(len(self._row), None)) is not None:
            rows, text = span
            if rows > 1:
                self._spans[len(self._row)] = (rows - 1, text)
            self._row.append(text.replace("|", "\\|"))


def _read_span(element: Any, name: str) -> int:
    value = element.get(name, "").strip()
    return min(max(int(value), 1), _WIDEST_SPAN) if value.isdecimal() and len(value) < 9 else 1


def _walk(root: Any, page: _Page) -> None:
    """Walk without recursion: pages nest deeper than Python's stack."""
    skipped: Any = None  # Hidden, or read as a whole.
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start" and skipped is None:
            if _is_hidden(element) or (page.in_heading and _is_permalink(element)):
                skipped = element
                page.hidden += _count_hidden(element)
            elif element.tag == "pre":
                skipped = element
                page.add_preformatted(_read_preformatted(element))
            else:
                _enter(element, page)
        elif event == "end":
            if skipped is None:
                _leave(element, page)
            elif element is skipped:
                skipped = None
            if skipped is None:
                page.add_inline(element.tail or "")


def _read_preformatted(root: Any) -> str:
    """Return the text of a `pre` as it is written, without its hidden elements."""
    parts: list[str] = []
    hidden: Any = None
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start" and hidden is None:
            if _is_hidden(element):
                hidden = element
            else:
                parts += ["\n" if element.tag == "br" else "", element.text or ""]
        elif event == "end":
            if element is hidden:
                hidden = None
            if hidden is None and element is not root:
                parts.append(element.tail or "")
    return _clean_decoded("".join(parts))


def _make_line(text: str) -> str:
    return _SPACE.sub(" ", _clean_decoded(text)).strip()


def _clean_decoded(text: str) -> str:
    """Clean text after the parser: what the source writes as a reference, such as `&shy;`, is a character only then."""
    return clean(text.translate(_REFERENCES))


def _enter(element: Any, page: _Page) -> None:
    tag = element.tag
    if tag in _HEADINGS:
        page.end_block()
        page.in_heading = page.in_heading or (page.table is None and _is_short(element, _LONGEST_HEADING))
    elif tag == "table":
        page.end_block()
        if page.table is None and not page.in_heading and _is_of_data(element):
            page.table = _Table()
    elif tag in _LINES:
        page.end_line()
    elif tag in _BLOCKS or (tag in _CELLS and page.table is None):
        page.end_block()
    if page.table is not None and (tag in _CELLS or tag == "tr"):
        page.add_stray()
        if tag == "tr":
            page.end_row()
    if tag in _LISTS and page.table is None:
        page.begin_list()
    if tag == "li":
        page.add_inline("- ")
    page.add_inline(element.text or "")


def _leave(element: Any, page: _Page) -> None:
    tag = element.tag
    if tag in _HEADINGS and page.in_heading:
        page.in_heading = False
        page.add_heading(_HEADINGS[tag])
    elif tag in _CELLS and page.table is not None:
        page.end_cell(element)
    elif tag == "tr" and page.table is not None:
        page.end_row()
    elif tag == "table" and page.table is not None:
        page.end_table()
    elif tag in _LINES:
        page.end_line()
    elif tag in _BLOCKS or tag in _CELLS or tag in _HEADINGS:
        page.end_block()
        if tag in _LISTS and page.table is None and page.lists:
            page.end_list()


def _is_of_data(table: Any) -> bool:
    """Tell whether a table has data in rows and columns, and doesn't only lay out a page.

    A layout has other tables, headings or long texts in its cells, or only one column.
    """
    columns = 0
    for element in table.iterdescendants():
        if element.tag == "table" or (element.tag in _HEADINGS and _find_cell(element).tag != "th"):
            return False
        if element.tag in _CELLS:
            if not _is_short(element, _LONGEST_CELL):
                return False
            columns = max(columns, 1 + any(sibling.tag in _CELLS for sibling in element.itersiblings()))
    return columns > 1


def _find_cell(element: Any) -> Any:
    while element.tag not in _CELLS and element.tag != "table":
        element = element.getparent()
    return element


def _is_short(element: Any, longest: int) -> bool:
    length = 0
    for text in element.itertext():
        length += len(text)
        if length > longest:
            return False
    return True


def _is_permalink(element: Any) -> bool:
    """Tell whether a link in a heading is only a mark that leads to the heading itself, such as `¶`."""
    if element.tag != "a":
        return False
    return _PERMALINKS.search(element.get("class", "")) is not None or (
        element.get("href", "").startswith("#") and not any(map(str.isalnum, "".join(element.itertext())))
    )


def _count_hidden(element: Any) -> int:
    """Count the characters in an element that is hidden by more than what it is."""
    if not isinstance(element.tag, str) or element.tag in _HIDDEN_TAGS:
        return 0
    if "hidden" not in element.attrib and not _has_hiding_style(element):
        return 0
    return len(_SPACE.sub(" ", "".join(element.itertext())).strip())


def _is_hidden(element: Any) -> bool:
    if not isinstance(element.tag, str) or element.tag in _HIDDEN_TAGS or "hidden" in element.attrib:
        return True
    if element.get("aria-hidden", "").strip().lower() == "true":
        return True
    return _has_hiding_style(element)


def _has_hiding_style(element: Any) -> bool:
    style = element.get("style")
    return style is not None and _HIDDEN_STYLE.search(re.sub(r"\s|!important", "", style.lower())) is not None
