"""Values that are pieces of pages, as help centers and shops export their articles in JSON and CSV."""

import re
from collections import Counter

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits

__all__ = ["HtmlValues"]

_ELEMENTS = "p|div|h[1-6]|ul|ol|li|table|section|article|figure|blockquote|pre|span|strong|em|b|i|a|style|script|html"
_PIECE = re.compile(
    rf"\A\s*(?:<!doctype html[^<>]*>\s*|<!--(?:[^-]|-(?!->))*-->\s*|<(?:br|img|hr|meta|link)\b[^<>]*>\s*)*"
    rf"<(?P<first>{_ELEMENTS})\b[^<>]*>.*</(?P=first)\s*>",
    re.S | re.I,
)
"""A text that begins with an element which is closed, after what stands alone: one about `<p>` begins otherwise."""
_CLOSED = re.compile(r"</(?:p|li|div|h[1-6]|ul|ol|td|table)\s*>", re.I)
_CODE = re.compile(r"[\"'`]\s*</?(?:p|li|div|h[1-6]|ul|ol|td|table)\b|=>|[;({]\s*\n", re.I)
"""Of what begins otherwise: a program that writes a page has its tags in quotes, or lines that end as its lines do."""
_MOST = 30_000_000
_OF_EACH = 500
"""Characters of a file that are read so, a million in a second: each value takes as long as so many more."""


class HtmlValues:
    """Reads the values of one file."""

    def __init__(self, limits: ParseLimits) -> None:
        self._left_out = Counter[str]()
        self._unread = 0
        self._limits = limits
        self._budget = _MOST

    @property
    def warnings(self) -> list[str]:
        """Sentences that say what was left out of the values, of each kind how much in all of them."""
        warnings = [f"{count} {kind}" for kind, count in self._left_out.items()]
        if self._unread:
            warnings.append(f"{self._unread} pieces of pages stand as they are: the file has too many. Split it.")
        return warnings

    def read(self, value: str) -> str:
        """Return the text of a piece of a page; any other value, and one without text, as it is; "" for hidden text."""
        if "</" not in value or not _is_piece(value):
            return value
        if self._budget < len(value) + _OF_EACH:
            self._unread += 1
            return value
        self._budget -= len(value) + _OF_EACH
        is_empty = False
        try:
            document = self._parse(value)
        except DocumentUnreadable as error:
            if error.code != "empty_file":
                return value
            document = self._parse(f"<p>-</p>{value}")
            if not document.warnings:  # a script, say, is a value as well
                return value
            is_empty = True
        for warning in document.warnings:  # each begins with a number
            count, _, kind = warning.partition(" ")
            self._left_out[kind] += int(count)
        return "" if is_empty else document.text

    def _parse(self, value: str) -> ParsedDocument:
        return parse_html(FileContent(b"", "text/html", value), self._limits)


def _is_piece(value: str) -> bool:
    return bool(_PIECE.match(value)) or (len(_CLOSED.findall(value)) > 1 and not _CODE.search(value))
