"""Values of a PDF's form fields, and words written onto its pages: a page's text layer has neither."""

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.parsers.pdf_tables import Cell, Word
from retrieval.parsers.text import clean

__all__ = ["Entry", "count_unread", "place_entry", "read_entries"]

_UNSEEN = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW
_TICKED = (pdfium_c.FPDF_FORMFIELD_CHECKBOX, pdfium_c.FPDF_FORMFIELD_RADIOBUTTON)
_WRITTEN_FIELDS = (pdfium_c.FPDF_FORMFIELD_TEXTFIELD, pdfium_c.FPDF_FORMFIELD_COMBOBOX, pdfium_c.FPDF_FORMFIELD_LISTBOX)
_PASSWORD = 1 << 13
_TICK = "☒"
_SMALLEST = 1.0  # point in width or height, for what can be seen
_MOST = 2000  # of a page
_NUMBER = re.compile(r"\[\d+\]")  # in the names of XFA's fields
_MIDDLE = 0.3  # times the size of type: a line's middle above its base line
_NEAR = 1.5  # times the size of type: the space between a label and the field below it


@dataclass(frozen=True, slots=True)
class Entry:
    """A field's value, or words that somebody wrote onto the page, and where they stand, in points.

    `name` is the field's, for one without a label; empty for words.
    """

    text: str
    name: str
    left: float
    bottom: float
    right: float
    top: float


def read_entries(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> Iterator[Entry]:
    """Read what is seen of a page's fields and of words written onto it; `document` has its forms initialised."""
    for number in range(min(pdfium_c.FPDFPage_GetAnnotCount(page), _MOST)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            text = " ".join(clean(_read_text(document, annotation)).split())
            name = _read_name(document, annotation) if text else ""
            place = pdfium_c.FS_RECTF()
            pdfium_c.FPDFAnnot_GetRect(annotation, place)
        finally:
            pdfium_c.FPDFPage_CloseAnnot(annotation)
        left, right = sorted((place.left, place.right))  # any two opposite corners are given
        bottom, top = sorted((place.bottom, place.top))
        if text and min(right - left, top - bottom) >= _SMALLEST:
            yield Entry(text, name, left, bottom, right, top)


def count_unread(page: pdfium.PdfPage) -> int:
    """Count the fields and other annotations of a page that `read_entries` leaves out, since there are too many."""
    return max(pdfium_c.FPDFPage_GetAnnotCount(page) - _MOST, 0)


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
    if field not in _WRITTEN_FIELDS or pdfium_c.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        return ""
    return _read_words(lambda words, size: pdfium_c.FPDFAnnot_GetFormFieldValue(form, annotation, words, size))


def _read_name(document: pdfium.PdfDocument, annotation: Any) -> str:
    form = document.formenv
    if form is None or pdfium_c.FPDFAnnot_GetSubtype(annotation) != pdfium_c.FPDF_ANNOT_WIDGET:
        return ""
    readers = pdfium_c.FPDFAnnot_GetFormFieldAlternateName, pdfium_c.FPDFAnnot_GetFormFieldName
    label, own = (_read_words(partial(read, form, annotation)) for read in readers)
    return " ".join(clean(label or _NUMBER.sub("", own.rpartition(".")[2])).split()).rstrip(" :")


def _read_words(read: Callable[[Any, int], int]) -> str:
    """Return a text that pdfium writes, in UTF-16 with a zero behind it, into as many bytes as it says."""
    size = read(None, 0)
    words = (ctypes.c_ushort * (size // 2))()
    read(words, size)
    return bytes(words).decode("utf-16-le", "ignore").rstrip("\0")


def place_entry(lines: Sequence[Sequence[Cell]], entry: Entry) -> tuple[int, tuple[Cell, ...]] | None:
    """Return the number of the line that an entry belongs to, and its cells with the entry; None where there is none.

    It stands in the row of its label, or under it.
    """
    beside = [
        (min(max(entry.left - cell.right, cell.left - entry.right) for cell in cells), number)
        for number, cells in enumerate(lines)
        if cells and entry.bottom <= cells[0].base + _MIDDLE * cells[0].size <= entry.top
    ]
    if beside:
        number = min(beside)[1]
        cells = lines[number]
        entry_cell = Cell([Word(entry.text, entry.left, entry.right)], cells[0].base, cells[0].base, cells[0].size)
        return number, tuple(sorted((*cells, entry_cell), key=lambda cell: cell.left))
    above = [
        (cell.low, number, place)
        for number, cells in enumerate(lines)
        for place, cell in enumerate(cells)
        if cell.left <= entry.right and entry.left <= cell.right
        if 0 <= cell.low - entry.top <= _NEAR * max(cell.size, 1.0)
    ]
    if not above:
        return None
    _, number, place = min(above)
    cells = list(lines[number])
    label = cells[place]
    cells[place] = replace(label, words=[*label.words, Word(entry.text, label.right, label.right)])
    return number, tuple(cells)
