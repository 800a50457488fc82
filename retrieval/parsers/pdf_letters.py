"""The characters of a PDF's page with their fonts, sizes and places, as the page is held to be read."""

import ctypes
from collections import Counter
from dataclasses import dataclass, replace
from math import hypot

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.parsers.pdf_forms import Entry

__all__ = ["PageLetters", "count_units"]

_SAMPLE = 400
"""Characters that tell in what direction a page is written."""


def count_units(text: str) -> int:
    """Count characters as pdfium does, which are UTF-16's."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True, slots=True)
class PageLetters:
    """A page's text layer; places are in points from the left and the lower edge, up to a number that is the same for
    all of a page, once it is turned so that most of its text is upright.

    `turn` is clockwise, in degrees. The numbers of characters are those of UTF-16 units in `text`.
    """

    layer: pdfium.PdfTextPage
    turn: int

    @classmethod
    def open(cls, sheet: pdfium.PdfPage) -> "PageLetters":
        """Open a page's layer, and turn the page: pdfium takes the lines of text that runs down from the last on."""
        layer = sheet.get_textpage()
        turn = _find_turn(layer)
        if turn is not None and turn != sheet.get_rotation():
            sheet.set_rotation(turn)
            layer = sheet.get_textpage()
        return cls(layer, turn or 0)

    @property
    def text(self) -> str:
        return self.layer.get_text_range()

    def find_ends(self, index: int) -> tuple[float, float]:
        """Return where a character begins and ends."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        pdfium_c.FPDFText_GetCharBox(self.layer, self._find_character(index), left, right, bottom, top)
        first, last = self.find_point(left.value, bottom.value), self.find_point(right.value, top.value)
        return min(first[0], last[0]), max(first[0], last[0])

    def find_base(self, index: int) -> float:
        """Return the height of the line on which a character stands."""
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium_c.FPDFText_GetCharOrigin(self.layer, self._find_character(index), x, y)
        return self.find_point(x.value, y.value)[1]

    def measure_size(self, index: int) -> float:
        """Measure type as it is printed: many PDFs have 1 there and scale it up by a matrix."""
        character = self._find_character(index)
        matrix = pdfium_c.FS_MATRIX()
        if not pdfium_c.FPDFText_GetMatrix(self.layer, character, matrix):
            return 0.0
        return round(pdfium_c.FPDFText_GetFontSize(self.layer, character) * hypot(matrix.c, matrix.d), 1)

    def place(self, entry: Entry) -> Entry:
        """Return a form's entry where it stands among the characters."""
        corners = self.find_point(entry.left, entry.bottom), self.find_point(entry.right, entry.top)
        (left, right), (bottom, top) = (sorted(ends) for ends in zip(*corners, strict=True))
        return replace(entry, left=left, bottom=bottom, right=right, top=top)

    def find_point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the page is, once that is turned."""
        return {0: (x, y), 90: (y, -x), 180: (-x, -y), 270: (-y, x)}[self.turn]

    def _find_character(self, index: int) -> int:
        return pdfium_c.FPDFText_GetCharIndexFromTextIndex(self.layer, index)


def _find_turn(layer: pdfium.PdfTextPage) -> int | None:
    """Return by how much a page has to be turned so that most of its text is upright; None for one without text."""
    turns = Counter[int]()
    count = layer.count_chars()
    matrix = pdfium_c.FS_MATRIX()
    for character in range(0, count, max(count // _SAMPLE, 1)):
        if pdfium_c.FPDFText_IsGenerated(layer, character) == 1:
            continue
        if pdfium_c.FPDFText_GetMatrix(layer, character, matrix):
            turns[_find_direction(matrix)] += 1
    return turns.most_common(1)[0][0] if turns else None


def _find_direction(matrix: pdfium_c.FS_MATRIX) -> int:
    if abs(matrix.b) > abs(matrix.a):
        return 90 if matrix.b > 0 else 270
    return 180 if matrix.a < 0 and matrix.d < 0 else 0
