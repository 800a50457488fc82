"""Plain text: its encoding, and the characters of it that a reader can see."""

import re

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.formats import ACCEPTED
from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits

__all__ = ["clean", "clean_visible", "decode", "parse_text"]

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)

_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")

# Zero-width, bidirectional and tag characters hide instructions from people but not from a model; other control
# characters only break prompts. Tab, line feed and form feed (a page's end) stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def clean(text: str) -> str:
    """Leave one kind of line end, and no characters that a reader doesn't see."""
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))


def decode(data: bytes) -> tuple[str, str] | None:
    """Decode text of unknown encoding.

    Returns:
        The text and the encoding's name when it was a guess (else ""), or None when these bytes aren't text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding), ""
            except UnicodeDecodeError:
                return None
    for encoding, declared in (("utf-8", ""), ("cp1252", "windows-1252"), ("latin-1", "iso-8859-1")):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if _CONTROL.search(text) else (text, declared)
    return None


def clean_visible(text: str) -> str:
    """Clean text that must not be empty then.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    visible = clean(text)
    if not visible.strip():
        raise DocumentUnreadable("empty_file", f"The file holds no visible text. Upload one with content. {ACCEPTED}")
    return visible


def parse_text(content: FileContent, _limits: ParseLimits) -> Parsed:
    """Take the text as it is: it has no structure beyond its blank lines.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    return Parsed(content.media_type, "", clean_visible(content.text), [])
