"""Pictures of text, as a scanner makes them: drawn by pdfium, written by hand."""

import shutil
import struct
import zlib
from io import BytesIO
from typing import Any

import pypdfium2 as pdfium

from tests.retrieval.model.parsers.pdf_files import make_page, make_pdf

__all__ = ["has_tesseract", "join_pdfs", "make_picture", "make_scan"]


def has_tesseract() -> bool:
    return shutil.which("tesseract", path="/usr/local/bin:/usr/bin:/bin") is not None


def _draw(text: str) -> tuple[int, int, bytes]:
    page = pdfium.PdfDocument(make_pdf([make_page((24, text))]))[0]
    bitmap: Any = page.render(scale=2, grayscale=True)
    data = bytes(bitmap.buffer)
    rows = [data[start : start + bitmap.width] for start in range(0, len(data), bitmap.stride)]
    return bitmap.width, bitmap.height, b"".join(rows[: bitmap.height])


def make_picture(text: str) -> bytes:
    """Make a PNG file of a page with a line of text."""
    width, height, dots = _draw(text)
    rows = b"".join(b"\0" + dots[start : start + width] for start in range(0, len(dots), width))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_scan(*texts: str) -> bytes:
    """Make a PDF of which each page is only a picture."""
    document = pdfium.PdfDocument.new()
    for text in texts:
        width, height, dots = _draw(text)
        picture: Any = pdfium.PdfImage.new(document)
        bitmap: Any = pdfium.PdfBitmap.new_native(width, height, 1)
        for row in range(height):
            bitmap.buffer[row * bitmap.stride : row * bitmap.stride + width] = list(
                dots[row * width : (row + 1) * width]
            )
        picture.set_bitmap(bitmap)
        picture.set_matrix(pdfium.PdfMatrix().scale(595, 842))
        page = document.new_page(595, 842)
        page.insert_obj(picture)
        page.gen_content()
    with BytesIO() as buffer:
        document.save(buffer)
        return buffer.getvalue()


def join_pdfs(*files: bytes) -> bytes:
    """Make one PDF of several."""
    document = pdfium.PdfDocument.new()
    for file in files:
        document.import_pages(pdfium.PdfDocument(file))
    with BytesIO() as buffer:
        document.save(buffer)
        return buffer.getvalue()
