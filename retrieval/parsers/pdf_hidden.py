"""Text of a PDF that no reader sees: drawn invisibly, in white on white, off the page, too small, or not at all."""

import ctypes
from collections.abc import Iterator
from math import hypot
from typing import Any, cast

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.parsers.pdf_layers import Layers

__all__ = ["remove_hidden"]

_INVISIBLE = (pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium_c.FPDF_TEXTRENDERMODE_CLIP)
_FILLED = (pdfium_c.FPDF_TEXTRENDERMODE_FILL, pdfium_c.FPDF_TEXTRENDERMODE_FILL_CLIP)
_WHITE = 250  # of 255, in each colour
_SMALLEST = 1.0  # size of type, in points
_DEEPEST = 8  # forms in forms whose words are looked for
_SCAN = 0.5  # of the page; invisible text on such a picture is what OCR read in it

_Bounds = tuple[float, float, float, float]


def remove_hidden(page: pdfium.PdfPage, layers: Layers) -> int:
    """Take the hidden text out of an open page, not out of its file; return its number of characters."""
    objects: list[Any] = list(cast("Any", page).get_objects(max_depth=1))
    texts = [one for one in objects if one.type == pdfium_c.FPDF_PAGEOBJ_TEXT]
    hidden = list(_find_hidden(page, texts, [one for one in objects if one.type != pdfium_c.FPDF_PAGEOBJ_TEXT]))
    others = set(objects) - set(hidden)
    hidden += layers.find_switched_off(page, objects, [one for one in objects if one in others and _has_words(one)])
    if not hidden:
        return 0
    before = _count(page)
    for one in hidden:
        page.remove_obj(one)
    return before - _count(page)


def _has_words(shape: Any) -> bool:
    return _draws_words(shape.raw, _DEEPEST)


def _draws_words(shape: Any, depth: int) -> bool:
    """Tell whether an object or a form's part has words that are seen, unlike those that OCR puts behind a scan."""
    kind = pdfium_c.FPDFPageObj_GetType(shape)
    if kind == pdfium_c.FPDF_PAGEOBJ_TEXT:
        return pdfium_c.FPDFTextObj_GetTextRenderMode(shape) not in _INVISIBLE
    if kind != pdfium_c.FPDF_PAGEOBJ_FORM or not depth:
        return False
    parts = (
        pdfium_c.FPDFFormObj_GetObject(shape, number) for number in range(pdfium_c.FPDFFormObj_CountObjects(shape))
    )
    return any(_draws_words(part, depth - 1) for part in parts)


def _find_hidden(page: pdfium.PdfPage, texts: list[Any], others: list[Any]) -> Iterator[Any]:
    paper: _Bounds = page.get_bbox()
    pictures = [_read_bounds(one) for one in others if one.type == pdfium_c.FPDF_PAGEOBJ_IMAGE]
    is_scan = any(_measure(picture) >= _SCAN * _measure(paper) for picture in pictures)
    painted: list[_Bounds] | None = None
    for text in texts:
        bounds = _read_bounds(text)
        mode = pdfium_c.FPDFTextObj_GetTextRenderMode(text)
        if mode in _INVISIBLE:
            if not is_scan:
                yield text
        elif not _overlap(bounds, paper) or _is_tiny(text):
            yield text
        elif mode in _FILLED and (color := _read_color(text)) is not None:
            if color[3] == 0:
                yield text
            elif min(color[:3]) >= _WHITE:
                if painted is None:
                    painted = [_read_bounds(one) for one in others if _is_painted(one)]
                if not any(_overlap(bounds, one) for one in painted):
                    yield text


def _is_painted(shape: Any) -> bool:
    """Tell whether white text could be seen on a shape; of what has no one colour, such as a picture, it could."""
    color = _read_color(shape) if shape.type == pdfium_c.FPDF_PAGEOBJ_PATH else None
    return color is None or (color[3] > 0 and min(color[:3]) < _WHITE)


def _read_color(shape: Any) -> tuple[int, ...] | None:
    color = [ctypes.c_uint() for _ in range(4)]
    if not pdfium_c.FPDFPageObj_GetFillColor(shape, *color):
        return None
    return tuple(part.value for part in color)


def _read_bounds(shape: Any) -> _Bounds:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium_c.FPDFPageObj_GetBounds(shape, left, bottom, right, top)
    return left.value, bottom.value, right.value, top.value


def _measure(bounds: _Bounds) -> float:
    return (bounds[2] - bounds[0]) * (bounds[3] - bounds[1])


def _is_tiny(text: Any) -> bool:
    size, matrix = ctypes.c_float(), pdfium_c.FS_MATRIX()
    if not (pdfium_c.FPDFTextObj_GetFontSize(text, size) and pdfium_c.FPDFPageObj_GetMatrix(text, matrix)):
        return False
    return size.value * hypot(matrix.c, matrix.d) < _SMALLEST


def _overlap(one: _Bounds, other: _Bounds) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _count(page: pdfium.PdfPage) -> int:
    layer = page.get_textpage()
    try:
        return len("".join(layer.get_text_range().split()))
    finally:
        layer.close()
