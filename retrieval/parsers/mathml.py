"""Formulas of MathML, as OpenDocument has them, in one line."""

import re

from retrieval.parsers.archive import Element, get_name

__all__ = ["find_formula"]

_SOURCES = frozenset(("annotation", "annotation-xml"))
"""The same formula for programs."""
_WHOLE = re.compile(r"\w*|\(.*\)")
_SIGNS = {"mfrac": ("/",), "msup": ("^",), "msub": ("_",), "msubsup": ("_", "^")}
_DEEPEST = 100


def find_formula(root: Element) -> str:
    """Return the formula that a document is, or has in it: `a/b`, `x^2`, `√(a+b)`; "" where there is none."""
    formula = root if get_name(root) == "math" else next(root.iter("{*}math"), None)
    return " ".join(_write(formula, 0).split()) if formula is not None else ""


def _write(element: Element, depth: int) -> str:
    name = get_name(element)
    if name in _SOURCES or depth > _DEEPEST:
        return ""
    parts = [_write(child, depth + 1) for child in element]
    if name in _SIGNS and len(parts) == len(_SIGNS[name]) + 1:
        signs = ("", *_SIGNS[name])
        return "".join(f"{sign}{_group(part)}" for sign, part in zip(signs, parts, strict=True))
    if name == "msqrt":
        return f"√{_group(''.join(parts))}"
    return "".join(parts) if parts else (element.text or "").strip()


def _group(text: str) -> str:
    return text if _WHOLE.fullmatch(text) else f"({text})"
