"""Formulas of Word and PowerPoint (OMML) in one line: what stands above, below or behind must not run together."""

import re

from retrieval.parsers.archive import Element, get_attribute, get_name
from retrieval.parsers.scripts import LEVEL, LOWERED

__all__ = ["write_formula"]

_REMOVED_TAGS = frozenset(("del", "moveFrom", "ctrlPr", "rPr"))
_WHOLE = re.compile(r"[\w.,]*|\([^()]*\)")
"""A part of a formula that needs no brackets."""

_MARKS = re.compile(r"[′″‴*†‡°'\"]+")
"""Signs that stand above a symbol and are no exponent: primes, degrees, stars."""


def write_formula(element: Element) -> str:
    """Write a formula, or a part of one: `1/2`, `10^6`, `√(a+b)`, `∑(i=1…10) x`."""
    name = get_name(element)
    if name == "t":
        return element.text or ""
    if name in _REMOVED_TAGS or name.endswith("Pr"):
        return ""
    writer = _WRITERS.get(name)
    return writer(element) if writer is not None else _join(element)


def _join(element: Element) -> str:
    return "".join(map(write_formula, element))


def _part(element: Element, name: str) -> str:
    part = element.find("{*}" + name)
    return _join(part) if part is not None else ""


def _group(text: str) -> str:
    return text if _WHOLE.fullmatch(text) else f"({text})"


def _property(element: Element, name: str, default: str) -> str:
    """Return a setting of a formula's part: the default where it isn't set, "" where it is set to nothing."""
    setting = element.find("{*}" + f"{get_name(element)}Pr/" + "{*}" + name)
    return get_attribute(setting, "val") if setting is not None else default


def _write_fraction(element: Element) -> str:
    above, below = _part(element, "num"), _part(element, "den")
    if _property(element, "type", "bar") == "noBar":
        return f"({above} {below})"
    return f"{LEVEL}{_group(above)}/{_group(below)}{LEVEL}"  # `5 1/2` isn't `51/2`.


def _write_raised(element: Element) -> str:
    text = _part(element, "sup")
    mark = "" if not text or _MARKS.fullmatch(text) else "^"
    return f"{mark}{_group(text) if mark else text}{LEVEL}"


def _write_lowered(element: Element) -> str:
    text = _part(element, "sub")
    return f"{LOWERED}{_group(text)}{LEVEL}" if text else ""


def _write_power(element: Element) -> str:
    return _group(_part(element, "e")) + _write_lowered(element) + _write_raised(element)


def _write_index(element: Element) -> str:
    return _group(_part(element, "e")) + _write_lowered(element)


def _write_root(element: Element) -> str:
    degree = _part(element, "deg")
    return f"√{f'[{degree}]' if degree else ''}{_group(_part(element, 'e'))}"


def _write_brackets(element: Element) -> str:
    inner = _property(element, "sepChr", "|").join(map(_join, element.iterchildren("{*}e")))
    return f"{_property(element, 'begChr', '(')}{inner}{_property(element, 'endChr', ')')}"


def _write_sum(element: Element) -> str:
    limits = "…".join(filter(None, (_part(element, "sub"), _part(element, "sup"))))
    return f"{_property(element, 'chr', '∫')}{f'({limits})' if limits else ''} {_part(element, 'e')}"


def _write_limit(element: Element) -> str:
    return f"{_part(element, 'e')}({_part(element, 'lim')})"


def _write_rows(element: Element) -> str:
    return "; ".join(map(_write_cells, element.iterchildren("{*}mr", "{*}e")))


def _write_cells(row: Element) -> str:
    return ", ".join(map(_join, row.iterchildren("{*}e"))) if get_name(row) == "mr" else _join(row)


_WRITERS = {
    "f": _write_fraction,
    "sSup": _write_power,
    "sSub": _write_index,
    "sSubSup": _write_power,
    "rad": _write_root,
    "d": _write_brackets,
    "nary": _write_sum,
    "limLow": _write_limit,
    "limUpp": _write_limit,
    "m": _write_rows,
    "eqArr": _write_rows,
}
"""Writers of the parts of a formula that stand in more than one line, by their elements' names."""
