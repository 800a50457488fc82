"""PDF → text by page, with the headings that larger type shows."""

import ctypes
import re
from collections import Counter
from collections.abc import Sequence
from math import hypot

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from msgspec import Struct

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed import Heading, Parsed
from retrieval.parsers.text import clean

__all__ = ["parse_pdf"]

# pdfium writes U+FFFE (or U+0002) where a line's end hyphenates a word.
_HYPHENATED = re.compile("(?:\ufffe|\x02)[\r\n]*")
_LARGER = 1.1  # times the size of the body's type
_LONGEST_HEADING = 120
_LETTERS = re.compile(r"[^\W\d_]{2}")  # a drop cap or a page number in large type is no heading
_DEEPEST = 6


class _Line(Struct, frozen=True):
    """`start` is its offset in the page's text, `size` that of its first character's type, in points."""

    start: int
    text: str
    size: float


class _Page(Struct, frozen=True):
    text: str
    lines: list[_Line]


def parse_pdf(data: bytes, media_type: str, *, max_pages: int) -> Parsed:
    """Take the text layer; pages end with a form feed and are headings (`page 3`), over those in larger type.

    Raises:
        DocumentUnreadable: Encrypted, broken, too many pages, or without a text layer.
    """
    document = _open(data)
    try:
        if len(document) > max_pages:
            raise DocumentUnreadable(
                "invalid_file", f"The PDF has {len(document)} pages; the limit is {max_pages}. Split it."
            )
        pages = [_page(document, number) for number in range(len(document))]
        title = clean(document.get_metadata_value("Title")).strip()
    finally:
        document.close()
    if not any(page.text.strip() for page in pages):
        raise DocumentUnreadable(
            "empty_file", "The PDF has no text layer, as a scan has none. Run it through OCR, then upload the result."
        )
    levels = _levels([line for page in pages for line in page.lines])
    headings: list[Heading] = []
    start = 0
    for number, page in enumerate(pages, 1):
        headings.append(Heading(start, 1, f"page {number}"))
        headings += [
            Heading(start + line.start, levels[line.size], line.text) for line in _headings(page.lines, levels)
        ]
        start += len(page.text) + 1
    return Parsed(media_type, title, "\f".join(page.text for page in pages), headings)


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if pdfium_c.FPDF_GetLastError() == pdfium_c.FPDF_ERR_PASSWORD:
            raise DocumentUnreadable(
                "invalid_file", "The PDF is encrypted. Save it without a password, then upload it again."
            ) from error
        raise DocumentUnreadable(
            "invalid_file", f"The PDF is broken ({str(error).rstrip('.')}). Export it again from where it was made."
        ) from error


def _page(document: pdfium.PdfDocument, number: int) -> _Page:
    try:
        layer = document[number].get_textpage()
        raw = layer.get_text_range()
        text = clean(_HYPHENATED.sub("", raw)).replace("\f", "\n").strip("\n")
        return _Page(text, _lines(layer, raw, text))
    except (pdfium.PdfiumError, ctypes.ArgumentError) as error:
        raise DocumentUnreadable(
            "invalid_file",
            f"Page {number + 1} of the PDF is broken ({str(error).rstrip('.')}). Export it again from its source.",
        ) from error


def _lines(layer: pdfium.PdfTextPage, raw: str, text: str) -> list[_Line]:
    """Find the page's lines in its cleaned text."""
    lines: list[_Line] = []
    at = units = 0
    for part in raw.splitlines(keepends=True):
        shown = clean(part).strip()
        start = text.find(shown, at) if shown else -1
        if start >= 0:
            blank = len(part) - len(part.lstrip())
            lines.append(_Line(start, shown, _size(layer, units + _units(part[:blank]))))
            at = start + len(shown)
        units += _units(part)
    return lines


def _units(text: str) -> int:
    """How many characters pdfium counts, which are UTF-16's."""
    return len(text) + sum(character > "\uffff" for character in text)


def _size(layer: pdfium.PdfTextPage, index: int) -> float:
    """The size of type as it is printed: many PDFs have 1 there and scale it up by a matrix."""
    character = pdfium_c.FPDFText_GetCharIndexFromTextIndex(layer, index)
    matrix = pdfium_c.FS_MATRIX()
    if not pdfium_c.FPDFText_GetMatrix(layer, character, matrix):
        return 0.0
    return round(pdfium_c.FPDFText_GetFontSize(layer, character) * hypot(matrix.c, matrix.d), 1)


def _levels(lines: Sequence[_Line]) -> dict[float, int]:
    """Give each size that is larger than the body's a level below that of pages; the body has most characters."""
    characters = Counter[float]()
    for line in lines:
        characters[line.size] += len(line.text)
    body = characters.most_common(1)[0][0] if characters else 0.0
    larger = sorted({line.size for line in lines if line.size >= body * _LARGER > 0 and _names(line)}, reverse=True)
    return {size: min(level, _DEEPEST) for level, size in enumerate(larger, 2)}


def _headings(lines: Sequence[_Line], levels: dict[float, int]) -> list[_Line]:
    """Lines in larger type; the lines of one heading are joined."""
    found: list[_Line] = []
    joins = False
    for line in lines:
        if line.size not in levels:
            joins = False
        elif joins and found[-1].size == line.size:
            if len(found[-1].text) <= _LONGEST_HEADING:  # or else it is a paragraph by now
                found[-1] = _Line(found[-1].start, f"{found[-1].text} {line.text}", line.size)
        else:
            found.append(line)
            joins = True
    return [line for line in found if _names(line)]


def _names(line: _Line) -> bool:
    return len(line.text) <= _LONGEST_HEADING and _LETTERS.search(line.text) is not None
