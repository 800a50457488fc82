"""A PDF without a text layer, such as a scan: its pages as pictures, read by OCR."""

from math import sqrt
from typing import Any, cast

import pypdfium2 as pdfium

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.ocr import INSTALL, Recogniser
from retrieval.parsers.parsed import ParseLimits
from retrieval.parsers.text import clean

__all__ = ["read_scan"]

_DOTS = 200 / 72  # per point: 200 per inch, enough for type of 10 points
_MOST_DOTS = 16_000_000


def read_scan(document: pdfium.PdfDocument, limits: ParseLimits) -> list[str]:
    """Return the text of each page.

    Raises:
        DocumentUnreadable: No OCR program is installed, the time is over, or no page has text.
    """
    recogniser = Recogniser(limits)
    if not recogniser.is_installed:
        raise DocumentUnreadable("empty_file", f"The PDF has no text layer, as a scan has none. {INSTALL}")
    pages = [
        clean(recogniser.read(_draw(document[number]))).strip().strip("\f").strip() for number in range(len(document))
    ]
    if not any(pages):
        raise DocumentUnreadable("empty_file", "The PDF has no text layer, and OCR reads nothing in its pictures.")
    return pages


def _draw(page: pdfium.PdfPage) -> bytes:
    """Draw a page in shades of grey, as a PGM file."""
    width, height = page.get_size()
    scale = min(_DOTS, sqrt(_MOST_DOTS / max(width * height, 1)))
    bitmap = cast("Any", page).render(scale=scale, grayscale=True)
    data = bytes(bitmap.buffer)
    rows = (data[start : start + bitmap.width] for start in range(0, bitmap.height * bitmap.stride, bitmap.stride))
    return b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + b"".join(rows)
