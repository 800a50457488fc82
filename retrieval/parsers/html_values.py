"""Values that are pieces of pages, as help centers and shops export their articles in JSON and CSV."""

import re

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed import FileContent, ParseLimits

__all__ = ["HtmlValues"]

_ELEMENTS = "p|div|h[1-6]|ul|ol|li|table|section|article|figure|blockquote|pre|span|strong|em|b|i|a|style|script|html"
_PIECE = re.compile(
    rf"\A\s*(?:<!doctype html[^<>]*>\s*|<!--(?:[^-]|-(?!->))*-->\s*|<(?:br|img|hr|meta|link)\b[^<>]*>\s*)*"
    rf"<(?P<first>{_ELEMENTS})\b[^<>]*>.*</(?P=first)\s*>",
    re.S | re.I,
)
"""A text that begins with an element which is closed, after what stands alone: one about `<p>` begins otherwise."""
_CLOSED = re.compile(r"</(?:p|li|div|h[1-6]|ul|ol|td|table)\s*>", re.I)
_MOST = 50_000
"""Values of a file that are read so, each in half a millisecond."""


class HtmlValues:
    """Reads the values of one file; `warnings` say what was left out of them."""

    def __init__(self, limits: ParseLimits) -> None:
        self.warnings: list[str] = []
        self._limits = limits
        self._left = _MOST

    def read(self, value: str) -> str:
        """Return the text of a piece of a page; any other value, and one without text, as it is."""
        if "</" not in value or not (_PIECE.match(value) or len(_CLOSED.findall(value)) > 1) or not self._left:
            return value
        self._left -= 1
        try:
            parsed = parse_html(FileContent(value.encode(), "text/html", value), self._limits)
        except DocumentUnreadable:
            return value
        self.warnings += parsed.warnings
        return parsed.text
