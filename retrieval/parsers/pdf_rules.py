"""The straight lines that are drawn on a PDF's page, along which tables are ruled: also the edges of filled cells."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from retrieval.parsers.pdf_grids import CLOSE, Rule

__all__ = ["read_rules"]

_MOST_SEGMENTS = 20_000
_MOST_RULES = 400
"""Of a page: one with more is a drawing."""
_SHORTEST = 3.0  # points

_Point = tuple[float, float]


def read_rules(sheet: pdfium.PdfPage, turn: Callable[[float, float], _Point]) -> list[Rule]:
    """Return the rules of a page, those that touch and go on with each other as one; none of a drawing.

    Args:
        sheet: The page.
        turn: Return where a point of it is, as the page is held to be read.
    """
    rules: list[Rule] = []
    for number, (start, end) in enumerate(_list_edges(sheet)):
        if number >= _MOST_SEGMENTS:
            return []
        (x, y), (to_x, to_y) = turn(*start), turn(*end)
        wide, high = abs(to_x - x), abs(to_y - y)
        if wide <= 1 < _SHORTEST <= high:
            rules.append(Rule(True, (x + to_x) / 2, min(y, to_y), max(y, to_y)))
        elif high <= 1 < _SHORTEST <= wide:
            rules.append(Rule(False, (y + to_y) / 2, min(x, to_x), max(x, to_x)))
    upright = [rule for rule in rules if rule.is_upright]
    rules = [*_join_rules(upright), *_join_rules([rule for rule in rules if not rule.is_upright])]
    return rules if len(rules) <= _MOST_RULES else []


def _list_edges(sheet: pdfium.PdfPage) -> Iterator[tuple[_Point, _Point]]:
    """Yield the ends of the straight lines that a page draws."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    for number in range(pdfium_c.FPDFPage_CountObjects(sheet)):
        shape = pdfium_c.FPDFPage_GetObject(sheet, number)
        if pdfium_c.FPDFPageObj_GetType(shape) != pdfium_c.FPDF_PAGEOBJ_PATH:
            continue
        pdfium_c.FPDFPath_GetDrawMode(shape, fill, stroke)
        if fill.value or stroke.value:
            yield from _list_segments(shape)


def _list_segments(path: Any) -> Iterator[tuple[_Point, _Point]]:
    matrix = pdfium_c.FS_MATRIX()
    pdfium_c.FPDFPageObj_GetMatrix(path, matrix)
    x, y = ctypes.c_float(), ctypes.c_float()
    start = at = (0.0, 0.0)
    for number in range(min(pdfium_c.FPDFPath_CountSegments(path), _MOST_SEGMENTS)):
        segment = pdfium_c.FPDFPath_GetPathSegment(path, number)
        pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
        point = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = pdfium_c.FPDFPathSegment_GetType(segment)
        if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
            start = point
        else:  # a curve has its points on no straight line
            yield at, (point if kind == pdfium_c.FPDF_SEGMENT_LINETO else at)
        at = point
        if pdfium_c.FPDFPathSegment_GetClose(segment):
            yield at, start


def _join_rules(rules: Sequence[Rule]) -> Iterator[Rule]:
    """Yield rules with those that lie on them or go on with them; those close beside each other are at one place."""
    groups: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.at):
        if groups and rule.at - groups[-1][0].at <= CLOSE:
            groups[-1].append(rule)
        else:
            groups.append([rule])
    for group in groups:
        at = sum(rule.at for rule in group) / len(group)
        whole: Rule | None = None
        for rule in sorted(group, key=lambda rule: rule.first):
            if whole is not None and rule.first <= whole.last + CLOSE:
                whole = replace(whole, last=max(whole.last, rule.last))
            else:
                if whole is not None:
                    yield whole
                whole = replace(rule, at=at)
        if whole is not None:
            yield whole
