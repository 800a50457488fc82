"""HTML → text with headings, lists and tables, without the parts that a browser wouldn't show."""

import re
from typing import Any

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.formats import ACCEPTED
from retrieval.parsers.parsed import FileContent, Heading, Parsed, ParseLimits
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
    "header hr html legend li main ol p pre section summary table tbody tfoot thead tr ul".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0*\.?0*(?:;|$)|font-size:0(?:px|em|rem|pt|%)?(?:;|$)"
)
_SPACE = re.compile(r"[ \t\r\n\f]+")


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
    title = _SPACE.sub(" ", root.findtext(".//title") or "").strip() if root is not None else ""
    first = next((heading.title for heading in page.headings if heading.level == 1), "")
    return Parsed(content.media_type, first or title, body, page.headings)


class _Page:
    """The text of a page as it grows: runs of inline text, ended by blocks."""

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self._parts: list[str] = []
        self._length = 0
        self._line = ""
        self._gap = ""  # Line ends owed before the next text.

    def add_inline(self, text: str) -> None:
        self._line += text

    def add_preformatted(self, text: str) -> None:
        self.end_block()
        if lines := text.strip("\n"):
            self._write(lines)
            self._gap = "\n\n"

    def end_cell(self) -> None:
        if self._line.strip() and not self._line.rstrip().endswith("|"):
            self._line += " | "

    def end_line(self) -> None:
        if line := _SPACE.sub(" ", self._line).strip().removesuffix(" |"):
            self._write(line)
            self._gap = self._gap or "\n"
        self._line = ""

    def end_block(self) -> None:
        self.end_line()
        if self._length:
            self._gap = "\n\n"

    def add_heading(self, level: int) -> None:
        title = _SPACE.sub(" ", self._line).strip()
        self._line = ""
        if title:
            self.headings.append(Heading(self._length + len(self._gap), level, title))
            self._write(f"{'#' * level} {title}")
            self._gap = "\n\n"

    def finish(self) -> str:
        self.end_block()
        return "".join(self._parts)

    def _write(self, text: str) -> None:
        self._parts += [self._gap, text]
        self._length += len(self._gap) + len(text)
        self._gap = ""


def _walk(root: Any, page: _Page) -> None:
    """Walk without recursion: pages nest deeper than Python's stack."""
    hidden: Any = None
    pre: Any = None
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start" and hidden is None and pre is None:
            if _is_hidden(element):
                hidden = element
            elif element.tag == "pre":
                pre = element
                page.add_preformatted(_read_preformatted(element))
            else:
                _enter(element, page)
        elif event == "end":
            if hidden is None and pre is None:
                _leave(element, page)
            elif element is hidden:
                hidden = None
            elif element is pre:
                pre = None
            if hidden is None and pre is None:
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
    return "".join(parts)


def _enter(element: Any, page: _Page) -> None:
    tag = element.tag
    if tag in _HEADINGS:
        page.end_block()
    elif tag in ("tr", "li", "dt", "dd"):
        page.end_line()
    elif tag in _BLOCKS:
        page.end_block()
    elif tag == "br":
        page.end_line()
    if tag == "li":
        page.add_inline("- ")
    page.add_inline(element.text or "")


def _leave(element: Any, page: _Page) -> None:
    tag = element.tag
    if tag in _HEADINGS:
        page.add_heading(_HEADINGS[tag])
    elif tag in ("td", "th"):
        page.end_cell()
    elif tag in ("tr", "li", "dt", "dd"):
        page.end_line()
    elif tag in _BLOCKS:
        page.end_block()


def _is_hidden(element: Any) -> bool:
    if not isinstance(element.tag, str) or element.tag in _HIDDEN_TAGS or "hidden" in element.attrib:
        return True
    if element.get("aria-hidden", "").strip().lower() == "true":
        return True
    style = element.get("style")
    return style is not None and _HIDDEN_STYLE.search(re.sub(r"\s|!important", "", style.lower())) is not None
