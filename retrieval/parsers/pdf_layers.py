"""Text on a PDF's layers (optional content) that are switched off: pdfium draws it nowhere, and reads it as all other.

Which layers are on, pdfium tells by what it draws only: the text of a layer is drawn alone, to see whether that is
nothing.
"""

import ctypes
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

__all__ = ["Layers"]

_MOST_DRAWINGS = 1000
"""Of a document, each about 2 ms; what is on a layer behind them counts as seen."""

_LONGEST_SIDE = 1000  # in pixels, of what is drawn
_MARK = "OC"
_CHARACTERS = ctypes.POINTER(ctypes.c_ushort)


class Layers:
    """The layers of one document."""

    def __init__(self) -> None:
        self._drawings_left = _MOST_DRAWINGS

    def find_switched_off(self, page: pdfium.PdfPage, objects: Sequence[Any], texts: Iterable[Any]) -> list[Any]:
        """Find the texts of a page that are on layers switched off.

        Args:
            page: It is drawn.
            objects: All that it draws.
            texts: Those of them that have the words.
        """
        groups: defaultdict[tuple[int, ...], list[Any]] = defaultdict(list)
        for text in texts:
            if marks := tuple(_list_marks(text)):
                groups[marks].append(text)
        if not groups:
            return []
        _set_active(objects, False)
        try:
            return [text for group in groups.values() if self._is_off(page, group) for text in group]
        finally:
            _set_active(objects, True)

    def _is_off(self, page: pdfium.PdfPage, group: Sequence[Any]) -> bool:
        # Not remembered by the layers' names: where documents were joined, two layers have the same.
        self._drawings_left -= 1
        return self._drawings_left >= 0 and _draws_nothing(page, group)


def _list_marks(one: Any) -> Iterator[int]:
    """List the addresses of the marks that say on which layers an object is: one for all between two operators."""
    for number in range(pdfium_c.FPDFPageObj_CountMarks(one)):
        mark = pdfium_c.FPDFPageObj_GetMark(one, number)
        name, size = ctypes.create_string_buffer(2 * len(_MARK) + 2), ctypes.c_ulong()
        pdfium_c.FPDFPageObjMark_GetName(mark, ctypes.cast(name, _CHARACTERS), len(name), size)
        if name.raw[: size.value].decode("utf-16-le", "ignore").rstrip("\0") == _MARK:
            yield ctypes.cast(mark, ctypes.c_void_p).value or 0


def _draws_nothing(page: pdfium.PdfPage, group: Sequence[Any]) -> bool:
    """Draw some objects of a page that has no others active, on nothing."""
    width, height = page.get_size()
    scale = min(_LONGEST_SIDE / max(width, height, 1.0), 1.0)
    columns, rows = max(round(width * scale), 1), max(round(height * scale), 1)
    bitmap = pdfium_c.FPDFBitmap_CreateEx(columns, rows, pdfium_c.FPDFBitmap_BGRA, None, 0)
    _set_active(group, True)
    try:
        pdfium_c.FPDFBitmap_FillRect(bitmap, 0, 0, columns, rows, 0)
        pdfium_c.FPDF_RenderPageBitmap(bitmap, page, 0, 0, columns, rows, 0, 0)
        size = pdfium_c.FPDFBitmap_GetStride(bitmap) * rows
        return not ctypes.string_at(pdfium_c.FPDFBitmap_GetBuffer(bitmap), size).strip(b"\0")
    finally:
        _set_active(group, False)
        pdfium_c.FPDFBitmap_Destroy(bitmap)


def _set_active(objects: Iterable[Any], active: bool) -> None:
    for one in objects:
        pdfium_c.FPDFPageObj_SetIsActive(one, active)
