"""Pages of a PDF without a text layer, as a scan has none: pictures, read by OCR."""

from collections.abc import Sequence
from math import sqrt
from typing import Any, cast

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.ocr import INSTALL, OcrMissing, Recogniser
from retrieval.parsers.text import clean

__all__ = ["find_pictures", "read_pictures", "read_scan"]

_DOTS = 200 / 72  # per point: 200 per inch, enough for type of 10 points
_MOST_DOTS = 16_000_000


def read_scan(document: pdfium.PdfDocument, recogniser: Recogniser) -> list[str]:
    """Return the text of each page of a document that is a scan as a whole.

    Raises:
        DocumentUnreadable: No OCR program is installed, the time is over, or no page has text.
    """
    if not recogniser.is_installed:
        raise OcrMissing("empty_file", f"The PDF has no text layer, as a scan has none. {INSTALL}")
    pages = [_read(document, number, recogniser) for number in range(len(document))]
    if not any(pages):
        raise DocumentUnreadable("empty_file", "The PDF has no text layer, and OCR reads nothing in its pictures.")
    return pages


def find_pictures(document: pdfium.PdfDocument, numbers: Sequence[int]) -> list[int]:
    """Return which of the pages, by number from 0, show a picture: others without text are blank."""
    kinds = [pdfium_c.FPDF_PAGEOBJ_IMAGE]
    return [number for number in numbers if any(True for _ in cast("Any", document[number]).get_objects(filter=kinds))]


def read_pictures(
    document: pdfium.PdfDocument, numbers: Sequence[int], recogniser: Recogniser
) -> tuple[dict[int, str], list[str]]:
    """Return the texts of some pages of a document whose others have text, and a warning where they aren't read.

    One that can't be read, and the end of the time, take nothing from the others.
    """
    if numbers and not recogniser.is_installed:
        return {}, [_warn(numbers, INSTALL)]
    texts: dict[int, str] = {}
    reason, unread = "The document's time is over. Split it.", list[int]()
    for number in numbers:
        if not recogniser.has_time:
            unread.append(number)
            continue
        try:
            texts[number] = _read(document, number, recogniser)
        except DocumentUnreadable as error:
            reason = str(error)
            unread.append(number)
    return texts, [_warn(unread, reason)] if unread else []


def _warn(numbers: Sequence[int], reason: str) -> str:
    count = "1 page is a picture and wasn't" if len(numbers) == 1 else f"{len(numbers)} pages are pictures and weren't"
    return f"{count} read, the first of them page {numbers[0] + 1}. {reason}"


def _read(document: pdfium.PdfDocument, number: int, recogniser: Recogniser) -> str:
    return clean(recogniser.read(_draw(document[number]))).strip().strip("\f").strip()


def _draw(page: pdfium.PdfPage) -> bytes:
    """Draw a page in shades of grey, as a PGM file."""
    width, height = page.get_size()
    scale = min(_DOTS, sqrt(_MOST_DOTS / max(width * height, 1)))
    bitmap = cast("Any", page).render(scale=scale, grayscale=True)
    data = bytes(bitmap.buffer)
    rows = (data[start : start + bitmap.width] for start in range(0, bitmap.height * bitmap.stride, bitmap.stride))
    return b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + b"".join(rows)
