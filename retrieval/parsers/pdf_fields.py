"""Text that people add to the pages of a PDF: the values of form fields, and text that is typed on top (free text)."""

import ctypes
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.parsers.text import clean

__all__ = ["read_fields"]

_UNSEEN = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW
_NUMBER = re.compile(r"\[\d+\]")
_CHOSEN = (pdfium_c.FPDF_FORMFIELD_CHECKBOX, pdfium_c.FPDF_FORMFIELD_RADIOBUTTON)
_WRITTEN = (pdfium_c.FPDF_FORMFIELD_TEXTFIELD, pdfium_c.FPDF_FORMFIELD_COMBOBOX, pdfium_c.FPDF_FORMFIELD_LISTBOX)
_MOST = 2000  # of a page


def read_fields(document: pdfium.PdfDocument, number: int) -> list[str]:
    """Return a line for each field of a page that has a value, with its name, and for each text typed on the page.

    The text layer has neither. The document's forms have to be open (`init_forms`).
    """
    with closing(document[number]) as page:
        return [line for line in _read_all(document, page) if line]


def _read_all(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> Iterator[str]:
    for index in range(min(pdfium_c.FPDFPage_GetAnnotCount(page), _MOST)):
        note = pdfium_c.FPDFPage_GetAnnot(page, index)
        try:
            if pdfium_c.FPDFAnnot_GetFlags(note) & _UNSEEN:
                continue
            kind = pdfium_c.FPDFAnnot_GetSubtype(note)
            if kind == pdfium_c.FPDF_ANNOT_FREETEXT:
                yield _read_string(pdfium_c.FPDFAnnot_GetStringValue, note, b"Contents")
            elif kind == pdfium_c.FPDF_ANNOT_WIDGET and document.formenv is not None:
                yield _read_field(document.formenv, note)
        finally:
            pdfium_c.FPDFPage_CloseAnnot(note)


def _read_field(form: Any, note: Any) -> str:
    kind = pdfium_c.FPDFAnnot_GetFormFieldType(form, note)
    if kind in _CHOSEN:
        value = "☒" if pdfium_c.FPDFAnnot_IsChecked(form, note) else ""
    else:
        value = _read_string(pdfium_c.FPDFAnnot_GetFormFieldValue, form, note) if kind in _WRITTEN else ""
    name = _read_string(pdfium_c.FPDFAnnot_GetFormFieldAlternateName, form, note)
    name = name or _NUMBER.sub("", _read_string(pdfium_c.FPDFAnnot_GetFormFieldName, form, note).rpartition(".")[2])
    return f"{name.rstrip(' :')}: {value}" if value and name else value


def _read_string(read: Any, *arguments: Any) -> str:
    """Read a string by one of pdfium's functions, which say how many bytes it has in UTF-16."""
    size = read(*arguments, None, 0)
    buffer = ctypes.create_string_buffer(size)
    read(*arguments, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return " ".join(clean(buffer.raw[:size].decode("utf-16-le", "replace").rstrip("\0")).split())
