"""Raised, lowered and divided parts of a page's text: `sup` and `sub`, and the same in formulas of MathML."""

from typing import Any

from retrieval.parsers.scripts import LEVEL, LOWERED, RAISED

__all__ = ["find_mark", "find_mark_behind"]

_MARKS = {"sup": RAISED, "sub": LOWERED}
_PARTS = {
    ("msup", 1): RAISED,
    ("msub", 1): LOWERED,
    ("msubsup", 1): LOWERED,
    ("msubsup", 2): RAISED,
    ("mfrac", 1): "/",
}
"""Element of MathML and place in it, from 0 → what stands before that part of it, written in one line."""

_FORMULAS = frozenset(tag for tag, _ in _PARTS)


def find_mark(element: Any) -> str:
    """Return what is written before an element's text, where it isn't on the line: "" for most."""
    opening = "(" if _is_grouped(element) else ""
    root = "√" if element.tag == "msqrt" else ""
    return f"{_find_part(element)}{opening}{root}"


def find_mark_behind(element: Any) -> str:
    """Return what is written behind it. Numbers of MathML that follow each other are two."""
    closing = ")" if _is_grouped(element) else ""
    return closing + (LEVEL if element.tag == "mn" or _find_part(element) not in ("", "/") else "")


def _find_part(element: Any) -> str:
    parent = element.getparent()
    if parent is None or parent.tag not in _FORMULAS:
        return _MARKS.get(element.tag, "")
    return _PARTS.get((parent.tag, parent.index(element)), "")


def _is_grouped(element: Any) -> bool:
    """Tell whether a part of a fraction, a root or an exponent is more than one thing."""
    parent = element.getparent()
    return parent is not None and parent.tag in _FORMULAS and len(element) > 1
