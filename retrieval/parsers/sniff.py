"""Recognition of a file's format by its content. Its name only tells apart kinds of text that look the same."""

import re
from typing import Any

import puremagic

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.formats import ACCEPTED, FORMATS, Format, find_binary_format, find_text_format
from retrieval.parsers.parsed import FileContent
from retrieval.parsers.text import decode

__all__ = ["sniff"]

_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.I)
# Formats that are valid ASCII and yet no text for a reader.
_MARKUP = (("{\\rtf", "an RTF document"), ("%!PS", "a PostScript document"))
_ARCHIVES = (
    (b"word/document", "a Word document (.docx)"),
    (b"xl/workbook", "an Excel workbook (.xlsx)"),
    (b"ppt/presentation", "a PowerPoint presentation (.pptx)"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"application/epub+zip", "an EPUB book (.epub)"),
)

_TEXT_EXTENSIONS = frozenset(extension for row in FORMATS if row.signature is None for extension in row.media_types)


def sniff(data: bytes, filename: str) -> tuple[Format, FileContent]:
    """Find the format of a file, and decode it where that is text.

    Raises:
        DocumentUnreadable: `empty_file`, or `unsupported_file` with the format's name and what is accepted.
    """
    if not data.strip(b" \t\r\n\f\0"):
        raise DocumentUnreadable("empty_file", f"The file is empty. Upload one with content. {ACCEPTED}")
    if (binary := find_binary_format(data)) is not None:
        return binary, FileContent(data, binary.media_type_of(filename))
    text, encoding = _decode_text(data)
    for opening, name in _MARKUP:
        if text.startswith(opening):
            raise _to_unsupported(name)
    format_ = find_text_format(text, filename)
    media_type = format_.media_type_of(filename)
    return format_, FileContent(data, f"{media_type}; charset={encoding}" if encoding else media_type, text)


def _decode_text(data: bytes) -> tuple[str, str]:
    """Decode text; the second value names the encoding where it was a guess, as in `decode`."""
    guess = decode(data)
    if guess is not None and not guess[1]:
        return guess
    if (declared := _decode_as_declared(data)) is not None:
        return declared
    # Many binary formats pass for text in a one-byte encoding.
    name = _name_binary(data)
    if guess is None or name is not None:
        raise _to_unsupported(name or "binary data of an unknown format")
    return guess


def _decode_as_declared(data: bytes) -> tuple[str, str] | None:
    """Decode as a page itself says (`<meta charset=…>`), if it does and that works."""
    match = _CHARSET.search(data[:2048])
    if not match:
        return None
    encoding = match[1].decode().lower()
    try:
        return data.decode(encoding), encoding
    except (LookupError, UnicodeDecodeError):
        return None


def _name_binary(data: bytes) -> str | None:
    """Return the best name for binary data, or None when no signature matches, or only that of a kind of text."""
    if data.startswith(b"PK\x03\x04"):
        # One signature for many formats; member names are stored as they are.
        return next((name for member, name in _ARCHIVES if member in data), "a ZIP archive (.zip)")
    try:
        best: Any = puremagic.magic_string(data)[0]
    except (puremagic.PureError, ValueError, IndexError):
        return None
    if best.extension in _TEXT_EXTENSIONS or (best.mime_type or "").startswith(("text/", "message/")):
        return None
    name: str = best.name or best.mime_type or "binary data"
    return f"{name} ({best.extension})" if best.extension else name


def _to_unsupported(name: str) -> DocumentUnreadable:
    return DocumentUnreadable(
        "unsupported_file", f"The file is {name}, whatever its name. {ACCEPTED} Convert it first."
    )
