"""A PDF file itself: how it is opened, and the title in its properties."""

import re

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.text import clean

__all__ = ["open_pdf", "read_title"]

# What word processors write as a title when nobody gave one.
_PROGRAM = re.compile(r"^(?:Microsoft \w+|PowerPoint Presentation)\s*-\s*", re.I)


def open_pdf(data: bytes) -> pdfium.PdfDocument:
    """Open a file.

    Raises:
        DocumentUnreadable: Encrypted or broken.
    """
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


def read_title(document: pdfium.PdfDocument) -> str:
    """Return the title that somebody gave, or ""."""
    return _PROGRAM.sub("", " ".join(clean(document.get_metadata_value("Title")).split()))
