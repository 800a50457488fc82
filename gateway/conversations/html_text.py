"""The text of a message that was written as HTML, without what mail programs mark as quoted or as a signature."""

import re
from html.parser import HTMLParser

__all__ = ["read_html"]

_BLOCKS = frozenset(
    "address article blockquote div dl dd dt figure h1 h2 h3 h4 h5 h6 hr ol p pre section table tr ul".split()
)
_UNSEEN = frozenset(("head", "script", "style", "title"))
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
_FOREIGN = re.compile(
    r"(?:^|\s)(?:gmail_quote\w*|gmail_signature|yahoo_quoted|moz-cite-prefix|moz-signature|freshdesk_quote|zmail_extra|"
    r"protonmail_quote|protonmail_signature_block)(?:\s|$)"
)
"""Classes that the mail programs give to what the writer didn't write."""

_SIGNATURE = re.compile(r"\b(?:gmail_signature|moz-signature|protonmail_signature_block)\b")
_SCHEME = re.compile(r"^https?://(?:www\.)?")


def read_html(html: str) -> str:
    """Return a message's text: a line per block and list item, and links with their address where it isn't shown."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.pieces).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return text.removesuffix("\n--").rstrip() if _SIGNATURE.search(html) else text  # the sign above it


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._open: list[str] = []
        self._left_out: int | None = None
        self._link: tuple[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self._write("\n")
        elif tag in _BLOCKS:
            self._write("\n\n" if tag in ("p", "ul", "ol", "table", "pre") else "\n")
        elif tag == "li":
            self._write("\n- ")
        elif tag in ("td", "th"):
            self._write(" ")
        if tag in _VOID:
            return
        self._open.append(tag)
        attributes = dict(attrs)
        foreign = tag in _UNSEEN or _FOREIGN.search(attributes.get("class") or "") or attributes.get("type") == "cite"
        if self._left_out is None and foreign:
            self._left_out = len(self._open)
        if tag == "a":
            self._link = attributes.get("href") or "", len(self.pieces)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._open:
            return
        if tag == "a" and self._link is not None:
            address, start = self._link
            words = "".join(self.pieces[start:]).casefold()
            if address.startswith("http") and _SCHEME.sub("", address.casefold()).rstrip("/") not in words:
                self._write(f" ({address})")
            self._link = None
        while self._open.pop() != tag:
            pass
        if self._left_out is not None and len(self._open) < self._left_out:
            self._left_out = None
        if tag in _BLOCKS:
            self._write("\n")

    def handle_data(self, data: str) -> None:
        self._write(data if "pre" in self._open else re.sub(r"\s+", " ", data))

    def _write(self, text: str) -> None:
        if self._left_out is None:
            self.pieces.append(text)
