"""HTML → text with headings, lists and tables, without the parts that a browser wouldn't show."""

import re
from html import escape
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.document_title import find_top_heading, pick_title
from retrieval.parsers.html_disclosures import open_disclosures
from retrieval.parsers.html_landmarks import Landmarks
from retrieval.parsers.html_lists import LISTS, ListMarks
from retrieval.parsers.html_roles import find_written_title, name_by_role
from retrieval.parsers.html_scripts import find_mark, find_mark_behind
from retrieval.parsers.html_styles import hide_by_rules
from retrieval.parsers.html_tables import CELLS, Table, is_of_data, is_short
from retrieval.parsers.html_tabs import open_tab_panels
from retrieval.parsers.html_visibility import HEADINGS, count_hidden, is_hidden, is_permalink
from retrieval.parsers.parsed_document import Block, FileContent, Heading, ParsedDocument, ParseLimits
from retrieval.parsers.scripts import write_scripts
from retrieval.parsers.text import clean, describe_comments

__all__ = ["parse_html"]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure "
    "footer form header hr html legend li main ol p pre section summary table ul".split()
)
_LINES = frozenset(("tr", "li", "dt", "dd", "br", "button", "text"))
_OF_TABLES = CELLS | {"table", "tr"}
_LONGEST_HEADING = 300  # characters; one that is never closed has the rest of a page in it
_SPACE = re.compile(r"[ \t\r\n\f\xa0]{2,}|[ \t\r\n\f]")
"""A blank that no line breaks at stays where it stands alone, as in `12 euros`; programs indent with many of them."""
_WIDE = "\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff"
_WRAPPED = re.compile(rf"(?<=[{_WIDE}])[ \t]*\n[ \t\r\n\f]*(?=[{_WIDE}])")
"""An end of a line in Chinese or Japanese, which have no blanks between words: nothing was there before it."""
_TOO_DEEP = "ERR_RESOURCE_LIMIT"
_REFERENCES = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
"""Numeric references such as `&#146;` are to Windows-1252, as browsers read them; the source has no such characters."""


def parse_html(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Take the visible text of a page; navigation, forms, scripts and hidden elements are left out.

    Raises:
        DocumentUnreadable: Nothing visible is in it, or its elements are too deep in each other.
    """
    # libxml2 wants bytes: a decoded text may still declare the encoding that it had.
    # `huge_tree` lets elements be 2,048 deep in each other: 256 are few where tags are never closed, or mails quoted.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=False, remove_pis=True, no_network=True, huge_tree=True)
    root = etree.fromstring(_open_sections(clean(content.text)).encode(), parser)
    if any(error.type_name == _TOO_DEEP for error in parser.error_log):  # what follows would be lost in silence
        raise DocumentUnreadable(
            "invalid_file",
            "The page has more than 2,048 elements within each other, as where tags are never closed. Save it as a "
            "browser shows it.",
        )
    page = _Page()
    comments: list[str] = []
    if root is not None:
        comments = _take_comments(root)
        hide_by_rules(root)
        name_by_role(root)
        open_tab_panels(root)
        open_disclosures(root)
        landmarks = Landmarks(root)
        for part in landmarks.parts:
            _walk(part, page, landmarks)
            page.end_block()
    if not (body := page.finish()).strip():
        fault = (
            "drawing has no text" if content.media_type.startswith("image/") else "page shows no text without scripts"
        )
        raise DocumentUnreadable("empty_file", f"The {fault}. Save it with its text.")
    place = "body/svg/title" if content.media_type.startswith("image/") else ".//head/title"
    titles = [root.findtext(place) or "", find_written_title(root)] if root is not None else []
    blocks = sorted(page.blocks, key=lambda block: (block.start, -block.end))
    warnings = [f"{page.hidden} characters of hidden text were left out."] if page.hidden else []
    if comments_warning := describe_comments(comments):
        warnings.append(comments_warning)
    title = pick_title(*map(_make_line, titles), find_top_heading(page.headings, body))
    return ParsedDocument(content.media_type, title, body, page.headings, warnings=warnings, blocks=blocks)


def _open_sections(text: str) -> str:
    """Write the `<![CDATA[…]]>` of XHTML and of wikis' formats as text: the parser takes them for comments."""
    before, *sections = text.split("<![CDATA[")
    parts = [before]
    for section in sections:
        inside, end, behind = section.partition("]]>")
        parts += [escape(inside, quote=False), behind] if end else ["<![CDATA[", section]
    return "".join(parts)


def _take_comments(root: Any) -> list[str]:
    """Take the comments out of a page, and return what they say."""
    around = [*root.itersiblings(etree.Comment, preceding=True), *root.itersiblings(etree.Comment)]
    comments = [comment.text or "" for comment in (*root.iter(etree.Comment), *around)]
    etree.strip_tags(root, etree.Comment)
    return comments


class _Page:
    """The text of a page as it grows: runs of inline text, ended by blocks.

    Attributes:
        table: The table of data whose cells are being read: blocks and lines end no line then, but are words apart.
        nested: Tables in a cell of it, which are inline text.
        in_heading: The same is true of a heading.
        lists: The open lists.
        mark: Of a list's item, before the first of its text.
        hidden: Characters that were left out because a style or an attribute hides them.
    """

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self.blocks: list[Block] = []
        self.hidden = self.nested = 0
        self.lists = ListMarks()
        self.mark = ""
        self._block = 0  # Where the table or the outermost list began.
        self.table: Table | None = None
        self.in_heading = False
        self._parts: list[str] = []
        self._length = 0
        self._line = ""
        self._gap = ""  # Line ends owed before the next text.

    def add_inline(self, text: str) -> None:
        self._line += _WRAPPED.sub("", text)

    def add_preformatted(self, text: str) -> None:
        if self.table is not None or self.in_heading:
            self._line += f" {text} "
            return
        self.end_block()
        if lines := text.strip("\n"):
            if number := self._take_mark().strip().removeprefix("-"):
                self._write(number)
                self._gap = "\n"
            start = self._length + len(self._gap)
            self._write(lines)
            self.blocks.append(Block(start, self._length, "code", start))
            self._gap = "\n\n"

    def begin_list(self, element: Any) -> None:
        self.lists.begin(element)
        if len(self.lists) == 1:
            self._block = self._length + len(self._gap)

    def end_list(self) -> None:
        self.lists.end()
        if not self.lists and self.table is None and self._length > self._block:
            self.blocks.append(Block(self._block, self._length, "list", self._block))

    def begin_item(self, element: Any) -> None:
        mark = self.lists.make(element)
        if self.table is not None or self.in_heading:
            self._line += f" {mark.lstrip()}"
        else:
            self.mark = mark

    def _take_mark(self) -> str:
        mark, self.mark = self.mark, ""
        return mark

    def end_table(self) -> None:
        """End a table of data."""
        self.end_row()
        self.add_stray()
        if self.table is not None and self.table.rows:
            self.blocks.append(Block(self.table.start, self._length, "table", self.table.find_head_end()))
        self.table = None
        self.end_block()

    def end_cell(self, element: Any) -> None:
        if self.table is not None:
            self.table.add_cell(self.take_line(), element)

    def end_row(self) -> None:
        if self.table is not None and (row := self.table.end_row()):
            start = self._length + len(self._gap)
            self._write(row)
            self.table.keep_place(start, self._length + 1)
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
            self._write(f"{self._take_mark()}{line}")
            self._gap = self._gap or "\n"

    def end_block(self) -> None:
        self.end_line()
        if self._length and self.table is None and not self.in_heading:
            self._gap = "\n\n"

    def add_heading(self, level: int) -> None:
        if title := self.take_line():
            number = self._take_mark().strip().removeprefix("-")
            title = f"{number} {title}" if number else title
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


def _walk(root: Any, page: _Page, landmarks: Landmarks) -> None:
    """Walk without recursion: pages nest deeper than Python's stack."""
    skipped: Any = None  # Hidden, or read as a whole.
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start" and skipped is None:
            is_around = landmarks.is_footer(element) or landmarks.is_ending(element)
            if is_hidden(element) or is_around or is_permalink(element, in_heading=page.in_heading):
                skipped = element
                page.hidden += count_hidden(element)
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
            if skipped is None and element is not root:
                page.add_inline(element.tail or "")


def _read_preformatted(root: Any) -> str:
    """Return the text of a `pre` as it is written, without its hidden elements."""
    parts: list[str] = []
    hidden: Any = None
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start" and hidden is None:
            if is_hidden(element):
                hidden = element
            else:
                parts += ["\n" if element.tag == "br" else find_mark(element), element.text or ""]
        elif event == "end":
            if element is hidden:
                hidden = None
            elif hidden is None:
                parts.append(find_mark_behind(element))
            if hidden is None and element is not root:
                parts.append(element.tail or "")
    return _clean_decoded("".join(parts))


def _make_line(text: str) -> str:
    return _SPACE.sub(" ", _clean_decoded(text)).strip()


def _clean_decoded(text: str) -> str:
    """Clean text after the parser: what the source writes as a reference, such as `&shy;`, is a character only then."""
    return clean(write_scripts(text).translate(_REFERENCES))


def _find_words_before(element: Any, page: _Page) -> str:
    """Return what stands before an element's own text: what a picture in a cell shows, a blank in a drawing's text."""
    if element.tag == "img" and page.table is not None:
        return f" {element.get('alt', '')} "
    is_placed = element.tag == "tspan" and (element.get("x") or element.get("y"))  # the next line, or column
    return " " if is_placed else ""


def _enter(element: Any, page: _Page) -> None:
    tag = element.tag
    if tag in HEADINGS:
        page.end_block()
        page.in_heading = page.in_heading or (page.table is None and is_short(element, _LONGEST_HEADING))
    elif tag == "table":
        _enter_table(element, page)
    elif tag in _LINES or (tag in LISTS and page.lists):
        page.end_line()
    elif tag in _BLOCKS or (tag in CELLS and (page.table is None or page.nested)):
        page.end_block()
    else:
        page.add_inline(_find_words_before(element, page))
    if page.table is not None and not page.nested and tag in _OF_TABLES:
        page.add_stray()
        if tag == "tr":
            page.end_row()
    if tag in LISTS:
        page.begin_list(element)
    if tag == "li":
        page.begin_item(element)
    page.add_inline(find_mark(element))
    page.add_inline(element.text or "")


def _enter_table(element: Any, page: _Page) -> None:
    page.end_block()
    if page.table is not None:
        page.nested += 1
    elif not page.in_heading and is_of_data(element):
        page.table = Table()


def _leave(element: Any, page: _Page) -> None:
    tag = element.tag
    page.add_inline(find_mark_behind(element))
    if tag in HEADINGS and page.in_heading:
        page.in_heading = False
        page.add_heading(HEADINGS[tag])
    elif tag == "table" and page.nested:
        page.nested -= 1
        page.end_line()
    elif page.table is not None and not page.nested and tag in _OF_TABLES:
        _leave_table(element, page)
    elif tag in _LINES or (tag in LISTS and len(page.lists) > 1):
        page.end_line()
    elif tag in _BLOCKS or tag in CELLS or tag in HEADINGS:
        page.end_block()
    if tag in LISTS:
        page.end_list()
    elif tag == "li":
        page.mark = ""


def _leave_table(element: Any, page: _Page) -> None:
    """Leave a table of data, or a row or a cell of one."""
    if element.tag == "tr":
        page.end_row()
    elif element.tag == "table":
        page.end_table()
    else:
        page.end_cell(element)
