"""What a file is, by its content. Its name only tells apart kinds of text that look the same."""

import re
from enum import Enum
from pathlib import PurePath
from typing import Any

import puremagic
from msgspec import Struct

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed import ACCEPTED
from retrieval.parsers.text import decode

__all__ = ["Kind", "Sniffed", "sniff"]

_HTML = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.I)
_MARKDOWN = re.compile(r"^(?:#{1,6}[ \t]+\S|={3,}[ \t]*$|-{3,}[ \t]*$|```|[*+-][ \t]+\[)", re.M)
# Formats that are valid ASCII and yet no text for a reader.
_MARKUP = (("{\\rtf", "an RTF document"), ("%!PS", "a PostScript document"))
_ARCHIVES = (
    (b"word/document", "a Word document (.docx)"),
    (b"xl/workbook", "an Excel workbook (.xlsx)"),
    (b"ppt/presentation", "a PowerPoint presentation (.pptx)"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"application/epub+zip", "an EPUB book (.epub)"),
)
_TEXT_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".xml": "text/xml",
    ".txt": "text/plain",
    ".log": "text/plain",
}


class Kind(Enum):
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    PDF = "application/pdf"
    TEXT = "text/plain"


class Sniffed(Struct, frozen=True):
    """`text` is the decoded content of a text kind, None for PDF; `media_type` names a guessed encoding."""

    kind: Kind
    media_type: str
    text: str | None


def sniff(data: bytes, filename: str) -> Sniffed:
    """Find out what `data` is.

    Raises:
        DocumentUnreadable: `empty_file`, or `unsupported_file` with what was found and what is accepted.
    """
    if not data.strip(b" \t\r\n\f\0"):
        raise DocumentUnreadable("empty_file", f"The file is empty. Upload one with content. {ACCEPTED}")
    if b"%PDF-" in data[:1024]:
        return Sniffed(Kind.PDF, Kind.PDF.value, None)
    text, encoding = _decoded(data)
    for opening, name in _MARKUP:
        if text.startswith(opening):
            raise _unsupported(name)
    kind, media_type = _text_kind(text, PurePath(filename).suffix.lower())
    return Sniffed(kind, f"{media_type}; charset={encoding}" if encoding else media_type, text)


def _text_kind(text: str, suffix: str) -> tuple[Kind, str]:
    if _HTML.match(text[:4096]):
        return Kind.HTML, Kind.HTML.value
    if suffix in _TEXT_TYPES:
        return Kind.TEXT, _TEXT_TYPES[suffix]
    if suffix in (".html", ".htm", ".xhtml"):
        return (Kind.HTML, Kind.HTML.value) if "<" in text else (Kind.TEXT, Kind.TEXT.value)
    if suffix in (".md", ".markdown") or _MARKDOWN.search(text):
        return Kind.MARKDOWN, Kind.MARKDOWN.value
    return Kind.TEXT, Kind.TEXT.value


def _decoded(data: bytes) -> tuple[str, str]:
    decoded = decode(data)
    if decoded is not None and not decoded[1]:
        return decoded
    if (declared := _declared(data)) is not None:
        return declared
    # Many binary formats pass for text in a one-byte encoding.
    magic = _magic(data)
    if decoded is None or magic is not None:
        raise _unsupported(magic or "binary data of an unknown format")
    return decoded


def _declared(data: bytes) -> tuple[str, str] | None:
    """Decode as a page itself says (`<meta charset=…>`), if it does and that works."""
    found = _CHARSET.search(data[:2048])
    if not found:
        return None
    encoding = found[1].decode().lower()
    try:
        return data.decode(encoding), encoding
    except (LookupError, UnicodeDecodeError):
        return None


def _magic(data: bytes) -> str | None:
    """The best name for binary data, or None when no signature matches."""
    if data.startswith(b"PK\x03\x04"):
        # One signature for many formats; member names are stored as they are.
        return next((name for member, name in _ARCHIVES if member in data), "a ZIP archive (.zip)")
    try:
        best: Any = puremagic.magic_string(data)[0]
    except (puremagic.PureError, ValueError, IndexError):
        return None
    name: str = best.name or best.mime_type or "binary data"
    return f"{name} ({best.extension})" if best.extension else name


def _unsupported(found: str) -> DocumentUnreadable:
    return DocumentUnreadable(
        "unsupported_file", f"The file is {found}, whatever its name. {ACCEPTED} Convert it first."
    )
