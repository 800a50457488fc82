"""Values of a PDF's form fields, and words written onto its pages: a page's text layer has neither."""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.parsers.pdf_tables import Cell

__all__ = ["Entry", "add_entry", "read_entries"]

_UNSEEN = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW
_TICKED = (pdfium_c.FPDF_FORMFIELD_CHECKBOX, pdfium_c.FPDF_FORMFIELD_RADIOBUTTON)
_WRITTEN = (pdfium_c.FPDF_FORMFIELD_TEXTFIELD, pdfium_c.FPDF_FORMFIELD_COMBOBOX, pdfium_c.FPDF_FORMFIELD_LISTBOX)
_PASSWORD = 1 << 13
_TICK = "☒"
_SMALLEST = 1.0  # point in width or height, for what can be seen


@dataclass(frozen=True, slots=True)
class Entry:
    """A field's value, or words that somebody wrote onto the page, and where they stand, in points."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


def read_entries(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> Iterator[Entry]:
    """Read what is seen of a page's fields and of words written onto it; `document` has its forms initialised."""
    for number in range(pdfium_c.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            text = " ".join(_read_text(document, annotation).split())
            place = pdfium_c.FS_RECTF()
            pdfium_c.FPDFAnnot_GetRect(annotation, place)
        finally:
            pdfium_c.FPDFPage_CloseAnnot(annotation)
        if text and min(place.right - place.left, place.top - place.bottom) >= _SMALLEST:
            yield Entry(text, place.left, place.bottom, place.right, place.top)


def _read_text(document: pdfium.PdfDocument, annotation: Any) -> str:
    if pdfium_c.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
        return ""
    kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
    if kind == pdfium_c.FPDF_ANNOT_FREETEXT:
        return _read_words(lambda words, size: pdfium_c.FPDFAnnot_GetStringValue(annotation, b"Contents", words, size))
    form = document.formenv
    if kind != pdfium_c.FPDF_ANNOT_WIDGET or form is None:
        return ""
    field = pdfium_c.FPDFAnnot_GetFormFieldType(form, annotation)
    if field in _TICKED:
        return _TICK if pdfium_c.FPDFAnnot_IsChecked(form, annotation) else ""
    if field not in _WRITTEN or pdfium_c.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        return ""
    return _read_words(lambda words, size: pdfium_c.FPDFAnnot_GetFormFieldValue(form, annotation, words, size))


def _read_words(read: Callable[[Any, int], int]) -> str:
    """Return a text that pdfium writes, in UTF-16 with a zero behind it, into as many bytes as it says."""
    size = read(None, 0)
    words = (ctypes.c_ushort * (size // 2))()
    read(words, size)
    return bytes(words).decode("utf-16-le", "ignore").rstrip("\0")


def add_entry(cells: tuple[Cell, ...], entry: Entry, *, above: bool) -> tuple[Cell, ...]:
    """Add an entry to a line in its row, by its place; to one `above` it, behind the cell that it stands under."""
    if not above:
        return tuple(sorted((*cells, Cell(entry.text, entry.left, entry.right)), key=lambda cell: cell.left))
    shared = [min(cell.right, entry.right) - max(cell.left, entry.left) for cell in cells]
    number = shared.index(max(shared))
    label = cells[number]
    return (*cells[:number], Cell(f"{label.text} {entry.text}", label.left, label.right), *cells[number + 1 :])
