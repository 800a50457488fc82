"""Recognition of a file's format by its content. Its name only tells apart kinds of text that look the same."""

import re
from typing import Any

import puremagic

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.charset_labels import extends_ascii, find_encoding
from retrieval.parsers.document_format import DocumentFormat
from retrieval.parsers.encodings import DecodedText, decode_declared, decode_legacy, decode_unicode, is_text
from retrieval.parsers.formats import (
    ACCEPTED,
    FORMATS,
    find_binary_format,
    find_text_format,
    list_archive,
)
from retrieval.parsers.parsed_document import FileContent

__all__ = ["sniff"]

_CHARSET = re.compile(rb"<meta\b[^>]{1,500}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.I)
_XML_ENCODING = re.compile(rb"\s*<\?xml\b[^>]{1,200}?encoding\s*=\s*[\"']([A-Za-z0-9_:.-]+)")
_HEAD = 1024**2
"""Bytes in which a page's own charset is looked for: style sheets and scripts may stand before it."""
_XML = r"\s*(?:<\?[^>]*>\s*)*"
# Formats that are text and yet none for a reader, with the way out.
_MARKUP = (
    (
        re.compile(r'\s*\{[^{}]{0,500}"https://docs\.google\.com/[^{}]{0,500}"(?:doc|resource)_id"'),
        "only a link to a document of Google's",
        "Download that as .docx, .xlsx or .pptx.",
    ),
    (
        re.compile(
            r"version https://(?:git-lfs|hawser)\.github\.com/spec/v\d+\s*\n"
            r"(?:ext-\S{1,100} .{1,200}\n){0,10}oid .{1,200}\nsize \d{1,20}\s*\Z"
        ),
        "only a pointer of Git LFS to a file",
        "Fetch that (`git lfs pull`).",
    ),
    (re.compile(r"%!PS\S*(?: EPSF\S*)?\s*\n%%\w"), "a PostScript document", "Save it as PDF."),
    (
        re.compile(rf"{_XML}<(?:\w+:)?Workbook\b[^>]*urn:schemas-microsoft-com:office:spreadsheet"),
        "an Excel workbook in the XML of 2003",
        "Save it as .xlsx.",
    ),
    (
        re.compile(rf"{_XML}<(?:\w+:wordDocument|pkg:package)\b[^>]*schemas\.microsoft\.com/office"),
        "an Office document in one XML file",
        "Save it as .docx, .xlsx or .pptx.",
    ),
)
_ARCHIVES = (
    (b"xl/workbook.bin", "a binary Excel workbook (.xlsb)", "Save it as .xlsx."),
    (b".iwa", "a document of Pages, Numbers or Keynote", "Export it as .docx, .xlsx, .pptx or PDF."),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file of another kind", "Export it as PDF."),
)
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS = (
    ("PowerPoint Document", "a PowerPoint presentation of before 2007 (.ppt)", "Save it as .pptx."),
    ("WordDocument", "a Word document of before 2007 (.doc)", "Save it as .docx."),
    ("Workbook", "an Excel workbook of before 2007 (.xls)", "Save it as .xlsx."),
    ("Book", "an Excel workbook of before 1997 (.xls)", "Save it as .xlsx."),
    ("__substg1.0_", "an Outlook message (.msg)", "Save it as .eml."),
)
"""The kinds of Microsoft's compound files, by the name of a stream in them; the way out for each."""

_SURE = 0.5
"""Confidence of a name for binary data: its first bytes have at least five that say so."""

_BINARIES = (
    (
        re.compile(rb"\x1f\x8b\x08|BZh\d|\xfd7zXZ\0|7z\xbc\xaf'\x1c|Rar!\x1a\x07|\(\xb5/\xfd|.{257}ustar", re.S),
        "a packed file or an archive (.gz, .bz2, .xz, .zst, .tar, .7z, .rar)",
        "Unpack it first.",
    ),
    (re.compile(rb"MZ|\x7fELF|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe"), "a program", "It has no text for a reader."),
    (
        re.compile(rb".{4}ftyp(?:hei|hev|mif1|msf1|avif)|BM.{4}\0\0\0\0", re.S),
        "a picture of a kind that isn't read (HEIC, AVIF, BMP)",
        "Save it as .png or .jpg.",
    ),
    (
        re.compile(rb"RIFF.{4}(?:WAVE|AVI )|ID3[\x02-\x04]|OggS|fLaC|\xff[\xfb\xf3\xf2]|.{4}ftyp|\x1aE\xdf\xa3", re.S),
        "a sound recording or a film (.mp3, .wav, .mp4)",
        "Upload what is said in it as text.",
    ),
    (re.compile(rb"SQLite format 3\0"), "a database (SQLite)", "Export its tables as .csv."),
    (re.compile(rb"PAR1"), "a table in Parquet", "Export it as .csv or .jsonl."),
    (re.compile(rb"ITSF"), "a compiled help file (.chm)", "Unpack it, and upload its pages (.html)."),
)
"""Binary kinds by how they begin; the way out for each."""

_TEXT_EXTENSIONS = frozenset(extension for row in FORMATS if not row.is_binary for extension in row.media_types)


def sniff(data: bytes, filename: str) -> tuple[DocumentFormat, FileContent]:
    """Find the format of a file, and decode it where that is text.

    What could be a text is one however it begins ("BMW", "GIF89a is …"), unless it has another format's structure.

    Raises:
        DocumentUnreadable: `empty_file`, or `unsupported_file` with the format's name and what is accepted.
    """
    if not data.strip(b" \t\r\n\f\0"):
        raise DocumentUnreadable("empty_file", "The file is empty. Upload one with content.")
    if (binary := find_binary_format(data, filename, is_text=is_text(data))) is not None:
        return binary, FileContent(data, binary.media_type_of(filename))
    if data.startswith(_COMPOUND):
        raise _refuse_compound(data)
    if data.startswith(b"PK\x03\x04"):
        raise _refuse_archive(data)
    decoding = _decode_text(data, filename)
    for opening, name, way_out in _MARKUP:
        if opening.match(decoding.text):
            raise _to_unsupported(name, way_out)
    format_ = find_text_format(decoding.text, filename)
    media_type = format_.media_type_of(filename)
    if decoding.encoding:
        media_type += f"; charset={decoding.encoding}"
    return format_, FileContent(data, media_type, decoding.text, decoding.warning)


def _decode_text(data: bytes, filename: str) -> DecodedText:
    if (decoding := decode_unicode(data)) is not None:
        return decoding
    if not is_text(data):
        raise _refuse_binary(data)
    return _decode_as_declared(data, filename) or decode_legacy(data)


def _decode_as_declared(data: bytes, filename: str) -> DecodedText | None:
    """Decode as a page itself says (`<meta charset=…>`, `<?xml … encoding=…?>`), if it does and that works."""
    match = _XML_ENCODING.match(data)
    if match is None and find_text_format(data[:_HEAD].decode("latin-1"), filename).kind == "html":
        match = _CHARSET.search(data, 0, _HEAD)
    label = match[1].decode() if match is not None else ""
    encoding = find_encoding(label)
    return decode_declared(data, label) if encoding is not None and extends_ascii(encoding) else None


def _refuse_binary(data: bytes) -> DocumentUnreadable:
    """Refuse binary data by the best name for it, with the way out where its kind has one."""
    for signature, name, way_out in _BINARIES:
        if signature.match(data):
            return _to_unsupported(name, way_out)
    return _to_unsupported(_name_binary(data))


def _name_binary(data: bytes) -> str:
    """Return a name for binary data that its beginning leaves no doubt of: two or three bytes fit anything."""
    unknown = "binary data of an unknown format"
    try:
        best: Any = puremagic.magic_string(data)[0]
    except (puremagic.PureError, ValueError, IndexError):
        return unknown
    if best.confidence < _SURE or best.extension in _TEXT_EXTENSIONS:
        return unknown
    if (best.mime_type or "").startswith(("text/", "message/")):
        return unknown
    name: str = best.name or best.mime_type or "binary data"
    return f"{name} ({best.extension})" if best.extension else name


def _refuse_compound(data: bytes) -> DocumentUnreadable:
    """Refuse a file of old Office programs, or one that new ones have encrypted."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return DocumentUnreadable(
            "invalid_file", "The Office file is encrypted. Save it without a password, then upload it again."
        )
    for stream, name, way_out in _STREAMS:
        if stream.encode("utf-16-le") in data:
            return _to_unsupported(name, way_out)
    return _to_unsupported("a file of an old Office program", "Save it in a format of today.")


def _refuse_archive(data: bytes) -> DocumentUnreadable:
    """Refuse a ZIP file that is no document, or no longer one."""
    if list_archive(data) is None:
        return DocumentUnreadable(
            "invalid_file",
            "The file is packed, as Office documents and books are, and broken or cut off. Upload it again.",
        )
    for part, name, way_out in _ARCHIVES:
        if part in data:
            return _to_unsupported(name, way_out)
    return _to_unsupported("a ZIP archive (.zip)", "Unpack it first.")


def _to_unsupported(name: str, way_out: str = f"Convert it first. {ACCEPTED}") -> DocumentUnreadable:
    """Refuse a file by the name of its kind, with the way out; where that isn't known, with all that there are."""
    return DocumentUnreadable("unsupported_file", f"The file is {name}, whatever its name. {way_out}")
