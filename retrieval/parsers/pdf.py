"""PDF → text by page."""

import ctypes
import re

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed import Heading, Parsed
from retrieval.parsers.text import clean

__all__ = ["parse_pdf"]

# pdfium writes U+FFFE (or U+0002) where a line's end hyphenates a word.
_HYPHENATED = re.compile("(?:\ufffe|\x02)[\r\n]*")


def parse_pdf(data: bytes, media_type: str, *, max_pages: int) -> Parsed:
    """Take the text layer; pages end with a form feed and are the headings (`page 3`).

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
    if not any(page.strip() for page in pages):
        raise DocumentUnreadable(
            "empty_file", "The PDF has no text layer, as a scan has none. Run it through OCR, then upload the result."
        )
    headings: list[Heading] = []
    start = 0
    for number, page in enumerate(pages, 1):
        headings.append(Heading(start, 1, f"page {number}"))
        start += len(page) + 1
    return Parsed(media_type, title, "\f".join(pages), headings)


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


def _page(document: pdfium.PdfDocument, number: int) -> str:
    try:
        page = document[number]
        return clean(_HYPHENATED.sub("", page.get_textpage().get_text_range())).replace("\f", "\n").strip("\n")
    except (pdfium.PdfiumError, ctypes.ArgumentError) as error:
        raise DocumentUnreadable(
            "invalid_file",
            f"Page {number + 1} of the PDF is broken ({str(error).rstrip('.')}). Export it again from its source.",
        ) from error
